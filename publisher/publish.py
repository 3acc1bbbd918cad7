"""Publishing: what differs into a slot nobody reads, verified, made live by a rename, verified again."""

from __future__ import annotations

import asyncio
import getpass
import os
import secrets
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from connectors.ssh import ConnectError
from publisher.crew import Crew, assemble
from publisher.delta import Delta
from publisher.manifest import Entry, Manifest
from publisher.parallel import in_parts, together
from publisher.progress import Progress
from publisher.remote import Place, PublishError
from publisher.slots import Flip, Slot, State, Unchanged, Write, decide
from publisher.stream import tar_stream
from publisher.verify import verify_files, verify_live
from settings import Minion

#: Side by side: a Gluster volume takes many small files at once far faster than one after the other.
WRITERS = 4
#: A slot is rewritten at the earliest this long after it was retired, so that no late reader is torn.
GRACE_SECONDS = 10
#: A slot that only goes live again was verified when it was written: so many changed files prove enough.
_SAMPLE = 200


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to publish (``source``, with its manifest), and where."""

    source: Path
    manifest: Manifest
    place: Place
    grace: float = GRACE_SECONDS
    writers: int = WRITERS


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a publish did: ``files`` and ``bytes`` of the release, ``written`` and ``removed`` entries."""

    release: str
    slot: Slot
    action: Literal["unchanged", "flipped", "written"]
    files: int
    bytes: int
    written: int
    removed: int
    publisher: str
    verified_by: tuple[str, ...]
    seconds: float


async def publish(minions: Sequence[Minion], order: Order, progress: Progress) -> Outcome:
    """Make ``order.manifest`` live. Raises PublishError, ConnectError, ManifestError.

    Whatever happens, and whenever: what was live stays live and whole until the new release is proven to be
    there, and then it stays as the previous one.
    """
    began = time.monotonic()
    async with assemble(minions, order.place) as crew:
        for reason in crew.passed_over:
            progress.say(f"warning: left out: {reason}")
        token = secrets.token_hex(8)
        async with crew.publisher.hold(token, _holder()):
            run = _Run(crew=crew, order=order, progress=progress, token=token)
            slot, action, delta = await run.carry_out()
    files = [entry for entry in order.manifest.entries if entry.is_file]
    return Outcome(
        release=order.manifest.release,
        slot=slot,
        action=action,
        files=len(files),
        bytes=sum(entry.size for entry in files),
        written=len(delta.write),
        removed=delta.gone,
        publisher=crew.publisher.minion.name,
        verified_by=tuple(site.minion.name for site in crew.verifiers),
        seconds=round(time.monotonic() - began, 2),
    )


async def remove(minions: Sequence[Minion], place: Place, *, release: str) -> bool:
    """Delete the site while ``release`` is live; False, and nothing done, when it is not."""
    async with assemble(minions, place, verifiers=0) as crew:
        if (await crew.publisher.state()).live_release != release:
            return False
        token = secrets.token_hex(8)
        async with crew.publisher.hold(token, _holder()):
            return await crew.publisher.remove(token, release)


@dataclass(frozen=True, kw_only=True)
class _Run:
    """One publish, holding the lock."""

    crew: Crew
    order: Order
    progress: Progress
    token: str

    async def carry_out(self) -> tuple[Slot, Literal["unchanged", "flipped", "written"], Delta]:
        manifest, publisher = self.order.manifest, self.crew.publisher
        state = await publisher.state()
        decision = decide(state, manifest.release)
        nothing = Delta(remove=(), directories=(), write=(), gone=0)
        match decision:
            case Unchanged(slot=slot):
                await self._verify_live(slot)
                return slot, "unchanged", nothing
            case Flip(slot=slot):
                await self._verify_files(slot, await self._sample(state))
                await self._go_live(state, slot)
                return slot, "flipped", nothing
            case Write(slot=slot):
                delta = await self._write(state, decision)
                await self._go_live(state, slot)
                return slot, "written", delta

    async def _sample(self, state: State) -> Sequence[Entry]:
        """Some of the files in which the release differs from what is live."""
        live = await self.crew.publisher.manifest(state.live) if state.live and state.live_release else None
        changed = Delta.between(live, self.order.manifest).write
        return changed[:: max(1, -(-len(changed) // _SAMPLE))]

    async def _write(self, state: State, decision: Write) -> Delta:
        manifest, publisher, slot = self.order.manifest, self.crew.publisher, decision.slot
        base = None if decision.base is None else await publisher.manifest(slot)
        delta = Delta.between(base, manifest)
        if wait := state.to_wait(slot, self.order.grace):
            self.progress.say(f"waiting {wait:.0f} s: somebody may still read slot {slot}")
            await asyncio.sleep(wait)
        size = sum(entry.size for entry in delta.write if entry.is_file)
        self.progress.start(
            f"writing {len(delta.write)} of {len(manifest.entries)} files and removing {delta.gone}"
            f" in slot {slot} through {publisher.minion.name}",
            files=len(delta.write),
            size=size,
        )
        await publisher.begin(self.token, slot, fresh=base is None, remove=delta.remove)
        await self._extract(slot, delta)
        await self._verify_files(slot, delta.write)
        await publisher.commit(self.token, slot, manifest)
        return delta

    async def _extract(self, slot: Slot, delta: Delta) -> None:
        publisher, root = self.crew.publisher, os.fsencode(self.order.source)
        if delta.directories:
            # Before the files and by one: of two tars that make the same directory one fails.
            stream = tar_stream(root, delta.directories, lambda *_: None)
            await publisher.extract(self.token, slot, stream)
        await together(
            publisher.extract(self.token, slot, tar_stream(root, part, self.progress.moved))
            for part in in_parts([entry for entry in delta.write if entry.kind != "dir"], self.order.writers)
        )

    async def _verify_files(self, slot: Slot, entries: Sequence[Entry]) -> None:
        names = ", ".join(site.minion.name for site in self.crew.verifiers)
        self.progress.say(f"verifying {len(entries)} files of slot {slot} through {names}")
        await together(verify_files(site, slot, entries) for site in self.crew.verifiers)

    async def _verify_live(self, slot: Slot) -> None:
        release = self.order.manifest.release
        await together(verify_live(site, slot, release) for site in self.crew.everyone)

    async def _go_live(self, state: State, slot: Slot) -> None:
        """Flip, prove it on every minion of the crew, and undo it where it cannot be proven."""
        publisher, release = self.crew.publisher, self.order.manifest.release
        await publisher.flip(self.token, slot, release)
        try:
            await self._verify_live(slot)
        except (PublishError, ConnectError) as error:
            was = "nothing" if state.live is None else f"release {state.live_release or '?'} in slot {state.live}"
            try:
                await publisher.unflip(self.token, state.live)
            except (PublishError, ConnectError) as also:
                raise PublishError(f"{error}; and the flip could not be undone: {also}") from None
            raise PublishError(f"{error}; the flip was undone, {was} is live") from None
        self.progress.say(f"release {release} is live in slot {slot}")


def _holder() -> str:
    """Who we are, for whoever finds the lock taken: one line of printable text."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    text = f"{user}@{socket.gethostname()} (process {os.getpid()})"
    return "".join(character if character.isprintable() else "?" for character in text)
