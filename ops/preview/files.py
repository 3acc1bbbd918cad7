"""The texts of changed files, before and after: from the git base and from the working tree.

A text is shown only where it is what the manifest says, by size and digest: what a reviewer reads is what goes live,
and what is live now.
"""

from __future__ import annotations

import difflib
import hashlib
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from ops.errors import OpsError
from ops.preview.content import FileChange, PlanLine, PublishChange
from ops.preview.minions import Inventories
from ops.preview.scrub import Scrub
from publisher.manifest import SHORT_DIGEST, unescape
from settings import Minion, SettingsError, load_inventory

#: What is a small file, in bytes, and how many are compared: more nobody reads in a comment.
LARGEST: Final = 32 * 1024
MOST: Final = 200
_GIT_SECONDS: Final = 60


@dataclass(frozen=True, kw_only=True)
class FileDiff:
    """The lines of one file's diff; or, where it has none, why not."""

    path: str
    lines: tuple[str, ...] = ()
    added: int = 0
    removed: int = 0
    missing: str = ""


@dataclass(frozen=True, kw_only=True)
class Base:
    """A commit of the repository that the working directory is in."""

    commit: str

    @classmethod
    def of(cls, ref: str) -> Base:
        """The commit that ``ref`` names. Raises OpsError."""
        done = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
        if done is None:
            raise OpsError(
                f"--base {ref!a} is not a commit of a git repository here; fetch it (a shallow checkout lacks it),"
                " or leave --base out: then only the sizes of files are shown"
            )
        return cls(commit=done.decode().strip())

    def text(self, path: str) -> bytes | None:
        """What the commit has at ``path``, seen from the working directory; None where it has no file."""
        return _git("cat-file", "blob", f"{self.commit}:./{path}")


def _git(*words: str) -> bytes | None:
    try:
        done = subprocess.run(
            ["git", *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=_GIT_SECONDS, check=False
        )
    except FileNotFoundError:
        raise OpsError("git is not on PATH; install it, or leave --base out") from None
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def file_diffs(content: PublishChange | None, base: Base, scrub: Scrub) -> tuple[FileDiff, ...]:
    """The diffs of the small files among the changes, in the order of ``content.files``."""
    if content is None:
        return ()
    small = [it for it in content.files if it.kind in {"added", "changed", "removed"} and _is_small(it)]
    return tuple(_diff(it, content.source, base, scrub) for it in small[:MOST])


def _is_small(change: FileChange) -> bool:
    sides = [it for it in (change.old, change.new) if it]
    contents = {it.digest for it in sides}
    return all(it.is_file and it.size <= LARGEST for it in sides) and (len(sides) == 1 or len(contents) > 1)


def _diff(change: FileChange, source: str, base: Base, scrub: Scrub) -> FileDiff:
    path, inside = change.path, _relative(change.path)
    old = _checked(base.text(f"{source}/{inside}"), change.old) if change.old else b""
    new = _checked(_read(source, inside), change.new) if change.new else b""
    if old is None:
        return FileDiff(path=path, missing="the base has another text than what is live")
    if new is None:
        return FileDiff(path=path, missing="the working tree has another text than what was previewed")
    try:
        texts = [scrub.file(it.decode()).split("\n") for it in (old, new)]
    except UnicodeDecodeError:
        texts = []
    if not texts or b"\0" in old + new:
        return FileDiff(path=path, missing="it is not text")
    before, after = (_whole(it) for it in texts)
    lines = list(difflib.unified_diff(before, after, lineterm=""))[2:]
    return FileDiff(
        path=path,
        lines=tuple(lines),
        added=sum(it.startswith("+") for it in lines),
        removed=sum(it.startswith("-") for it in lines),
    )


def _whole(lines: list[str]) -> list[str]:
    """The lines without the empty one after the last line end; a last line that has none says so."""
    return [*lines[:-1], f"{lines[-1]}  (no line end)"] if lines[-1] else lines[:-1]


def _checked(text: bytes | None, entry: PlanLine) -> bytes | None:
    if text is None or len(text) != entry.size or hashlib.sha256(text).hexdigest()[:SHORT_DIGEST] != entry.digest:
        return None
    return text


def _relative(path: str) -> str:
    """``path`` of the manifest as git and the file system have it; '' for one that leaves the content directory."""
    try:
        raw = unescape(path).decode()
    except UnicodeDecodeError:
        return ""
    parts = PurePosixPath(raw)
    return "" if parts.is_absolute() or ".." in parts.parts else raw


def _read(source: str, inside: str) -> bytes | None:
    """The file in the working tree; None where there is none inside ``source``."""
    try:
        root = Path(source).resolve()
        file = (root / inside).resolve()
        return file.read_bytes() if file.is_relative_to(root) and file.is_file() else None
    except (OSError, ValueError):
        return None


def inventories(base: Base | None, old_path: str, new_path: str) -> Inventories:
    """The minions of the base's inventory and of the working tree's, where they can be read."""
    before = base.text(old_path) if base and old_path else None
    return Inventories(old=_minions_in(before), new=_minions_at(new_path))


def _minions_in(text: bytes | None) -> dict[str, Minion] | None:
    if text is None:
        return None
    with tempfile.NamedTemporaryFile(suffix=".yaml") as file:
        file.write(text)
        file.flush()
        return _minions_at(file.name)


def _minions_at(path: str) -> dict[str, Minion] | None:
    try:
        return {minion.name: minion for minion in load_inventory(path).minions} if path else None
    except SettingsError:
        return None
