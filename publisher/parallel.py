"""Work side by side: a Gluster volume takes many small files at once far faster than one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Iterator, Sequence

from publisher.manifest import Entry

#: A file costs about as much as so many bytes, however small it is.
FILE_BYTES = 1 << 14
_BATCH_BYTES = 1 << 25
_PART_BYTES = 1 << 19


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


def in_batches(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    """``entries`` in runs that are read in seconds: so often progress can be told, and a dead mount noticed."""
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
