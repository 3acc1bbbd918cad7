"""Publishing: what differs into a slot nobody reads, verified, made live by a rename, verified again."""

from __future__ import annotations

import asyncio
import os
import time
from asyncio import sleep
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from connectors.ssh import ConnectError
from publisher.commit import commit_of
from publisher.confirmation import NOBODY, Confirmation
from publisher.delta import Delta
from publisher.deployment import Deployment, deploying
from publisher.history import Kind
from publisher.manifest import Entry, Manifest
from publisher.parallel import in_shares, together
from publisher.participants import assemble
from publisher.progress import Progress
from publisher.remote import Place, PublishError, RemoteSite
from publisher.slots import Flip, SiteState, Slot, Unchanged, Write, decide
from publisher.stream import TarStream
from publisher.upload import send
from publisher.written_parts import WrittenParts
from settings import Minion

#: Side by side: a Gluster volume takes many small files at once far faster than one after the other. With `hold` they
#: are sessions of one connection, of which sshd allows 10 (MaxSessions); where it allows fewer they take turns.
WRITERS = 8
#: A slot is rewritten at the earliest this long after it was retired, so that no late reader is torn.
GRACE_SECONDS = 10


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to publish, where, and who must confirm it.

    ``read`` gives the manifest of the directory ``source``; it may take its time, in which the minions are reached.
    """

    source: Path
    read: Callable[[], Manifest]
    place: Place
    confirmation: Confirmation = field(default_factory=Confirmation)
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
    """Make what ``order`` reads live. Raises PublishError, ConnectError, and what reading raises.

    Whatever happens, and whenever: what was live stays live and whole until the new release is proven to be
    there, and then it stays as the previous one.
    """
    began = time.monotonic()
    seen = dict[str, SiteState]()

    async def proof(site: RemoteSite) -> None:
        seen[site.minion.name] = await site.glance()

    reading = asyncio.create_task(_read(order))
    try:
        # Only of a sample it matters what is published: another release is verified by others.
        turn = "" if order.confirmation.sample is None else (await reading)[0].release
        async with assemble(
            minions, order.place, confirmation=order.confirmation, turn=turn, say=progress.say, proof=proof
        ) as participants:
            manifest, commit = await reading
            before = seen[participants.publisher.minion.name]
            async with deploying(participants, progress, seen=before, release=manifest.release) as deployment:
                run = _Run(deployment=deployment, order=order, manifest=manifest, commit=commit)
                slot, action, delta = await run.carry_out()
    except (PublishError, ConnectError):
        await reading  # an error of the content comes before an error of the minions
        raise
    finally:
        reading.cancel()
    files = [entry for entry in manifest.entries if entry.is_file]
    return Outcome(
        release=manifest.release,
        slot=slot,
        action=action,
        files=len(files),
        bytes=sum(entry.size for entry in files),
        written=len(delta.write),
        removed=delta.gone,
        publisher=participants.publisher.minion.name,
        verified_by=participants.verified,
        seconds=round(time.monotonic() - began, 2),
    )


async def _read(order: Order) -> tuple[Manifest, str | None]:
    """The manifest, and the commit that it is at."""
    manifest = await asyncio.to_thread(order.read)
    return manifest, await asyncio.to_thread(commit_of, order.source, manifest)


async def remove(minions: Sequence[Minion], place: Place, *, release: str) -> bool:
    """Delete the site while ``release`` is live; False, and nothing done, when it is not.

    A removal that was cut off, so that nothing is live, is ended.
    """
    async with assemble(minions, place, confirmation=NOBODY) as participants:
        state = await participants.publisher.state()
        if not state.exists or (state.live is not None and state.live_release != release):
            return False
        async with deploying(participants, Progress()) as deployment:
            return await participants.publisher.remove(deployment.token, release)


@dataclass(frozen=True, kw_only=True)
class _Run:
    """One publish, holding the lock."""

    deployment: Deployment
    order: Order
    manifest: Manifest
    commit: str | None

    async def carry_out(self) -> tuple[Slot, Literal["unchanged", "flipped", "written"], Delta]:
        manifest, deployment = self.manifest, self.deployment
        state = deployment.state
        decision = decide(state, manifest.release)
        nothing = Delta(remove=(), directories=(), write=(), gone=0)
        match decision:
            case Unchanged(slot=slot):
                await deployment.verify_live(slot, manifest.release)
                return slot, "unchanged", nothing
            case Flip(slot=slot):
                await deployment.verify_files(slot, await deployment.sample(state, manifest))
                # Written by a publish that was cut off just before its flip, it goes live for the first time.
                kind: Kind = "flipped-back-by-up" if state.since[slot] else "published"
                await deployment.go_live(state, slot, manifest.release, kind=kind, commit=self.commit)
                return slot, "flipped", nothing
            case Write(slot=slot):
                delta = await self._write(state, decision)
                await deployment.go_live(state, slot, manifest, kind="published", commit=self.commit)
                return slot, "written", delta

    async def _write(self, state: SiteState, decision: Write) -> Delta:
        manifest, slot = self.manifest, decision.slot
        deployment, progress = self.deployment, self.deployment.progress
        base = None if decision.base is None else await deployment.manifest(slot, decision.base)
        delta = Delta.between(base, manifest)
        if wait := state.to_wait(slot, self.order.grace):
            progress.say(f"waiting {wait:.0f} s: somebody may still read slot {slot}")
            await sleep(wait)
        # Whom we cannot do without stops us as soon as that is known.
        entries, written = [entry for entry in delta.write if entry.kind != "dir"], WrittenParts()
        async with deployment.verifying(slot, entries, written):
            filling = self._fill(slot, delta, entries, written, fresh=base is None)
            await together([filling, deployment.participants.muster()])
        return delta

    async def _fill(
        self, slot: Slot, delta: Delta, entries: Sequence[Entry], written: WrittenParts, *, fresh: bool
    ) -> None:
        root, progress = os.fsencode(self.order.source), self.deployment.progress
        publisher, token = self.deployment.participants.publisher, self.deployment.token
        with progress.phase(
            "writing",
            f"writing {len(delta.write)} of {len(self.manifest.entries)} files and removing {delta.gone}"
            f" in slot {slot} through {publisher.minion.name}",
            files=len(entries),
            size=sum(entry.size for entry in entries if entry.is_file),
        ):
            await publisher.begin(token, slot, fresh=fresh, remove=delta.remove)
            if delta.directories:
                # Before the files and by one: of two tars that make the same directory one fails.
                stream = TarStream(root=root, entries=delta.directories, moved=lambda *_: None)
                await publisher.extract(token, slot, stream)
            shares = in_shares(entries, self.order.writers)

            async def write() -> None:
                for share in shares:
                    await send(publisher, slot, share, root=root, token=token, progress=progress)
                    written.add(share)

            await together(write() for _ in range(self.order.writers))
        written.end()
