"""A deployment, which holds a site's lock: it proves what a slot holds, makes it live, and proves that."""

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
from publisher.delta import Delta
from publisher.history import Kind, Note, Record
from publisher.manifest import Entry, Manifest
from publisher.participants import Participants
from publisher.progress import Ahead, Progress
from publisher.remote import PublishError, RemoteSite
from publisher.slots import Flip, SiteState, Slot, Unchanged, Write, decide
from publisher.verify import verify_files, verify_live, verify_written
from publisher.written_parts import WrittenParts

#: A slot that goes live again was verified when it was written. Then this many changed files prove enough.
_SAMPLE = 200
#: For so long an undoing that fails is tried again.
UNDO_SECONDS = 30.0


@asynccontextmanager
async def deploying(
    participants: Participants, progress: Progress, *, seen: SiteState | None = None, release: str = ""
) -> AsyncIterator[Deployment]:
    """Hold the site's lock through the publisher. Raises PublishError if another deployment holds it.

    If ``seen``, the state before, and the next ``release`` are known, the manifest of that release is read meanwhile.
    """
    token, who, known = secrets.token_hex(8), holder(), dict[str, Manifest]()
    ahead = asyncio.create_task(_read_ahead(participants.publisher, seen, release, known))
    try:
        async with participants.publisher.hold(token, who) as said:
            await ahead
            yield Deployment(
                participants=participants,
                progress=progress,
                token=token,
                holder=who,
                state=SiteState.parse(said),
                known=known,
            )
    finally:
        ahead.cancel()
        await asyncio.gather(ahead, return_exceptions=True)


async def _read_ahead(site: RemoteSite, seen: SiteState | None, release: str, known: dict[str, Manifest]) -> None:
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
        with contextlib.suppress(PublishError, ConnectError):  # an error is reported when the manifest is needed
            found = await site.manifest(needed)
            known[found.release] = found  # nobody holds the lock yet: the slot may be another release's by now


def holder() -> str:
    """Who deploys, for a reader of the lock or the log: one line of printable text."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    text = f"{user}@{socket.gethostname()} (process {os.getpid()})"
    return "".join(character if character.isprintable() else "?" for character in text)


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What the participants may do while they hold the lock under ``token``.

    ``state`` is the site's state when the lock was taken; ``known`` are manifests by release.
    """

    participants: Participants
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
            found = await self.participants.publisher.manifest(slot)
            if found.release != release:
                raise PublishError(
                    f"slot {slot} of {self.participants.publisher.path} holds release {found.release}, and {release}"
                    " was there when this deployment began: something writes there without the lock: find out what, and"
                    " run again"
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
            await self.participants.each(lambda site: verify_files(site, slot, entries, moved=self.progress.moved))

    @asynccontextmanager
    async def verifying(self, slot: Slot, entries: Sequence[Entry], written: WrittenParts) -> AsyncIterator[None]:
        """Have ``entries`` read as they get ``written`` in the context; on leaving it, prove that all are right.

        Raises PublishError, ConnectError.
        """
        ahead = self.progress.ahead()
        reading = asyncio.ensure_future(
            self.participants.each(lambda site: verify_written(site, slot, written, moved=ahead.moved))
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
            f"verifying {len(entries)} files of slot {slot} through {self.participants.others}",
            files=len(entries) * self.participants.readers,
            size=sum(entry.size for entry in entries) * self.participants.readers,
            ahead=ahead,
        )

    async def verify_live(self, slot: Slot, release: str) -> None:
        """Prove that the release is live on all participants. Raises PublishError, ConnectError."""
        self.progress.say(f"seeing release {release} live through {self.participants.others}")
        await self.participants.each(lambda site: verify_live(site, slot, release), publisher=True)

    async def go_live(
        self, state: SiteState, slot: Slot, what: Manifest | str, *, kind: Kind, commit: str | None
    ) -> Record:
        """Flip, prove it on every participant, and undo the flip if the proof fails; return the line of the log.

        ``what`` is the release in the slot, or the manifest of a slot that is written and not yet declared whole.
        Raises PublishError, ConnectError.
        """
        publisher, note = self.participants.publisher, Note(kind=kind, who=self.holder, commit=commit)
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
                undone = await self.participants.publisher.unflip(
                    self.token, state.live, Note(kind="undone", who=self.holder)
                )
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
