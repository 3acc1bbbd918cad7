"""``python -m ops rollback``: another release made live by one flip, without the content at hand."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from dataclasses import dataclass

from connectors.ssh import ConnectError
from ops.arguments import add_stack_option
from ops.errors import OpsError
from ops.farm import stack_of
from ops.finding import plain
from ops.prompt import add_prompt_options, confirmed, require_answer
from ops.pulumi import Pulumi
from ops.site import StackSite, site_of
from publisher.confirmation import Confirmation
from publisher.progress import Progress
from publisher.remote import PublishError
from publisher.rollback import Switch, UnavailableError, roll_back, switch_of
from publisher.slots import Slot


def options(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    add_stack_option(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument(
        "--to",
        metavar="RELEASE",
        help="the release, 12 hex digits, that a slot must hold whole (default: the previous one, so that a second"
        " rollback goes forward again); `python -m ops releases` lists them",
    )
    add_prompt_options(parser)
    parser.epilog = (
        "The release is verified through other minions before and after the flip, which is undone where that fails."
        " Exit status: 0 it is live, 1 it is not, 2 it could not be tried."
    )


def run(options: argparse.Namespace) -> int:
    """Make the release live; give the exit status. Raises OpsError."""
    require_answer(options, "rollback")
    pulumi = Pulumi(stack=options.stack, environment=dict(os.environ))
    try:
        to = options.to
        if not options.yes:
            plan = asyncio.run(_plan(pulumi, to))
            if options.dry_run:
                print(json.dumps(plan.object()) if options.json else "\n".join(map(plain, plan.text())))
                return 0
            if not confirmed(plan.text(), f"Make release {plan.release} live?"):
                return 1
            # What was agreed to, whatever has been published since.
            to = plan.release
        site, switch = asyncio.run(_run(pulumi, to))
    except UnavailableError as error:
        raise OpsError(str(error)) from None
    except (PublishError, ConnectError) as error:
        print(f"error: {plain(str(error))}", file=sys.stderr)
        return 1
    print(json.dumps(_object(site, switch)) if options.json else "\n".join(map(plain, _text(site, switch))))
    return 0


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What a rollback would do: ``release`` in ``slot`` would be live instead of ``replaced``."""

    site: StackSite
    release: str
    slot: Slot
    replaced: str | None

    def object(self) -> dict[str, object]:
        return {
            "dryRun": True,
            "stack": self.site.stack,
            "release": self.release,
            "slot": self.slot,
            "replaced": self.replaced,
            "stackRelease": self.site.published.release or None,
        }

    def text(self) -> list[str]:
        place = self.site.published.place
        return [
            f"release {self.release}, in slot {self.slot}, would be live instead of {self.replaced or 'nothing'}: stack"
            f" {self.site.stack}, {place.path} on volume {place.volume}"
        ]


async def _plan(pulumi: Pulumi, to: str | None) -> _Plan:
    site = site_of(await stack_of(pulumi))
    state, slot = await switch_of(site.minions, site.published.place, to=to)
    release = state.releases[slot]
    assert release is not None  # noqa: S101 (it was chosen because it is whole)
    return _Plan(site=site, release=release, slot=slot, replaced=state.named_live)


async def _run(pulumi: Pulumi, to: str | None) -> tuple[StackSite, Switch]:
    stack = await stack_of(pulumi)
    site, confirmation = site_of(stack), Confirmation.of(stack.config)
    return site, await roll_back(
        site.minions, site.published.place, confirmation=confirmation, to=to, progress=Progress()
    )


def _object(site: StackSite, switch: Switch) -> dict[str, object]:
    wanted = site.published.release
    return {
        "stack": site.stack,
        "release": switch.record.release,
        "slot": switch.record.slot,
        "replaced": switch.record.replaced,
        "publisher": switch.publisher,
        "verifiedBy": switch.verified_by,
        "seconds": switch.seconds,
        "stackRelease": wanted or None,
        "differs": bool(wanted) and switch.record.release != wanted,
        "log": switch.record.json(),
    }


def _text(site: StackSite, switch: Switch) -> list[str]:
    record = switch.record
    changes = ""
    if record.added is not None:
        changes = f": {record.added} files added, {record.changed} changed, {record.removed} removed"
    by = ", ".join(switch.verified_by)
    lines = [
        f"release {record.release} is live in slot {record.slot} instead of {record.replaced or 'nothing'}{changes}",
        f"through {switch.publisher}, verified by {by}, in {switch.seconds:.1f} s",
    ]
    return [*lines, *(site.differs(record.release, record.commit) or ["stack and volume agree"])]
