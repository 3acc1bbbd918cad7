"""Another release made live without the content at hand: what lies whole in a slot, by one flip."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from publisher.confirmation import NOBODY, Confirmation
from publisher.deployment import deploying
from publisher.history import Record
from publisher.participants import assemble
from publisher.progress import Progress
from publisher.remote import Place, PublishError
from publisher.slots import SLOTS, Flip, SiteState, Slot, Unchanged, decide
from settings import Minion

_RELEASE: Final = re.compile(r"[0-9a-f]{12}")
_NOT_WHOLE: Final = "damaged, or was being written over: its manifest does not agree with it"


class UnavailableError(PublishError):
    """The release asked for cannot be gone to; nothing was done."""


@dataclass(frozen=True, kw_only=True)
class Switch:
    """What was made live, as the log says it, through which minion, and who proved it."""

    record: Record
    publisher: str
    verified_by: tuple[str, ...]
    seconds: float


async def roll_back(
    minions: Sequence[Minion], place: Place, *, confirmation: Confirmation, to: str | None, progress: Progress
) -> Switch:
    """Make the release ``to`` live, or the previous one; proven as a publish is, and undone where it cannot be.

    Raises UnavailableError, PublishError, ConnectError.
    """
    began = time.monotonic()
    async with assemble(minions, place, confirmation=confirmation, turn=to or "", say=progress.say) as participants:
        publisher = participants.publisher
        choose(await publisher.state(), to)  # before anything is touched, the lock included
        async with deploying(participants, progress) as deployment:
            state = deployment.state
            slot = choose(state, to)
            manifest = await publisher.manifest(slot)
            release = manifest.release
            await deployment.verify_files(slot, await deployment.sample(state, manifest))
            commits = [record.commit for record in await publisher.log() if record.release == release]
            commit = next((commit for commit in reversed(commits) if commit), None)
            record = await deployment.go_live(state, slot, release, kind="rolled-back", commit=commit)
    return Switch(
        record=record,
        publisher=publisher.minion.name,
        verified_by=participants.verified,
        seconds=round(time.monotonic() - began, 2),
    )


async def switch_of(minions: Sequence[Minion], place: Place, *, to: str | None) -> tuple[SiteState, Slot]:
    """What is there, and the slot that ``roll_back`` would make live; changes nothing.

    Raises UnavailableError, PublishError, ConnectError.
    """
    async with assemble(minions, place, confirmation=NOBODY, turn=to or "") as participants:
        state = await participants.publisher.state()
    return state, choose(state, to)


def available(state: SiteState) -> list[tuple[Slot, str]]:
    """The releases that one flip makes live, the previous one first."""
    held = [(slot, state.releases[slot]) for slot in SLOTS if slot != state.live]
    whole = [(slot, release) for slot, release in held if release is not None]
    return sorted(whole, key=lambda it: (it[0] != state.previous, it[0]))


def damaged(state: SiteState) -> list[tuple[Slot, str]]:
    """The slots that name a release and do not hold it whole."""
    named = [(slot, state.named.get(slot)) for slot in SLOTS if state.releases.get(slot) is None]
    return [(slot, release) for slot, release in named if release is not None]


def choose(state: SiteState, to: str | None) -> Slot:
    """The slot to make live, for the release ``to`` or the previous one. Raises UnavailableError."""
    there = ", ".join(f"{release} (slot {slot})" for slot, release in available(state)) or "nothing"
    remedy = f"can be gone to at once: {there}; any other one is published with its content (`pulumi up`)"
    if to is None:
        if state.previous is None:
            raise UnavailableError(f"the site does not have a previous release; {remedy}")
        if state.releases[state.previous] is None:
            raise UnavailableError(f"the previous release, in slot {state.previous}, is {_NOT_WHOLE}; {remedy}")
        return state.previous
    if not _RELEASE.fullmatch(to):
        raise UnavailableError(f"'{to}' is not a release: one has 12 hex digits, as 8a749ea8c427; {remedy}")
    match decide(state, to):
        case Unchanged(slot=slot):
            raise UnavailableError(f"release {to} is live already, in slot {slot}; {remedy}")
        case Flip(slot=slot):
            return slot
    for slot, release in damaged(state):
        if release == to:
            raise UnavailableError(f"release {to}, in slot {slot}, is {_NOT_WHOLE}; {remedy}")
    raise UnavailableError(f"release {to} is in no slot; {remedy}")
