"""What other minions see: files before the flip, the release after it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from publisher.manifest import Entry, Manifest, escape
from publisher.parallel import in_batches, in_parts, together
from publisher.remote import PublishError, RemoteSite
from publisher.slots import Slot
from publisher.stream import Moved
from publisher.written_parts import WrittenParts

#: For so long a mount may answer from its caches (attributes and names: 1 s by default).
SETTLE_SECONDS = 5.0
#: How many processes hash in parallel on a minion.
READERS = 4
_RETRY_SECONDS = 0.25


async def verify_files(
    site: RemoteSite, slot: Slot, entries: Sequence[Entry], *, moved: Moved = lambda *_: None
) -> None:
    """Prove that a minion reads ``entries``, files and links, of the slot with the right digests. Raises PublishError.

    Each batch that is right calls ``moved(files, bytes)``.
    """
    await together(_prove(site, slot, part, moved) for part in in_parts(entries, READERS))


async def verify_written(site: RemoteSite, slot: Slot, written: WrittenParts, *, moved: Moved) -> None:
    """Prove the same of what is written to the slot, each part as soon as it is there; done when all is."""
    parts, turn = aiter(written), asyncio.Lock()

    async def read() -> None:
        while True:
            async with turn:
                part = await anext(parts, None)
            if part is None:
                return
            await _prove(site, slot, part, moved)

    await together(read() for _ in range(READERS))


async def _prove(site: RemoteSite, slot: Slot, waiting: Sequence[Entry], moved: Moved) -> None:
    until = None
    while True:
        seen: dict[bytes, str] = {}
        for batch in in_batches(waiting):
            await _read(site, slot, batch, seen)
            right = [entry.size for entry in batch if seen.get(entry.path) == entry.digest]
            moved(len(right), sum(right))
        waiting = [entry for entry in waiting if seen.get(entry.path) != entry.digest]
        if not waiting:
            return
        # It begins with the first read, because reading much may take longer than any cache lasts.
        until = until or time.monotonic() + SETTLE_SECONDS
        if time.monotonic() > until:
            raise PublishError(_differs(site, slot, waiting, seen))
        await asyncio.sleep(_RETRY_SECONDS)


async def disagreements(site: RemoteSite, slot: Slot, manifest: Manifest) -> list[str]:
    """In what the slot, as a minion reads all of it, is not what ``manifest`` says; a sentence each, by path.

    Raises PublishError, ConnectError.
    """
    there = await site.paths(slot)
    wanted = {entry.path: entry for entry in manifest.entries if entry.kind != "dir"}
    kept = [entry for path, entry in wanted.items() if there.get(path) == ("f" if entry.is_file else "l")]
    seen: dict[bytes, str] = {}
    await together(_read(site, slot, part, seen) for part in in_parts(kept, READERS))
    found = dict.fromkeys(there.keys() - wanted.keys(), "is in no manifest")
    for path, entry in wanted.items():
        if path not in there:
            found[path] = "is missing"
        elif (got := seen.get(path)) is None:
            found[path] = "cannot be read or is of another type"
        elif got != entry.digest:
            found[path] = f"has SHA-256 {got[:12]}.. instead of {entry.digest[:12]}.."
    return [f"{escape(path)} {found[path]}" for path in sorted(found)]


async def _read(site: RemoteSite, slot: Slot, entries: Sequence[Entry], seen: dict[bytes, str]) -> None:
    """Add what the minion reads to ``seen``."""
    for links in (False, True):
        if part := [entry for entry in entries if entry.is_file is not links]:
            size = sum(entry.size for entry in part)
            seen.update(await site.digests(slot, [entry.path for entry in part], links=links, size=size))


def _differs(site: RemoteSite, slot: Slot, entries: Sequence[Entry], seen: dict[bytes, str]) -> str:
    first = entries[0]
    got = seen.get(first.path)
    what = f"has SHA-256 {got[:12]}.. instead of {first.digest[:12]}.." if got else "cannot be read"
    more = f" (and {len(entries) - 1} more)" if len(entries) > 1 else ""
    return (
        f"minion {site.minion.name} does not see what was published: {site.path}/slots/{slot}/"
        f"{escape(first.path)} {what}{more}; nothing went live."
        " Check that minion's mount and the volume's heal status, then run again"
    )


async def verify_live(site: RemoteSite, slot: Slot, release: str) -> None:
    """Prove that ``site``'s minion sees ``release`` live in ``slot``. Raises PublishError."""
    until = time.monotonic() + SETTLE_SECONDS
    while True:
        try:
            seen = await site.live()
            error = (
                f"minion {site.minion.name} sees release {seen[1]} in slot {seen[0]} live at {site.path}"
                f" instead of {release} in slot {slot}; check its mount, then run again"
            )
            if seen == (slot, release):
                return
        except PublishError as failure:
            error = str(failure)
        if time.monotonic() > until:
            raise PublishError(error)
        await asyncio.sleep(_RETRY_SECONDS)
