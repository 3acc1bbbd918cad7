"""What of a release is written by now: so it is read through the other minions while the rest is still on its way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from publisher.manifest import Entry


class WrittenParts:
    """Parts of a release, in the order in which they got there; each who iterates is given all, to the end.

    For one event loop. Until ``end`` is called an iteration waits for more.
    """

    def __init__(self) -> None:
        """Nothing is written yet."""
        self._parts: list[Sequence[Entry]] = []
        self._ended = False
        self._news = asyncio.Event()

    def add(self, part: Sequence[Entry]) -> None:
        """All of ``part`` lies in the slot."""
        self._parts.append(part)
        self._wake()

    def end(self) -> None:
        """That was all."""
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def __aiter__(self) -> AsyncIterator[Sequence[Entry]]:
        at = 0
        while at < len(self._parts) or not self._ended:
            if at < len(self._parts):
                yield self._parts[at]
                at += 1
            else:
                await self._news.wait()
