"""``python -m ops releases``: what is live, what is one flip away, and the release log. Changes nothing."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from connectors.ssh import ConnectError
from ops.arguments import add_stack_option
from ops.errors import OpsError
from ops.farm import stack_of
from ops.finding import plain
from ops.pulumi import Pulumi
from ops.site import StackSite, site_of, table
from publisher.confirmation import NOBODY
from publisher.history import Record
from publisher.participants import assemble
from publisher.remote import PublishError, RemoteSite
from publisher.rollback import available, damaged
from publisher.slots import SiteState

#: If a flip comes between two questions, both are asked again after this many seconds.
_AGAIN_SECONDS = 0.5
_COMMIT_DIGITS = 12
_COLUMNS = ("when", "release", "replaced", "slot", "how", "files", "commit", "who")


@dataclass(frozen=True, kw_only=True)
class Releases:
    """A site's slots and its log, the oldest flip first, as ``minion`` sees them."""

    site: StackSite
    minion: str
    state: SiteState
    log: tuple[Record, ...]

    @property
    def recorded(self) -> bool:
        """Whether the log ends with what is live."""
        return not self.log or (self.log[-1].slot, self.log[-1].release) == (self.state.live, self.state.named_live)

    @property
    def commit(self) -> str | None:
        """The git commit of what is live, as far as the log knows."""
        return self.log[-1].commit if self.log and self.recorded else None


def options(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    add_stack_option(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.epilog = "Exit status: 0 shown, 2 could not check. What each column means: docs/publishing.md."


def run(options: argparse.Namespace) -> int:
    """Read the releases and print them. Raises OpsError."""
    found, unreachable = asyncio.run(_read(Pulumi(stack=options.stack, environment=dict(os.environ))))
    for reason in unreachable:
        print(f"warning: left out: {plain(reason)}", file=sys.stderr)
    print(json.dumps(_object(found)) if options.json else "\n".join(_text(found)))
    return 0


async def _read(pulumi: Pulumi) -> tuple[Releases, tuple[str, ...]]:
    site = site_of(await stack_of(pulumi))
    try:
        async with assemble(site.minions, site.published.place, confirmation=NOBODY) as participants:
            found = await releases_of(site, participants.publisher)
            if not found.recorded:
                await asyncio.sleep(_AGAIN_SECONDS)
                found = await releases_of(site, participants.publisher)
            return found, participants.unreachable
    except (PublishError, ConnectError) as error:
        raise OpsError(str(error)) from None


async def releases_of(site: StackSite, seen: RemoteSite) -> Releases:
    """What one minion sees. Raises PublishError, ConnectError."""
    state = await seen.state()
    log = await seen.log() if state.exists else []
    return Releases(site=site, minion=seen.minion.name, state=state, log=tuple(log))


def _object(found: Releases) -> dict[str, object]:
    state, place = found.state, found.site.published.place
    return {
        "stack": found.site.stack,
        "path": place.path,
        "volume": place.volume,
        "minion": found.minion,
        "live": state.live
        and {
            "release": state.named_live,
            "slot": state.live,
            "since": _when(state.since[state.live]),
            "whole": state.live_release is not None,
        },
        "available": [
            {"release": release, "slot": slot, "previous": slot == state.previous} for slot, release in available(state)
        ],
        "damaged": [{"release": release, "slot": slot} for slot, release in damaged(state)],
        "stackRelease": found.site.published.release or None,
        "log": [record.json() for record in found.log],
    }


def _text(found: Releases) -> Iterator[str]:
    place = found.site.published.place
    yield f"stack {found.site.stack}: {place.path} on volume {place.volume}, as {found.minion} sees it"
    yield from table(_slots(found))
    if not found.recorded:
        yield "the log does not end with what is live: somebody changed the link or the log by hand"
    yield from found.site.differs(found.state.named_live, found.commit)
    if found.log:
        yield ""
        yield from table([_COLUMNS, *_log(found)])


def _slots(found: Releases) -> Iterator[tuple[str, ...]]:
    state, rollback = found.state, found.site.command("rollback")
    if state.live is None:
        yield "live", "nothing", "", ""
    else:
        whole = "" if state.live_release else ", not whole: its manifest does not agree with it"
        yield "live", state.named_live or "?", f"slot {state.live}", f"since {_when(state.since[state.live])}{whole}"
    for slot, release in available(state):
        is_previous = slot == state.previous
        how = rollback if is_previous else found.site.command("rollback", "--to", release)
        yield "previous" if is_previous else "whole", release, f"slot {slot}", how
    for slot, release in damaged(state):
        if slot != state.live:
            yield "not whole", release, f"slot {slot}", "cannot be gone to; the next publish writes it anew"


def _log(found: Releases) -> Iterator[tuple[str, ...]]:
    for record in reversed(found.log):
        commit, dash, dirty = (record.commit or "-").partition("-")
        counts = (record.added, record.changed, record.removed)
        yield tuple(
            plain(cell)
            for cell in (
                record.when,
                record.release or "nothing",
                record.replaced or "nothing",
                record.slot or "-",
                record.kind,
                "not known" if None in counts else "+{} ~{} -{}".format(*counts),
                commit[:_COMMIT_DIGITS] + dash + dirty,
                record.who,
            )
        )


def _when(second: int) -> str | None:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if second else None
