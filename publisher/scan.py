"""Reads a content directory into the entries of a manifest."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from publisher.ignore import IGNORE_FILE, NEVER, Ignored
from publisher.manifest import RESERVED, ContentChangedError, Entry, ManifestError, escape
from publisher.source import located, opened, read_file, read_link, unreadable

_READERS = min(8, (os.cpu_count() or 1) * 2)
_PAUSES = (0.2, 1.0)  # before looking again at content that changed while it was read
_MAX_LINKS = 40  # as the kernel: more links in one resolution are a loop
_SORTS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def scan(source: Path) -> list[Entry]:
    """Every entry below ``source`` that is to be published, its files hashed side by side.

    What changes while it is read is read again, three times in all. Raises ManifestError naming a bad path,
    ContentChangedError where the content does not come to rest.
    """
    for pause in _PAUSES:
        try:
            return _scan(source)
        except ContentChangedError:
            time.sleep(pause)
    return _scan(source)


def _scan(source: Path) -> list[Entry]:
    root = os.fsencode(source)
    tree = _Tree(root=root)
    pending = [(b"", Ignored())]
    while pending:
        pending += tree.read(*pending.pop())
    if not (tree.files or tree.others or tree.targets):
        what = "all that is in it is ignored" if os.listdir(root) else "the content directory is empty"  # noqa: PTH208
        raise ManifestError(
            f"{source}: {what}, and publishing it would empty the site; fill it or correct .publishignore"
        )
    tree.others += tree.links()
    # One list for all readers: a task a file costs more than reading a small one, a share each leaves them uneven.
    waiting = iter(tree.files)
    with ThreadPoolExecutor(_READERS) as pool:
        for entries in pool.map(lambda _: [read_file(root, path) for path in waiting], range(_READERS)):
            tree.others += entries
    return tree.others


@dataclass(kw_only=True)
class _Tree:
    root: bytes
    files: list[bytes] = field(default_factory=list)
    others: list[Entry] = field(default_factory=list)
    targets: dict[bytes, bytes] = field(default_factory=dict)

    def read(self, directory: bytes, ignored: Ignored) -> list[tuple[bytes, Ignored]]:
        """Collect what is in ``directory``, following no link; give the directories in it, with the rules there."""
        try:
            found = list(os.scandir(located(self.root, directory)))
        except OSError as error:
            raise unreadable("list", self.root, directory, error) from None
        ignored = self._rules(directory, found, ignored)
        below = []
        kept = False
        for item in found:
            path = directory + b"/" + item.name if directory else item.name
            is_directory = item.is_dir(follow_symlinks=False)
            if item.name in NEVER or ignored.hides(path, directory=is_directory):
                continue
            kept = True
            if path in RESERVED:
                raise self._refused(path, "the publisher writes a file of this name itself; rename yours")
            if is_directory:
                below.append((path, ignored))
            elif item.is_file(follow_symlinks=False):
                self.files.append(path)
            elif item.is_symlink():
                self.targets[path] = read_link(self.root, path)
            else:
                raise self._refused(
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
        if not item.is_file(follow_symlinks=False):
            raise self._refused(
                path, f"it is {_sort(item)}, and must be a text file, a rule a line; write one or rename it"
            )
        with opened(self.root, path) as descriptor, os.fdopen(descriptor, "rb", closefd=False) as file:
            text = file.read()
        return ignored.within(directory, text, escape(located(self.root, path)))

    def links(self) -> Iterator[Entry]:
        """The links, each proven to stay inside the tree."""
        for path, target in self.targets.items():
            if reason := self._leaves(path, target):
                raise self._refused(
                    path,
                    f"the link to {escape(target)} {reason}; on the volume it would lead elsewhere than here."
                    " Replace it by what it names, or by a relative link inside the content",
                )
            yield Entry(path=path, kind="link", size=len(target), digest=hashlib.sha256(target).hexdigest())

    def _leaves(self, path: bytes, target: bytes) -> str:
        """Why the link at ``path`` is not published; '' when every step of its resolution stays inside."""
        at = path.split(b"/")[:-1]
        todo = target.split(b"/")[::-1]
        followed = 0
        if target.startswith(b"/"):
            return "is absolute"
        while todo:
            step = todo.pop()
            if step in {b"", b"."}:
                continue
            if step == b"..":
                if not at:
                    return "leaves the content"
                at.pop()
                continue
            at.append(step)
            onward = self.targets.get(b"/".join(at))
            if onward is not None:
                followed += 1
                if followed > _MAX_LINKS:
                    return "is a loop"
                if onward.startswith(b"/"):
                    return "leads to an absolute link"
                at.pop()
                todo.extend(onward.split(b"/")[::-1])
        return ""

    def _refused(self, path: bytes, reason: str) -> ManifestError:
        return ManifestError(f"{escape(located(self.root, path))}: {reason}")


def _sort(item: os.DirEntry[bytes]) -> str:
    return _SORTS.get(stat.S_IFMT(item.stat(follow_symlinks=False).st_mode), "a file of no known sort")
