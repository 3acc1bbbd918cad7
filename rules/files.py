"""Reading what a user's settings point at: what is wrong is named by a word, or by the system's own text."""

from __future__ import annotations

import errno
import os
from pathlib import Path

_FLAWS = {errno.ENOENT: "absent", errno.EACCES: "denied", errno.ENOTDIR: "no directory"}


class UnreadableError(Exception):
    """A file gives no text; ``flaw`` says why."""

    def __init__(self, flaw: str) -> None:
        self.flaw = flaw
        super().__init__(flaw)


def text(path: str | Path) -> str:
    """A file's text; raises UnreadableError ("absent", "denied", "irregular", "encoding", or other)."""
    file = Path(path)
    try:
        if file.exists() and not file.is_file():
            raise UnreadableError("irregular")
        return file.read_bytes().decode()
    except UnicodeDecodeError:
        raise UnreadableError("encoding") from None
    except (OSError, ValueError) as error:
        raise UnreadableError(_flaw(error)) from None


def directory_flaw(path: str) -> str | None:
    """Why not to publish a directory: "absent", "denied", "no directory", "empty", "program"; or None."""
    try:
        with os.scandir(path) as entries:
            first = next(entries, None)
        if first is None:
            return "empty"
        first.stat(follow_symlinks=False)  # names may be listed that may not be entered
        if Path.cwd().is_relative_to(os.path.realpath(path)):
            return "program"
    except (OSError, ValueError) as error:
        return _flaw(error)
    return None


def _flaw(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return _FLAWS.get(error.errno or 0, os.strerror(error.errno or 0).lower())
    return str(error)
