"""Reads single files of a content directory that somebody may be writing to."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from publisher.manifest import ContentChangedError, Entry, Kind, ManifestError, escape

CHUNK_BYTES = 1 << 18
#: What the system says where something else, or nothing, is by now in the place of what was listed.
_MOVED = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EINVAL, errno.ENXIO}


def located(root: bytes, path: bytes) -> bytes:
    """Where ``path`` below ``root`` is; b"" is the root itself."""
    return root + b"/" + path if path else root


@contextmanager
def opened(root: bytes, path: bytes) -> Iterator[int]:
    """A descriptor of the regular file ``path``, following no link. Raises ManifestError naming it."""
    try:
        # A pipe that somebody put there would never open, but for O_NONBLOCK.
        descriptor = os.open(located(root, path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise unreadable("read", root, path, error) from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise changed(root, path)
        yield descriptor
    except OSError as error:
        raise unreadable("read", root, path, error) from None
    finally:
        os.close(descriptor)


def read_file(root: bytes, path: bytes) -> Entry:
    """The entry of the regular file ``path``. Raises ManifestError, ContentChangedError when it is being written to."""
    digest = hashlib.sha256()
    size = 0
    with opened(root, path) as descriptor:
        before = os.fstat(descriptor)
        # Asking for no more than there is: a buffer of a whole chunk costs more than reading a small file.
        while chunk := os.read(descriptor, max(1, min(CHUNK_BYTES, before.st_size + 1 - size))):
            digest.update(chunk)
            size += len(chunk)
        after = os.fstat(descriptor)
    if (size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise changed(root, path)
    return Entry(path=path, kind=_kind(after.st_mode), size=size, digest=digest.hexdigest())


def read_link(root: bytes, path: bytes) -> bytes:
    """What the link ``path`` leads to. Raises ManifestError naming it."""
    try:
        return os.readlink(located(root, path))  # noqa: PTH115 (bytes)
    except OSError as error:
        raise unreadable("read", root, path, error) from None


def _kind(mode: int) -> Kind:
    """The mode a file is published with."""
    return "755" if mode & stat.S_IXUSR else "644"


def changed(root: bytes, path: bytes) -> ContentChangedError:
    """The error that says that ``path`` did not stay as it was."""
    return ContentChangedError(
        f"{escape(located(root, path))} changed while it was read; run again when nothing writes to the content,"
        " or name what is not content in .publishignore"
    )


def unreadable(verb: str, root: bytes, path: bytes, error: OSError) -> ManifestError:
    """The error that says why ``path`` could not be read or listed."""
    if path and error.errno in _MOVED:
        return changed(root, path)
    where = escape(located(root, path))
    return ManifestError(f"{where}: cannot {verb} it ({error.strerror}); correct its owner, its mode or content.source")
