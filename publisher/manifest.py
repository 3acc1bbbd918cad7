"""What a release consists of: its manifest. publisher/scan.py reads it from a content directory.

A manifest is text, one line an entry, sorted by path: ``KIND SIZE SHA256 PATH``.

- KIND is the mode of a file, 644 or 755 by its owner-executable bit; ``link`` for a symbolic link (size and
  digest are those of its target's text); ``dir`` for a directory with nothing in it (size 0, digest ``-``).
- PATH is relative with ``/`` between its parts. Every byte of these is written as ``\\xNN``: a backslash, a character
  that controls a terminal, ends a line or changes the direction of text, and bytes that are not UTF-8.

A release is the first 12 hex digits of the SHA-256 of that text.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, cast

Kind = Literal["644", "755", "link", "dir"]

#: Names at the top of every slot that are the publisher's own.
RESERVED: Final = (b"glusterfarm-release", b"glusterfarm-pod")

SHORT_DIGEST: Final = 12
#: An error lists at most this many entries that cannot be published; `config check --json` lists all.
MOST_REASONS: Final = 100
_NO_DIGEST: Final = "-"
_LINE: Final = re.compile(r"(644|755|link|dir) (\d+) ([0-9a-f]{64}|-) (.+)", re.DOTALL)
_ESCAPE: Final = re.compile(rb"\\x([0-9a-f]{2})")
# surrogateescape decodes bytes that are not UTF-8 as U+DC80..U+DCFF. isprintable() depends on Python's version, and
# then the release would too.
_UNPLAIN: Final = re.compile(
    "[\\\\\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\udc80-\udcff]",
)


class ManifestError(Exception):
    """A content directory that cannot be published, or text that is not a manifest: ``reasons`` has a line for each.

    As text it has at most ``MOST_REASONS`` of them.
    """

    def __init__(self, *reasons: str) -> None:
        self.reasons = reasons
        lines = [*reasons[:MOST_REASONS]]
        if len(reasons) > 1:
            lines.insert(0, f"the content has {len(reasons)} mistakes:")
        if len(reasons) > MOST_REASONS:
            lines.append(f"and {len(reasons) - MOST_REASONS} more")
        super().__init__("\n  ".join(lines))


class ContentChangedError(ManifestError):
    """The content changed while it was read. A second read may succeed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A file, a link or an empty directory; ``digest`` is 64 hex digits, ``-`` for a directory."""

    path: bytes
    kind: Kind
    size: int
    digest: str

    @property
    def is_file(self) -> bool:
        """Whether this is a regular file: what has content to send and to hash."""
        return self.kind in {"644", "755"}

    def line(self, digits: int | None = None) -> str:
        """The entry's line, with the digest cut to ``digits``."""
        return f"{self.kind} {self.size} {self.digest[:digits]} {escape(self.path)}\n"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The entries of a release, sorted by path."""

    entries: tuple[Entry, ...]

    @classmethod
    def from_entries(cls, entries: Iterable[Entry]) -> Manifest:
        """The manifest with these entries, in any order."""
        return cls(entries=tuple(sorted(entries, key=lambda entry: entry.path)))

    @classmethod
    def parse(cls, text: str) -> Manifest:
        """The manifest that was written as ``text``. Raises ManifestError."""
        entries = []
        for number, line in enumerate(text.split("\n")[:-1], 1):
            match = _LINE.fullmatch(line)
            if match is None:
                raise ManifestError(f"line {number} is not a line of a manifest: {line[:80]!r}")
            kind = cast("Kind", match[1])  # the expression admits nothing else
            entries.append(Entry(kind=kind, size=int(match[2]), digest=match[3], path=unescape(match[4])))
        manifest = cls(entries=tuple(entries))
        if manifest.text != text:
            raise ManifestError("the text is cut short or not in a manifest's normal form")
        return manifest

    @cached_property
    def text(self) -> str:
        """The manifest in full, as it lies beside a slot."""
        return "".join(entry.line() for entry in self.entries)

    @cached_property
    def release(self) -> str:
        """The release's name: 12 hex digits."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:SHORT_DIGEST]


def escape(path: bytes) -> str:
    """``path`` on one line of UTF-8 text, reversibly."""
    return _UNPLAIN.sub(_bytes, path.decode("utf-8", errors="surrogateescape"))


def _bytes(match: re.Match[str]) -> str:
    return "".join(f"\\x{byte:02x}" for byte in match[0].encode("utf-8", errors="surrogateescape"))


def unescape(text: str) -> bytes:
    """The path that ``escape`` wrote as ``text``."""
    return _ESCAPE.sub(lambda match: bytes.fromhex(match[1].decode()), text.encode())
