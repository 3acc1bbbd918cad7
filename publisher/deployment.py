"""A crew that holds a site's lock: proves what a slot holds, makes it live, and proves that."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass

from connectors.ssh import ConnectError
from publisher.crew import Crew
from publisher.delta import Delta
from publisher.history import Kind, Note, Record
from publisher.manifest import Entry, Manifest
from publisher.progress import Ahead, Progress
from publisher.remote import PublishError, RemoteSite
from publisher.slots import Flip, SiteState, Slot, Unchanged, Write, decide
from publisher.verify import verify_files, verify_live, verify_written
from publisher.written import Written

#: A slot that only goes live again was verified when it was written: so many changed files prove enough.
_SAMPLE = 200
#: For so long an undoing that fails is tried again.
UNDO_SECONDS = 30.0


@asynccontextmanager
async def deploying(
    crew: Crew, progress: Progress, *, seen: SiteState | None = None, release: str = ""
) -> AsyncIterator[Deployment]:
    """Hold the site's lock through the crew's publisher. Raises PublishError when another deployment has it.

    Where it is known what was ``seen`` there before, and which ``release`` is to get live, the manifest that this will
    need is fetched meanwhile.
    """
    token, who, known = secrets.token_hex(8), holder(), dict[str, Manifest]()
    ahead = asyncio.create_task(_look_ahead(crew.publisher, seen, release, known))
    try:
        async with crew.publisher.hold(token, who) as said:
            await ahead
            yield Deployment(
                crew=crew, progress=progress, token=token, holder=who, state=SiteState.parse(said), known=known
            )
    finally:
        ahead.cancel()
        await asyncio.gather(ahead, return_exceptions=True)


async def _look_ahead(site: RemoteSite, seen: SiteState | None, release: str, known: dict[str, Manifest]) -> None:
    if seen is None:
        return
    match decide(seen, release):
        case Flip():
            needed = seen.live
        case Write(slot=slot):
            needed = slot
        case Unchanged():
            return
    if needed is not None and seen.releases[needed] is not None:
        with contextlib.suppress(PublishError, ConnectError):  # what is wrong there is told when it matters
            found = await site.manifest(needed)
            known[found.release] = found  # nobody holds the lock yet: the slot may be another release's by now


def holder() -> str:
    """Who we are, for whoever finds the lock taken or reads the log: one line of printable text."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    text = f"{user}@{socket.gethostname()} (process {os.getpid()})"
    return "".join(character if character.isprintable() else "?" for character in text)


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What a crew may do as long as it holds the lock under ``token``; ``state`` is what it found then.

    ``known`` are manifests by release.
    """

    crew: Crew
    progress: Progress
    token: str
    holder: str
    state: SiteState
    known: dict[str, Manifest]

    async def manifest(self, slot: Slot, release: str) -> Manifest:
        """The manifest of ``release``, which ``slot`` holds whole; its text is what gave the release its name.

        Raises PublishError, ConnectError.
        """
        if release not in self.known:
            found = await self.crew.publisher.manifest(slot)
            if found.release != release:
                raise PublishError(
                    f"slot {slot} of {self.crew.publisher.path} holds release {found.release}, and {release} was there"
                    " when this deployment began: something writes there without the lock: find out what, and run again"
                )
            self.known[release] = found
        return self.known[release]

    async def sample(self, state: SiteState, manifest: Manifest) -> Sequence[Entry]:
        """Some of the files in which a release differs from what is live."""
        live = await self.manifest(state.live, state.live_release) if state.live and state.live_release else None
        changed = Delta.between(live, manifest).write
        return changed[:: max(1, -(-len(changed) // _SAMPLE))]

    async def verify_files(self, slot: Slot, entries: Sequence[Entry]) -> None:
        """Prove that those who verify read ``entries`` as they should be. Raises PublishError, ConnectError."""
        entries = [entry for entry in entries if entry.kind != "dir"]
        with self._verifying(slot, entries):
            await self.crew.each(lambda site: verify_files(site, slot, entries, moved=self.progress.moved))

    @asynccontextmanager
    async def verifying(self, slot: Slot, entries: Sequence[Entry], written: Written) -> AsyncIterator[None]:
        """Have ``entries`` read as they get ``written`` in the context; on leaving it, prove that all are right.

        Raises PublishError, ConnectError.
        """
        ahead = self.progress.ahead()
        reading = asyncio.ensure_future(
            self.crew.each(lambda site: verify_written(site, slot, written, moved=ahead.moved))
        )
        try:
            yield
            with self._verifying(slot, entries, ahead):
                await reading
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    def _verifying(
        self, slot: Slot, entries: Sequence[Entry], ahead: Ahead | None = None
    ) -> AbstractContextManager[None]:
        return self.progress.phase(
            "verifying",
            f"verifying {len(entries)} files of slot {slot} through {self.crew.others}",
            files=len(entries) * self.crew.readers,
            size=sum(entry.size for entry in entries) * self.crew.readers,
            ahead=ahead,
        )

    async def verify_live(self, slot: Slot, release: str) -> None:
        """Prove that the whole crew sees the release live. Raises PublishError, ConnectError."""
        self.progress.say(f"seeing release {release} live through {self.crew.others}")
        await self.crew.each(lambda site: verify_live(site, slot, release), publisher=True)

    async def go_live(
        self, state: SiteState, slot: Slot, what: Manifest | str, *, kind: Kind, commit: str | None
    ) -> Record:
        """Flip, prove it on every minion of the crew, and undo it where it cannot be proven; give the log's line.

        ``what`` is the release that the slot holds, or the manifest of what was written to it and is not declared whole
        yet. Raises PublishError, ConnectError.
        """
        publisher, note = self.crew.publisher, Note(kind=kind, who=self.holder, commit=commit)
        release = what.release if isinstance(what, Manifest) else what
        try:
            if isinstance(what, Manifest):
                record = await publisher.release(self.token, slot, what, note)
            else:
                record = await publisher.flip(self.token, slot, release, note)
            await self.verify_live(slot, release)
        except (PublishError, ConnectError) as error:
            # That the flip itself failed does not say that it was not: the rename may have been done.
            raise PublishError(await self._undone(state, str(error))) from None
        self.progress.say(f"release {release} is live in slot {slot}")
        return record

    async def _undone(self, state: SiteState, error: str) -> str:
        """Make live again what was; give ``error`` with what became of that."""
        was = "nothing" if state.live is None else f"release {state.live_release or '?'} in slot {state.live}"
        until = time.monotonic() + UNDO_SECONDS
        while True:
            try:
                undone = await self.crew.publisher.unflip(self.token, state.live, Note(kind="undone", who=self.holder))
            except PublishError as also:
                if time.monotonic() > until:
                    return f"{error}; and the flip could not be undone: {also}"
                await asyncio.sleep(1)  # what failed the flip, a stalled volume say, may be over soon
            except ConnectError as also:
                return (
                    f"{error}; and the flip could not be undone: {also}; `python -m ops releases` says what is live,"
                    f" whole in any case: {was} was"
                )
            else:
                return f"{error}; the flip was undone, {was} is live" if undone else f"{error}; {was} is live as before"
