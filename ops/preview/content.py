"""What a preview would publish: the files that come, change, move and go, and where they are published to."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from ops.preview.steps import Op, ResourceStep

#: What publishes; its children are its publish, the intent before that, and its removal.
CONTENT: Final = "glusterfarm:index:ContentSync"
_LINE: Final = re.compile(r"(\S+) (\d+) (\S+) (.+)", re.DOTALL)
_FILES: Final = ("644", "755")
#: A line that stands for a directory, as of a large site (publisher/plan.py); it ends in / or /**.
DIRECTORIES: Final = re.compile(r"^files=\d+ ", re.MULTILINE)
_BELOW: Final = "**"
#: The options that say where a publish goes, and a reviewer's words for them.
_PLACES: Final = {"--volume": "volume", "--mount-path": "mount path", "--site": "site", "--source": "source"}


@dataclass(frozen=True, kw_only=True)
class PlanLine:
    """A line of the manifest. ``kind`` is 644, 755, link or dir, or what a later form of the manifest calls it.

    A line of a large site stands for a directory with ``files`` in it: its kind is ``files=31``. ``size`` is in bytes,
    ``digest`` the first hex digits of the SHA-256.
    """

    kind: str
    size: int
    digest: str
    path: str

    @property
    def is_file(self) -> bool:
        """Whether this is one regular file."""
        return self.kind in _FILES

    @property
    def files(self) -> int | None:
        """How many files lie in the directory that this stands for; None for one that stands for itself."""
        return int(self.kind.partition("=")[2]) if DIRECTORIES.match(f"{self.kind} ") else None


@dataclass(frozen=True, kw_only=True)
class FileChange:
    """One path: ``old`` and ``new`` are None where there is none; with other paths in them the file is moved."""

    old: PlanLine | None
    new: PlanLine | None

    @property
    def kind(self) -> str:
        """added, changed, moved or removed."""
        if self.old is None:
            return "added"
        if self.new is None:
            return "removed"
        return "changed" if self.old.path == self.new.path else "moved"

    @property
    def is_directory(self) -> bool:
        """Whether this is a directory of a large site, and all that lies in it."""
        return any(it is not None and it.files is not None for it in (self.old, self.new))

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
class PublishChange:
    """The publish: what happens to it, its files, and the ``places`` that it moves between.

    - ``directories`` stand for the files of a large site, unless its files are known.
    - ``unknown`` are lines of the manifest in a form that this version does not know, with + or - before them.
    - ``source`` is the directory that is published, and ``inventory`` the path of the inventory, both of the new
      configuration. ``old_inventory`` is the path of the old one.
    - ``unfinished`` is the release of a failed publish whose files, those in the state, are published again; else ''.
    """

    op: Op
    files: tuple[FileChange, ...]
    directories: tuple[FileChange, ...]
    unknown: tuple[str, ...]
    places: tuple[Moved, ...]
    source: str
    inventory: str
    old_inventory: str
    files_after: int
    bytes_after: int
    unfinished: str


@dataclass(frozen=True, kw_only=True)
class Plans:
    """What a preview has of the manifest before and after, and the directories that were and are published."""

    old: str
    new: str
    old_source: str
    source: str


def content_of(
    steps: Iterable[ResourceStep], whole: Callable[[Plans], Plans] = lambda plans: plans
) -> PublishChange | None:
    """The publish among ``steps``; None when it is not among them, and so nothing of it changes.

    ``whole`` gives plans a line a file of those that have a line a directory, if it can.
    """
    its = {step.name.rpartition("-")[2]: step for step in steps if step.parent_type == CONTENT}
    return _content(its["publish"], its.get("intent"), whole) if "publish" in its else None


def _content(step: ResourceStep, intent: ResourceStep | None, whole: Callable[[Plans], Plans]) -> PublishChange:
    old, new = words_of(step.old), words_of(step.new)
    source = new.get("--source") or old.get("--source", "")
    old_source = old.get("--source") or source
    plans = whole(Plans(old=_stdin(step.old), new=_stdin(step.new), old_source=old_source, source=source))
    (before, strange_before), (after, strange_after) = _manifest(plans.old), _manifest(plans.new)
    files_after = sum(entry.is_file + (entry.files or 0) for entry in after.values())
    before, after = _alike(before, after), _alike(after, before)
    changes = () if step.op is Op.DELETE else tuple(_changes(before, after))
    places = tuple(
        Moved(what=what, old=old.get(option), new=new.get(option))
        for option, what in _PLACES.items()
        if step.old is not None and step.new is not None and old.get(option) != new.get(option)
    )
    return PublishChange(
        op=step.op,
        # A command that goes takes no file with it.
        files=tuple(it for it in changes if not it.is_directory),
        directories=tuple(it for it in changes if it.is_directory),
        unknown=(
            *(f"-{line}" for line in strange_before if line not in set(strange_after)),
            *(f"+{line}" for line in strange_after if line not in set(strange_before)),
        ),
        places=places,
        source=source,
        inventory=new.get("--inventory", ""),
        old_inventory=old.get("--inventory", ""),
        files_after=files_after,
        bytes_after=sum(entry.size for entry in after.values()),
        unfinished=_unfinished(intent) if intent and _stdin(step.old) == _stdin(step.new) else "",
    )


def _unfinished(intent: ResourceStep) -> str:
    """The release that the last publish set out to make live, where that is another than this one's."""
    old, new = (words_of(it).get("--release", "") for it in (intent.old, intent.new))
    return old if old != new else ""


