"""The site on the volume, as each minion sees it, against what the stack's state says was published."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import asyncssh

from connectors.ssh import ConnectError
from ops.finding import DriftFinding, quoted
from ops.recorded_stack import Published
from publisher import scan
from publisher.confirmation import NOBODY
from publisher.deployment import deploying
from publisher.history import Record
from publisher.manifest import ManifestError
from publisher.participants import assemble
from publisher.progress import Progress
from publisher.remote import Place, PublishError, RemoteSite
from publisher.rollback import damaged
from publisher.slots import SLOTS, SiteState, Slot
from publisher.verify import disagreements
from settings import Minion, StackConfig

_ALONE = "the others do not see it so: check that minion's mount, and `gluster volume heal VOLUME info`"
_AGAIN = "`python -m ops drift --repair` has it published again"
_DISTRUST = "`python -m ops drift --repair` has nobody go back to it, and a later publish write it anew"
_LOST = "no rollback can go to it; a later publish writes it anew"
_WHOLE = "a slot that is what its manifest says"


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What one minion sees: the slots, by the log ``how`` a live release that is not the stack's went live, and in what
    each slot that was read whole disagrees with its manifest. ``error``: why it sees no more than that.
    """

    state: SiteState | None = None
    how: str = ""
    flaws: Mapping[Slot, list[str]] = field(default_factory=dict)
    error: str = ""


async def see(connection: asyncssh.SSHClientConnection, minion: Minion, published: Published, *, deep: bool) -> Sight:
    """Read the site through one minion's mount; with ``deep`` read every whole release there. Raises nothing."""
    site = RemoteSite(minion=minion, connection=connection, place=published.place)
    state, how, flaws, error = None, "", {}, ""
    try:
        state = await site.state()
        if state.live and state.named_live != published.release:
            how = _how(state, await site.log())
        if deep:
            flaws = await _flaws(site, state)
    except (PublishError, ConnectError) as failure:
        error = str(failure).removeprefix(f"minion {minion.name}: ")
    return Sight(state=state, how=how, flaws=flaws, error=error)


def _how(state: SiteState, log: Sequence[Record]) -> str:
    """How what is live went live; '' where the log does not end with it: then somebody pointed the link elsewhere."""
    return log[-1].kind if log and (log[-1].slot, log[-1].release) == (state.live, state.named_live) else ""


async def _flaws(site: RemoteSite, state: SiteState) -> dict[Slot, list[str]]:
    """In what each whole slot disagrees with its manifest. Raises PublishError, ConnectError."""
    flaws = {}
    for slot in SLOTS:
        if (release := state.releases[slot]) is not None:
            flaw: list[str] | PublishError
            try:
                flaw = await disagreements(site, slot, await site.manifest(slot))
            except PublishError as error:
                flaw = error
            # What a publish has begun to write over meanwhile is nobody's damage.
            if flaw and (await site.state()).releases[slot] != release:
                continue
            if isinstance(flaw, PublishError):
                raise flaw
            flaws[slot] = flaw
    return flaws


def judge_content(published: Published, config: StackConfig, sights: Mapping[str, Sight]) -> list[DriftFinding]:
    """The findings, by minion. What all minions find is one finding without a minion: it is not about their mounts."""
    found = {minion: list(_of(sight, published)) for minion, sight in sights.items()}
    looking = [minion for minion, sight in sights.items() if not sight.error] or [*sights]
    common = [it for it in found[looking[0]] if all(it in found[minion] for minion in looking)] if looking else []
    own = [replace(it, minion=minion) for minion, theirs in found.items() for it in theirs if it not in common]
    return [*(_for_all(it, published, config, sights[looking[0]]) for it in common), *own]


def _of(sight: Sight, published: Published) -> Iterator[DriftFinding]:
    """What one minion sees, with the remedy for where others do not."""
    at, state = published.place.path, sight.state
    if sight.error:
        yield DriftFinding(
            minion="", what="content", wanted=f"a check of {at}", found=quoted(sight.error), remedy=_ALONE
        )
    if state is None:
        return
    if state.named_live != published.release:
        found = f"{state.named_live or 'nothing'} live at {at}"
        yield DriftFinding(minion="", what="release", wanted=published.release, found=found, remedy=_ALONE)
    flaws = {
        slot: "its manifest does not agree with the release that it names"
        for slot, release in damaged(state)
        # A spare one is only waiting to be written, and so is the live one's damaged twin.
        if slot == state.live or (slot == state.previous and release != state.named_live)
    }
    for slot, lines in sight.flaws.items():
        if lines:
            flaws[slot] = lines[0] + (f" (and {len(lines) - 1} more)" if len(lines) > 1 else "")
    for slot, flaw in sorted(flaws.items()):
        yield DriftFinding(
            minion="", what="content", wanted=_WHOLE, found=f"slot {slot} where {flaw}", remedy=_ALONE, slot=slot
        )


def _for_all(finding: DriftFinding, published: Published, config: StackConfig, sight: Sight) -> DriftFinding:
    """The finding with what to do about what everybody sees."""
    state = sight.state
    if state is None or sight.error:
        return replace(finding, remedy="see what is there; what no publish put there `python -m ops adopt` takes over")
    if finding.slot and finding.slot != state.live:
        whole = finding.slot in sight.flaws
        return replace(finding, remedy=_DISTRUST if whole else _LOST, mend="slot" if whole else "")
    if sight.how == "rolled-back":
        back = f"`python -m ops rollback --to {published.release}`"
        return replace(finding, remedy=f"somebody rolled back: `pulumi up` of the content that is live, or {back}")
    if other := _otherwise(published, config):
        return replace(finding, remedy=f"{other}, then `pulumi up` publishes")
    return replace(finding, remedy=_AGAIN, mend="content")


def _otherwise(published: Published, config: StackConfig) -> str:
    """What keeps the publish from being run again as it was, as something to do; '' for nothing."""
    place = Place(mount=config.gluster.mount_path, volume=config.gluster.volume, site=config.content.site)
    if (config.content.source, place) != (published.source, published.place):
        return "the configuration names another source, site, volume or mount path: see `pulumi preview`"
    if not published.intent:
        return "an older version of this program deployed the stack: see `pulumi preview`"
    try:
        release = scan.read(Path(published.source), shared=[it.path for it in config.shared]).release
    except ManifestError as error:
        return f"have the content at hand ({error})"
    return "" if release == published.release else f"see what of {published.source} is not as it was published"


async def distrust(minions: Sequence[Minion], published: Published, slots: Sequence[Slot]) -> str:
    """Mark what is in ``slots`` as damaged for publishes and rollbacks; return '' or what went wrong.

    It takes the lock and checks again first, because somebody may have published meanwhile.
    """
    try:
        async with (
            assemble(minions, published.place, confirmation=NOBODY) as participants,
            deploying(participants, Progress()) as deployment,
        ):
            site = participants.publisher
            state = await site.state()
            for slot in slots:
                if state.releases[slot] is not None and await disagreements(site, slot, await site.manifest(slot)):
                    await site.distrust(deployment.token, slot)
    except (PublishError, ConnectError) as error:
        return str(error)
    return ""
