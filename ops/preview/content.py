"""What a preview would publish: the files that come, change, move and go, and where they are published to."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from ops.preview.steps import Op, Step

_LINE: Final = re.compile(r"(\S+) (\d+) (\S+) (.+)", re.DOTALL)
_FILES: Final = ("644", "755")
#: What a publish is told of where it publishes to, as a reviewer would call it.
_PLACES: Final = {"--volume": "volume", "--mount-path": "mount path", "--site": "site", "--source": "source"}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A line of the manifest. ``kind`` is 644, 755, link or dir, or what a later form of the manifest calls it.

    ``size`` is in bytes, ``digest`` the first hex digits of the SHA-256.
    """

    kind: str
    size: int
    digest: str
    path: str

    @property
    def is_file(self) -> bool:
        """Whether this is one regular file."""
        return self.kind in _FILES


@dataclass(frozen=True, kw_only=True)
class FileChange:
    """One path: ``old`` and ``new`` are None where there is none; with other paths in them the file is moved."""

    old: Entry | None
    new: Entry | None

    @property
    def kind(self) -> str:
        """added, changed, moved or removed."""
        if self.old is None:
            return "added"
        if self.new is None:
            return "removed"
        return "changed" if self.old.path == self.new.path else "moved"

    @property
    def path(self) -> str:
        """Where it is afterwards, or was."""
        entry = self.new or self.old
        return entry.path if entry else ""


@dataclass(frozen=True, kw_only=True)
class Moved:
    """A setting of ours before and after; None where there is none."""

    what: str
    old: str | None
    new: str | None


@dataclass(frozen=True, kw_only=True)
class Content:
    """The publish: what happens to it, its files, and ``places`` that it is moved between.

    ``unknown`` are lines of the manifest in a form that this version does not know, with + or - before them. ``source``
    is the directory that is published, ``inventory`` the path of the inventory, both as the new configuration has them;
    ``old_inventory`` as the old one had it.
    """

    op: Op
    files: tuple[FileChange, ...]
    unknown: tuple[str, ...]
    places: tuple[Moved, ...]
    source: str
    inventory: str
    old_inventory: str
    files_after: int
    bytes_after: int


def content_of(steps: Iterable[Step]) -> Content | None:
    """The publish among ``steps``; None when it is not among them, and so nothing of it changes."""
    for step in steps:
        if step.parent_type == "glusterfarm:index:ContentSync" and step.name.endswith("-publish"):
            return _content(step)
    return None


def _content(step: Step) -> Content:
    old, new = words_of(step.old), words_of(step.new)
    (before, strange_before), (after, strange_after) = _manifest(step.old), _manifest(step.new)
    places = tuple(
        Moved(what=what, old=old.get(option), new=new.get(option))
        for option, what in _PLACES.items()
        if step.old is not None and step.new is not None and old.get(option) != new.get(option)
    )
    return Content(
        op=step.op,
        # A command that goes takes no file with it.
        files=() if step.op is Op.DELETE else tuple(_changes(before, after)),
        unknown=(
            *(f"-{line}" for line in strange_before if line not in set(strange_after)),
            *(f"+{line}" for line in strange_after if line not in set(strange_before)),
        ),
        places=places,
        source=new.get("--source") or old.get("--source", ""),
        inventory=new.get("--inventory", ""),
        old_inventory=old.get("--inventory", ""),
        files_after=sum(entry.is_file for entry in after.values()),
        bytes_after=sum(entry.size for entry in after.values()),
    )


def words_of(inputs: Mapping[str, Any] | None) -> dict[str, str]:
    """The options of a deployer's command, ``--name VALUE``, as ``Farm.deployer_command`` writes them."""
    command = (inputs or {}).get("create")
    try:
        words = shlex.split(command) if isinstance(command, str) else []
    except ValueError:
        return {}
    return {word: value for word, value in pairwise(words) if word.startswith("--")}


def _manifest(inputs: Mapping[str, Any] | None) -> tuple[dict[str, Entry], list[str]]:
    entries: dict[str, Entry] = {}
    strange = []
    text = (inputs or {}).get("stdin")
    for line in (text if isinstance(text, str) else "").split("\n"):
        if match := _LINE.fullmatch(line):
            entries[match[4]] = Entry(kind=match[1], size=int(match[2]), digest=match[3], path=match[4])
        elif line:
            strange.append(line)
    return entries, strange


def _changes(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> Iterator[FileChange]:
    """What changed, by path. A file that went while the same one came under one other path is moved."""
    gone = [entry for path, entry in before.items() if path not in after]
    come = [entry for path, entry in after.items() if path not in before]
    moved = {new.path: old for old, new in _pairs(gone, come)}
    left = {old.path for old in moved.values()}
    for path in sorted({*before, *after}):
        old, new = before.get(path), after.get(path)
        if old != new and path not in left:
            yield FileChange(old=moved.get(path, old), new=new)


def _pairs(gone: Iterable[Entry], come: Iterable[Entry]) -> Iterator[tuple[Entry, Entry]]:
    sources, targets = _by_content(gone), _by_content(come)
    for what, old in sources.items():
        new = targets.get(what, [])
        if len(old) == len(new) == 1:
            yield old[0], new[0]


def _by_content(entries: Iterable[Entry]) -> dict[tuple[str, int, str], list[Entry]]:
    found: dict[tuple[str, int, str], list[Entry]] = {}
    for entry in entries:
        if entry.is_file and entry.size:
            found.setdefault((entry.kind, entry.size, entry.digest), []).append(entry)
    return found
