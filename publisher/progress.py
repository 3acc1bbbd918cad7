"""What a publish is doing, as plain lines on stderr: the phases, and in a long one how far it is."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import TextIO

_EVERY_SECONDS = 2.0
_MEBIBYTE = 1 << 20


@dataclass(kw_only=True)
class Progress:
    """Counts files and bytes of the phase at hand; writes at most a line every two seconds."""

    out: TextIO = field(default_factory=lambda: sys.stderr)
    _files: int = 0
    _bytes: int = 0
    _of_files: int = 0
    _of_bytes: int = 0
    _began: float = 0.0
    _told: float = 0.0

    def say(self, text: str) -> None:
        """One line."""
        print(text, file=self.out, flush=True)

    def start(self, text: str, *, files: int, size: int) -> None:
        """Begin a phase of ``files`` files with ``size`` bytes in all."""
        self._files = self._bytes = 0
        self._of_files, self._of_bytes = files, size
        self._began = self._told = time.monotonic()
        self.say(text)

    def moved(self, files: int, size: int) -> None:
        """``files`` more are through, and ``size`` more bytes. May be called from any thread."""
        self._files += files
        self._bytes += size
        now = time.monotonic()
        if now - self._told >= _EVERY_SECONDS:
            self._told = now
            rate = self._bytes / _MEBIBYTE / (now - self._began)
            self.say(
                f"  {self._files} of {self._of_files} files,"
                f" {self._bytes / _MEBIBYTE:.1f} of {self._of_bytes / _MEBIBYTE:.1f} MiB, {rate:.1f} MiB/s"
            )
