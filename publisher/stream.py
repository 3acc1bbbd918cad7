"""A tar stream of part of a release, made on the fly: memory stays bounded whatever the content's size."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tarfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field

from publisher.manifest import ContentChangedError, Entry
from publisher.source import CHUNK_BYTES, changed, opened, read_link

_BLOCK = tarfile.BLOCKSIZE
_TYPES = {"644": tarfile.REGTYPE, "755": tarfile.REGTYPE, "link": tarfile.SYMTYPE, "dir": tarfile.DIRTYPE}

Moved = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class TarStream:
    """The tar archive of ``entries`` below ``root``, in chunks; each step calls ``moved(files, bytes)``.

    At the end of the stream, ``changed`` has the entries whose files differ from them. The archive is well-formed,
    but lacks such an entry or has other content for it. So it can be unpacked to its end, and these entries can be sent
    again. Raises ManifestError if a file cannot be read.
    """

    root: bytes
    entries: Sequence[Entry]
    moved: Moved
    changed: list[Entry] = field(default_factory=list)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        blocks = _gathered(self._archive())
        while chunk := await asyncio.to_thread(next, blocks, b""):
            yield chunk

    def _archive(self) -> Iterator[bytes]:
        for entry in self.entries:
            try:
                if not entry.is_file:
                    yield self._without_content(entry)
                elif entry.size <= CHUNK_BYTES:
                    yield self._small(entry)
                else:
                    yield from self._large(entry)
                self.moved(1, 0)
            except ContentChangedError:
                self.changed.append(entry)
        yield bytes(2 * _BLOCK)

    def _without_content(self, entry: Entry) -> bytes:
        if entry.kind == "dir":
            return _header(entry)
        target = read_link(self.root, entry.path)
        if hashlib.sha256(target).hexdigest() != entry.digest:
            raise changed(self.root, entry.path)
        return _header(entry, target)

    def _small(self, entry: Entry) -> bytes:
        """The file, known to be the right one before anything of it is sent."""
        with opened(self.root, entry.path) as descriptor:
            content = os.read(descriptor, entry.size)
        if hashlib.sha256(content).hexdigest() != entry.digest:
            raise changed(self.root, entry.path)
        self.moved(0, entry.size)
        return _header(entry) + content + bytes(-entry.size % _BLOCK)

    def _large(self, entry: Entry) -> Iterator[bytes]:
        """The file, as many bytes as its header promises, whatever becomes of it."""
        digest = hashlib.sha256()
        with opened(self.root, entry.path) as descriptor:
            yield _header(entry)
            left = entry.size
            while left:
                part = os.read(descriptor, min(left, CHUNK_BYTES)) or bytes(min(left, CHUNK_BYTES))
                left -= len(part)
                digest.update(part)
                yield part
                self.moved(0, len(part))
        yield bytes(-entry.size % _BLOCK)
        if digest.hexdigest() != entry.digest:
            self.moved(0, -entry.size)
            raise changed(self.root, entry.path)


def _gathered(parts: Iterator[bytes]) -> Iterator[bytes]:
    """``parts`` joined into chunks: thousands of small files need not be thousands of writes."""
    chunk = bytearray()
    for part in parts:
        chunk += part
        if len(chunk) >= CHUNK_BYTES:
            yield bytes(chunk)
            chunk.clear()
    yield bytes(chunk)


def _header(entry: Entry, target: bytes = b"") -> bytes:
    info = tarfile.TarInfo(os.fsdecode(entry.path))
    info.type = _TYPES[entry.kind]
    info.mode = 0o644 if entry.kind == "644" else 0o755
    info.size = entry.size if entry.is_file else 0
    info.linkname = os.fsdecode(target)
    # GNU's own format carries any byte and any length of a name; PAX would need every name to be UTF-8.
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