def words_of(inputs: Mapping[str, Any] | None) -> dict[str, str]:
    """The options of a deployer's command, ``--name VALUE``, as ``Farm.deployer_command`` writes them."""
    command = (inputs or {}).get("create")
    try:
        words = shlex.split(command) if isinstance(command, str) else []
    except ValueError:
        return {}
    return {word: value for word, value in pairwise(words) if word.startswith("--")}


def _stdin(inputs: Mapping[str, Any] | None) -> str:
    text = (inputs or {}).get("stdin")
    return text if isinstance(text, str) else ""


def _manifest(text: str) -> tuple[dict[str, PlanLine], list[str]]:
    entries: dict[str, PlanLine] = {}
    strange = []
    for line in text.split("\n"):
        if match := _LINE.fullmatch(line):
            entries[match[4]] = PlanLine(kind=match[1], size=int(match[2]), digest=match[3], path=match[4])
        elif line:
            strange.append(line)
    return entries, strange


def _alike(entries: dict[str, PlanLine], others: Mapping[str, PlanLine]) -> dict[str, PlanLine]:
    """``entries`` by directories where the ``others`` are, for a site that has grown large or is large no more.

    Of a directory that is counted here nobody knows the digest: without another count or size it is taken for the same.
    """
    shape = {path: entry for path, entry in others.items() if entry.files is not None}
    if not shape or any(entry.files is not None for entry in entries.values()):
        return entries
    inside: dict[str, list[PlanLine]] = {}
    for path, entry in entries.items():
        inside.setdefault(_line_of(path, shape), []).append(entry)
    found = {}
    for path, its in inside.items():
        kind, size = f"files={len(its)}", sum(entry.size for entry in its if entry.is_file)
        other = shape.get(path)
        same = other is not None and (other.kind, other.size) == (kind, size)
        found[path] = PlanLine(kind=kind, size=size, digest=other.digest if other and same else "", path=path)
    return found


def _line_of(path: str, shape: Mapping[str, PlanLine]) -> str:
    """Which line of a large site's plan stands for the file at ``path``."""
    *home, _ = path.split("/")
    for end in range(len(home), -1, -1):
        directory = "/".join(home[:end]) or "."
        if end == len(home) and f"{directory}/" in shape:
            return f"{directory}/"
        if f"{directory}/{_BELOW}" in shape:
            return f"{directory}/{_BELOW}"
    return f"{'/'.join(home) or '.'}/"


def _changes(before: Mapping[str, PlanLine], after: Mapping[str, PlanLine]) -> Iterator[FileChange]:
    """What changed, by path. A file that went while the same one came under one other path is moved."""
    gone = [entry for path, entry in before.items() if path not in after]
    come = [entry for path, entry in after.items() if path not in before]
    moved = {new.path: old for old, new in _pairs(gone, come)}
    left = {old.path for old in moved.values()}
    for path in sorted({*before, *after}):
        old, new = before.get(path), after.get(path)
        if old != new and path not in left:
            yield FileChange(old=moved.get(path, old), new=new)


def _pairs(gone: Iterable[PlanLine], come: Iterable[PlanLine]) -> Iterator[tuple[PlanLine, PlanLine]]:
    sources, targets = _by_content(gone), _by_content(come)
    for what, old in sources.items():
        new = targets.get(what, [])
        if len(old) == len(new) == 1:
            yield old[0], new[0]


def _by_content(entries: Iterable[PlanLine]) -> dict[tuple[str, int, str], list[PlanLine]]:
    found: dict[tuple[str, int, str], list[PlanLine]] = {}
    for entry in entries:
        if entry.is_file and entry.size:
            found.setdefault((entry.kind, entry.size, entry.digest), []).append(entry)
    return found
