"""What a preview shows of a large site, and in what content differs from what a preview showed.

A large site has a line a directory: ``files=N BYTES DIGEST PATH``. N counts the files, links and empty directories
that lie in it, DIGEST is of their lines in the manifest. PATH ends in ``/`` (the top is ``./``), or in ``/**`` where
the line stands for all that lies deeper too: the tree is shown as deep as the bound on the number of lines allows.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

from publisher.manifest import SHORT_DIGEST, Entry, Manifest, escape

#: A plan of more entries than this has a line for each directory.
PLAN_LINES: Final = 2000


def plan(manifest: Manifest) -> str:
    """The manifest as a preview shows it, with short digests: a diff lists the changed files.

    If there are more than ``PLAN_LINES`` entries, it lists directories.
    """
    if len(manifest.entries) <= PLAN_LINES:
        return "".join(entry.line(SHORT_DIGEST) for entry in manifest.entries)
    return directories(manifest.entries, most=PLAN_LINES)


def directories(entries: Sequence[Entry], *, most: int) -> str:
    """A line for each directory that holds one of ``entries``, sorted by path.

    There are at most ``most`` lines, or as many as there are directories at the top, where those are more.
    """
    homes = [entry.path.split(b"/")[:-1] for entry in entries]
    distinct = {tuple(home) for home in homes}
    depths = range(1, max(map(len, distinct)) + 1)
    shown = max(1, bisect_right(depths, most, key=lambda depth: len({home[:depth] for home in distinct})))
    parts: dict[bytes, list[Entry]] = {}
    for entry, home in zip(entries, homes, strict=True):
        parts.setdefault(b"/".join(home[:shown]), []).append(entry)
    merged = {b"/".join(home[:shown]) for home in distinct if len(home) > shown}
    return "".join(_line(path, part, deeper=path in merged) for path, part in sorted(parts.items()))


def _line(path: bytes, part: Sequence[Entry], *, deeper: bool) -> str:
    size = sum(entry.size for entry in part if entry.is_file)
    digest = hashlib.sha256("".join(entry.line() for entry in part).encode()).hexdigest()[:SHORT_DIGEST]
    return f"files={len(part)} {size} {digest} {escape(path) or '.'}/{'**' if deeper else ''}\n"


def difference(shown: str, now: str) -> str:
    """What differs between two plans, the one that a preview ``shown`` and the content's; '' when nothing does."""
    differing = {*shown.strip("\n").split("\n")} ^ {*now.strip("\n").split("\n")}
    paths = sorted({line.split(" ", 3)[-1] for line in differing})
    if not paths:
        return ""
    return f"{paths[0]} changed" + (f", and {len(paths) - 1} more" if len(paths) > 1 else "")
