"""Work side by side: a Gluster volume takes many small files at once far faster than one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Iterator, Sequence

from publisher.manifest import Entry

#: Each file costs about as much as this many bytes, in addition to its size.
FILE_BYTES = 1 << 14
_BATCH_BYTES = 1 << 25
_PART_BYTES = 1 << 19
#: The smallest share is so much, or where each has more than four times that to do, more; up to so much. To begin one,
#: where it is written and where it is read, costs as much as some ten files.
_LEAST_SHARE_BYTES = 1 << 20
_MOST_LEAST_SHARE_BYTES = 1 << 22
_SHARES_EACH = 4


def in_parts(entries: Sequence[Entry], count: int) -> list[Sequence[Entry]]:
    """``entries`` in up to ``count`` runs of equal work; neighbours share directories and stay together.

    Where there is little to do there are fewer: to begin costs as much as some files.
    """
    total = sum(entry.size + FILE_BYTES for entry in entries)
    count = min(count, 1 + total // _PART_BYTES)
    parts: list[list[Entry]] = [[] for _ in range(count)]
    done = 0
    for entry in entries:
        parts[min(count - 1, done * count // max(total, 1))].append(entry)
        done += entry.size + FILE_BYTES
    return [part for part in parts if part]


def in_shares(entries: Sequence[Entry], count: int) -> Iterator[Sequence[Entry]]:
    """``entries`` in runs for ``count`` that take the next one whenever they are through, neighbours together.

    They get smaller, so that all are through at the same time and the last that is done is little.
    """
    left = sum(entry.size + FILE_BYTES for entry in entries)
    least = min(max(left // (_SHARES_EACH * count), _LEAST_SHARE_BYTES), _MOST_LEAST_SHARE_BYTES)
    start = size = 0
    for at, entry in enumerate(entries):
        size += entry.size + FILE_BYTES
        if size >= max(least, left // (2 * count)):
            yield entries[start : at + 1]
            start, left, size = at + 1, left - size, 0
    if start < len(entries):
        yield entries[start:]


def in_batches(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    """``entries`` in batches that are read in seconds, so that progress is shown and a dead mount is noticed."""
    start = size = 0
    for at, entry in enumerate(entries):
        size += entry.size + FILE_BYTES
        if size >= _BATCH_BYTES:
            yield entries[start : at + 1]
            start, size = at + 1, 0
    if start < len(entries):
        yield entries[start:]


async def together(works: Iterable[Coroutine[object, object, None]]) -> None:
    """Do ``works`` side by side; when one fails, end the others and pass on what it raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
