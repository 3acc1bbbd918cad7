"""Sends entries of a release to a slot, and sends again what changed on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from publisher.manifest import ContentChangedError, Entry, escape
from publisher.progress import Progress
from publisher.remote import RemoteSite
from publisher.slots import Slot
from publisher.source import located
from publisher.stream import TarStream

#: How long a file that changed is waited for before each of the further tries.
PAUSES_SECONDS = (1.0, 2.0, 4.0)


async def send(
    site: RemoteSite, slot: Slot, entries: Sequence[Entry], *, root: bytes, token: str, progress: Progress
) -> None:
    """Write ``entries``, as they lie below ``root``, into the slot.

    The release is what its manifest says, and that is what the preview showed. A file that is another one by now (an
    editor saving it, a checkout under way) is waited for. Raises ContentChangedError naming one that does not become
    again what it was; the slot is incomplete then, and never goes live as it is.
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
        progress.say(f"{names} changed while it was published; looking again in {pause:g} s")
        await asyncio.sleep(pause)
    raise ContentChangedError(
        f"{names} changed while it was published, and is no longer what the preview showed; nothing went live."
        " Let nothing write to the content, then preview and run again"
    )
