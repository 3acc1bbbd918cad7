"""Work side by side: a Gluster volume takes many small files at once far faster than one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence

from publisher.manifest import Entry


def in_parts(entries: Sequence[Entry], count: int) -> list[Sequence[Entry]]:
    """``entries`` in up to ``count`` runs of equal work; neighbours share directories and stay together."""
    per_file = 1 << 14  # a file costs about as much as so many bytes, however small it is
    total = sum(entry.size + per_file for entry in entries)
    parts: list[list[Entry]] = [[] for _ in range(count)]
    done = 0
    for entry in entries:
        parts[min(count - 1, done * count // max(total, 1))].append(entry)
        done += entry.size + per_file
    return [part for part in parts if part]


async def together(works: Iterable[Coroutine[object, object, None]]) -> None:
    """Do ``works`` side by side; when one fails, end the others and pass on what it raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
