"""Reads a content directory into a manifest.

The Pulumi program does so in every preview. Therefore this uses the standard library only, and pathspec if the content
has a .publishignore file (publisher/ignore.py).
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from publisher.ignore import IGNORE_FILE, NEVER, Ignored
from publisher.links import Links
from publisher.manifest import RESERVED, ContentChangedError, Entry, Manifest, ManifestError, escape
from publisher.source import located, opened, read_file, read_link, unreadable

_READERS = min(8, (os.cpu_count() or 1) * 2)
_PAUSES = (0.2, 1.0)  # before content that changed during the read is read again
#: A path that cannot be published, and the reason.
_Flaw = tuple[bytes, str]
_SORTS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def read(source: Path, *, shared: Collection[str] = ()) -> Manifest:
    """The manifest of what is to be published below ``source``. Files are hashed in parallel.

    ``shared`` are the absolute paths of shared directories in pods; links may lead there. Content that changes during
    the read is read again, at most three times. Raises ManifestError with everything that cannot be published, and
    ContentChangedError if the content keeps changing.
    """
    for pause in _PAUSES:
        try:
            return Manifest.from_entries(_scan(source, shared))
        except ContentChangedError:
            time.sleep(pause)
    return Manifest.from_entries(_scan(source, shared))


def _scan(source: Path, shared: Collection[str]) -> list[Entry]:
    root = os.fsencode(source)
    tree = _Tree(root=root, shared=tuple(map(os.fsencode, shared)))
    pending = [(b"", Ignored())]
    while pending:
        pending += tree.read(*pending.pop())
    if not (tree.files or tree.others or tree.targets or tree.flaws):
        what = "all that is in it is ignored" if os.listdir(root) else "the content directory is empty"  # noqa: PTH208
        raise ManifestError(
            f"{source}: {what}, and publishing it would empty the site; fill it or correct .publishignore"
        )
    tree.others += tree.links()
    # One list for all readers: a task a file costs more than reading a small one, a share each leaves them uneven.
    waiting = iter(tree.files)
    with ThreadPoolExecutor(_READERS) as pool:
        for entries, flaws in pool.map(lambda _: _read(root, waiting), range(_READERS)):
            tree.others += entries
            tree.flaws += flaws
    if tree.flaws:
        raise ManifestError(*(reason for _, reason in sorted(tree.flaws)))
    return tree.others


def _read(root: bytes, paths: Iterator[bytes]) -> tuple[list[Entry], list[_Flaw]]:
    """The entries of files, and of those that cannot be read why."""
    entries, flaws = [], []
    for path in paths:
        try:
            entries.append(read_file(root, path))
        except ContentChangedError:
            raise
        except ManifestError as error:
            flaws.append((path, str(error)))
    return entries, flaws


@dataclass(kw_only=True)
class _Tree:
    root: bytes
    shared: tuple[bytes, ...]
    files: list[bytes] = field(default_factory=list)
    directories: set[bytes] = field(default_factory=set)
    others: list[Entry] = field(default_factory=list)
    targets: dict[bytes, bytes] = field(default_factory=dict)
    flaws: list[_Flaw] = field(default_factory=list)
    #: Whether there is a directory of which it is not known what is published.
    unread: bool = False

    def read(self, directory: bytes, ignored: Ignored) -> list[tuple[bytes, Ignored]]:
        """Collect what is in ``directory``, following no link; give the directories in it, with the rules there."""
        self.directories.add(directory)
        try:
            found = _listed(self.root, directory)
            ignored = self._rules(directory, found, ignored)
        except ContentChangedError:
            raise
        except ManifestError as error:
            if not directory:
                raise
            self.flaws += ((directory, reason) for reason in error.reasons)
            self.unread = True
            return []
        below = []
        kept = False
        for item in found:
            path = directory + b"/" + item.name if directory else item.name
            is_directory = item.is_dir(follow_symlinks=False)
            if item.name in NEVER or ignored.hides(path, directory=is_directory):
                continue
            kept = True
            if path in RESERVED:
                self._refuse(path, "the publisher writes a file of this name itself; rename yours")
            elif is_directory:
                below.append((path, ignored))
            elif item.is_file(follow_symlinks=False):
                self.files.append(path)
            elif item.is_symlink():
                self.targets[path] = read_link(self.root, path)
            else:
                self._refuse(
                    path,
                    f"it is {_sort(item)}, and only files, directories and links can be published;"
                    f" move it out of the content or name it in {IGNORE_FILE.decode()}",
                )
        if not kept and directory:
            self.others.append(Entry(path=directory, kind="dir", size=0, digest="-"))
        return below

    def _rules(self, directory: bytes, found: Iterable[os.DirEntry[bytes]], ignored: Ignored) -> Ignored:
        """What is ignored in ``directory``: what is ``ignored`` above it and what its own file adds."""
        for item in found:
            if item.name == IGNORE_FILE:
                break
        else:
            return ignored
        path = directory + b"/" + item.name if directory else item.name
        name = escape(located(self.root, path))
        if not item.is_file(follow_symlinks=False):
            raise ManifestError(
                f"{name}: it is {_sort(item)}, and must be a text file, a rule a line; write one or rename it"
            )
        with opened(self.root, path) as descriptor, os.fdopen(descriptor, "rb", closefd=False) as file:
            text = file.read()
        return ignored.within(directory, text, name)

    def links(self) -> Iterator[Entry]:
        """The links, each proven to lead to something that pods have."""
        links = Links(
            targets=self.targets,
            files=frozenset(self.files),
            directories=self.directories,
            shared=self.shared,
            is_whole=not self.unread,
            exists=lambda path: os.path.lexists(located(self.root, path)),
        )
        for path, target in self.targets.items():
            if reason := links.flaw(path):
                self._refuse(path, reason)
            yield Entry(path=path, kind="link", size=len(target), digest=hashlib.sha256(target).hexdigest())

    def _refuse(self, path: bytes, reason: str) -> None:
        self.flaws.append((path, f"{escape(located(self.root, path))}: {reason}"))


def _listed(root: bytes, directory: bytes) -> list[os.DirEntry[bytes]]:
    try:
        return list(os.scandir(located(root, directory)))
    except OSError as error:
        raise unreadable("list", root, directory, error) from None


def _sort(item: os.DirEntry[bytes]) -> str:
    return _SORTS.get(stat.S_IFMT(item.stat(follow_symlinks=False).st_mode), "a file of no known sort")
