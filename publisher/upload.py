"""Uploads entries of a release to a slot, and uploads again what changed meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from publisher.manifest import ContentChangedError, Entry, escape
from publisher.progress import Progress
from publisher.remote import RemoteSite
from publisher.slots import Slot
from publisher.source import located
from publisher.stream import TarStream

#: How long each further attempt waits for a file that changed.
PAUSES_SECONDS = (1.0, 2.0, 4.0)


async def send(
    site: RemoteSite, slot: Slot, entries: Sequence[Entry], *, root: bytes, token: str, progress: Progress
) -> None:
    """Write ``entries``, as they lie below ``root``, into the slot.

    The release must be what its manifest says, because the preview showed that. If a file has changed since (an editor
    saves it, a checkout runs), this waits for it to return to what it was. Raises ContentChangedError if it does not;
    the slot is then incomplete and never goes live.
    """
    for pause in (*PAUSES_SECONDS, None):
        stream = TarStream(root=root, entries=entries, moved=progress.moved)
        await site.extract(token, slot, stream)
        if not stream.changed:
            return
        entries = stream.changed
        names = escape(located(root, entries[0].path)) + (f" and {len(entries) - 1} more" if len(entries) > 1 else "")
        if pause is None:
            break
        progress.say(f"{names} changed while it was published; trying again in {pause:g} s")
        await asyncio.sleep(pause)
    raise ContentChangedError(
        f"{names} changed while it was published, and is no longer what the preview showed; nothing went live."
        " Stop whatever writes to the content, then preview and run again"
    )
