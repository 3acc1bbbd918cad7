"""``python -m ops rollback``: another release made live by one flip, without the content at hand."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys

from connectors.ssh import ConnectError
from ops.errors import OpsError
from ops.farm import stack_of
from ops.finding import plain
from ops.pulumi import Pulumi
from ops.site import StackSite, site_of
from publisher.jury import Jury
from publisher.progress import Progress
from publisher.remote import PublishError
from publisher.rollback import Switch, UnavailableError, roll_back


def options(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("--stack", metavar="S", help="the stack (default: the selected one)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument(
        "--to",
        metavar="RELEASE",
        help="the release, 12 hex digits, that a slot must hold whole (default: the previous one, so that a second"
        " rollback goes forward again); `python -m ops releases` lists them",
    )
    parser.epilog = (
        "The release is verified through other minions before and after the flip, which is undone where that fails."
        " Exit status: 0 it is live, 1 it is not, 2 it could not be tried."
    )


def run(options: argparse.Namespace) -> int:
    """Make the release live; give the exit status. Raises OpsError."""
    pulumi = Pulumi(stack=options.stack, environment=dict(os.environ))
    try:
        site, switch = asyncio.run(_run(pulumi, options.to))
    except UnavailableError as error:
        raise OpsError(str(error)) from None
    except (PublishError, ConnectError) as error:
        print(f"error: {plain(str(error))}", file=sys.stderr)
        return 1
    print(json.dumps(_object(site, switch)) if options.json else "\n".join(map(plain, _text(site, switch))))
    return 0


async def _run(pulumi: Pulumi, to: str | None) -> tuple[StackSite, Switch]:
    stack = await stack_of(pulumi)
    site, jury = site_of(stack), Jury.of(stack.config)
    return site, await roll_back(site.minions, site.published.place, jury=jury, to=to, progress=Progress())


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
