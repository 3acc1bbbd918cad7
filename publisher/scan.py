"""Reads a content directory into the entries of a manifest."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from publisher.manifest import RESERVED, Entry, Kind, ManifestError, escape

_READERS = min(8, (os.cpu_count() or 1) * 2)
_CHUNK_BYTES = 1 << 18
_MAX_LINKS = 40  # as the kernel: more links in one resolution are a loop


def scan(source: Path) -> list[Entry]:
    """Every entry below ``source``, its files hashed side by side. Raises ManifestError naming a bad path."""
    root = os.fsencode(source)
    tree = _Tree(root=root)
    pending = [b""]
    while pending:
        pending += tree.read(pending.pop())
    if not (tree.files or tree.others or tree.targets):
        raise ManifestError(
            f"{source}: the content directory is empty, and publishing it would empty the site; fill it"
        )
    for entry in tree.links():
        tree.others.append(entry)
    with ThreadPoolExecutor(_READERS) as pool:
        return [*tree.others, *pool.map(lambda path: read_file(root, path), tree.files, chunksize=64)]


def read_file(root: bytes, path: bytes) -> Entry:
    """The entry of the regular file ``path`` below ``root``. Raises ManifestError when it cannot be read."""
    digest = hashlib.sha256()
    size = 0
    try:
        descriptor = os.open(os.path.join(root, path), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)  # noqa: PTH118
        try:
            mode = os.fstat(descriptor).st_mode
            while chunk := os.read(descriptor, _CHUNK_BYTES):
                digest.update(chunk)
                size += len(chunk)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _cannot("read", root, path, error) from None
    return Entry(path=path, kind=file_kind(mode), size=size, digest=digest.hexdigest())


def file_kind(mode: int) -> Kind:
    """The mode a file is published with."""
    return "755" if mode & stat.S_IXUSR else "644"


def link_entry(path: bytes, target: bytes) -> Entry:
    """The entry of a symbolic link ``path`` to ``target``."""
    return Entry(path=path, kind="link", size=len(target), digest=hashlib.sha256(target).hexdigest())


@dataclass(kw_only=True)
class _Tree:
    root: bytes
    files: list[bytes] = field(default_factory=list)
    others: list[Entry] = field(default_factory=list)
    targets: dict[bytes, bytes] = field(default_factory=dict)

    def read(self, directory: bytes) -> list[bytes]:
        """Collect what is in ``directory``, following no link; give the directories in it."""
        try:
            found = list(os.scandir(os.path.join(self.root, directory)))  # noqa: PTH118
        except OSError as error:
            raise _cannot("list", self.root, directory, error) from None
        if not found and directory:
            self.others.append(Entry(path=directory, kind="dir", size=0, digest="-"))
        below = []
        for item in found:
            path = directory + b"/" + item.name if directory else item.name
            if path in RESERVED:
                raise _refused(self.root, path, "the publisher writes a file of this name itself; rename yours")
            if item.is_symlink():
                self.targets[path] = os.readlink(item.path)  # noqa: PTH115
            elif item.is_dir(follow_symlinks=False):
                below.append(path)
            elif item.is_file(follow_symlinks=False):
                self.files.append(path)
            else:
                raise _refused(
                    self.root,
                    path,
                    "only files, directories and links can be published; move it out of the content",
                )
        return below

    def links(self) -> Iterator[Entry]:
        """The links, each proven to stay inside the tree."""
        for path, target in self.targets.items():
            if reason := self._leaves(path, target):
                raise _refused(
                    self.root,
                    path,
                    f"the link to {escape(target)} {reason}; on the volume it would lead elsewhere than here."
                    " Replace it by what it names, or by a relative link inside the content",
                )
            yield link_entry(path, target)

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


def _refused(root: bytes, path: bytes, reason: str) -> ManifestError:
    return ManifestError(f"{escape(os.path.join(root, path))}: {reason}")  # noqa: PTH118


def _cannot(verb: str, root: bytes, path: bytes, error: OSError) -> ManifestError:
    where = escape(os.path.join(root, path) if path else root)  # noqa: PTH118
    return ManifestError(f"{where}: cannot {verb} it ({error.strerror}); correct its owner, its mode or content.source")
