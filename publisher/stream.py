"""A tar stream of part of a release, made on the fly: memory stays bounded whatever the content's size."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tarfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

from publisher.manifest import Entry, ManifestError, escape

_CHUNK_BYTES = 1 << 18
_BLOCK = tarfile.BLOCKSIZE
_TYPES = {"644": tarfile.REGTYPE, "755": tarfile.REGTYPE, "link": tarfile.SYMTYPE, "dir": tarfile.DIRTYPE}

Moved = Callable[[int, int], None]


async def tar_stream(root: bytes, entries: Sequence[Entry], moved: Moved) -> AsyncIterator[bytes]:
    """The tar archive of ``entries`` below ``root``, in chunks; ``moved(files, bytes)`` is told of each step.

    Raises ManifestError when a file is no longer what its entry says: what was sent until then is no release.
    """
    blocks = _gathered(_archive(root, entries, moved))
    while chunk := await asyncio.to_thread(next, blocks, b""):
        yield chunk


def _gathered(parts: Iterator[bytes]) -> Iterator[bytes]:
    """``parts`` joined into chunks: thousands of small files need not be thousands of writes."""
    chunk = bytearray()
    for part in parts:
        chunk += part
        if len(chunk) >= _CHUNK_BYTES:
            yield bytes(chunk)
            chunk.clear()
    yield bytes(chunk)


def _archive(root: bytes, entries: Sequence[Entry], moved: Moved) -> Iterator[bytes]:
    for entry in entries:
        yield _header(root, entry)
        if entry.is_file:
            yield from _content(root, entry, moved)
            yield b"\0" * (-entry.size % _BLOCK)
        moved(1, 0)
    yield b"\0" * (2 * _BLOCK)


def _header(root: bytes, entry: Entry) -> bytes:
    info = tarfile.TarInfo(os.fsdecode(entry.path))
    info.type = _TYPES[entry.kind]
    info.mode = 0o644 if entry.kind == "644" else 0o755
    if entry.is_file:
        info.size = entry.size
    elif entry.kind == "link":
        try:
            target = os.readlink(os.path.join(root, entry.path))  # noqa: PTH115, PTH118 (bytes)
        except OSError:
            raise _changed(root, entry) from None
        if hashlib.sha256(target).hexdigest() != entry.digest:
            raise _changed(root, entry)
        info.linkname = os.fsdecode(target)
    # GNU's own format carries any byte and any length of a name; PAX would need every name to be UTF-8.
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def _content(root: bytes, entry: Entry, moved: Moved) -> Iterator[bytes]:
    """The file's bytes, as many as its header promised."""
    digest = hashlib.sha256()
    left = entry.size
    try:
        with open(os.path.join(root, entry.path), "rb", buffering=0) as file:  # noqa: PTH118, PTH123 (bytes)
            while left:
                part = file.read(min(left, _CHUNK_BYTES))
                if not part:
                    raise _changed(root, entry)
                left -= len(part)
                digest.update(part)
                yield part
                moved(0, len(part))
    except OSError:
        raise _changed(root, entry) from None
    if digest.hexdigest() != entry.digest:
        raise _changed(root, entry)


def _changed(root: bytes, entry: Entry) -> ManifestError:
    return ManifestError(
        f"{escape(os.path.join(root, entry.path))} changed while it was published; "  # noqa: PTH118
        "run again when nothing writes to the content"
    )
