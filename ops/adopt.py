"""``python -m ops adopt``: a site directory that no publish made becomes the first release, where it is."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from dataclasses import replace

from connectors.ssh import ConnectError
from ops.arguments import add_stack_option
from ops.errors import OpsError
from ops.farm import Stack, stack_of
from ops.finding import plain
from ops.prompt import add_prompt_options, confirmed, require_answer
from ops.pulumi import Pulumi
from publisher.adopt import Adoptable, Adoption, Docroot, adopt, adoption_of
from publisher.confirmation import Confirmation
from publisher.progress import Progress
from publisher.remote import Place, PublishError
from settings import Minion


def options(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    add_stack_option(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument(
        "--docroot",
        choices=["auto", "html", "site"],
        default="auto",
        help="what is served now: `html` below the site's directory, or the site's directory itself"
        " (default: whichever it is)",
    )
    add_prompt_options(parser)
    parser.epilog = (
        "Nothing is copied: the served directory moves into a slot, and a link takes its place. The output says how"
        " long it was absent. Exit status: 0 adopted, 1 not, 2 it could not be tried."
    )


def run(options: argparse.Namespace) -> int:
    """Adopt the site; give the exit status. Raises OpsError."""
    require_answer(options, "adopt")
    pulumi = Pulumi(stack=options.stack, environment=dict(os.environ))
    try:
        if not options.yes:
            plan = asyncio.run(_plan(pulumi, options.docroot))
            if options.dry_run:
                print(json.dumps(_planned(plan)) if options.json else "\n".join(map(plain, _plan_text(plan))))
                return 0
            if not confirmed(_plan_text(plan), "Adopt it?"):
                return 1
        path, adoption = asyncio.run(_run(pulumi, options.docroot))
    except (PublishError, ConnectError) as error:
        print(f"error: {plain(str(error))}", file=sys.stderr)
        return 1
    print(json.dumps(_object(path, adoption)) if options.json else "\n".join(map(plain, _text(path, adoption))))
    return 0


async def _plan(pulumi: Pulumi, docroot: Docroot) -> Adoptable:
    stack, minions, place = await _foreign_site(pulumi)
    return await adoption_of(minions, place, docroot=docroot, shared=_shared(stack))


async def _run(pulumi: Pulumi, docroot: Docroot) -> tuple[str, Adoption]:
    stack, minions, place = await _foreign_site(pulumi)
    # All of them, not a sample: each must notice that the site's directory is another one (publish.sh, enter_site).
    confirmation = replace(Confirmation.of(stack.config), sample=None)
    return place.path, await adopt(
        minions, place, confirmation=confirmation, docroot=docroot, shared=_shared(stack), progress=Progress()
    )


def _shared(stack: Stack) -> list[str]:
    return [it.path for it in stack.config.shared]


async def _foreign_site(pulumi: Pulumi) -> tuple[Stack, list[Minion], Place]:
    """On the volume that is mounted, the site of the configuration: the state has none, for its publish was refused."""
    stack = await stack_of(pulumi)
    minions = [minion for minion in stack.inventory.minions if minion.name in stack.state.mounts]
    if not minions:
        raise OpsError("no minion of the inventory has the volume mounted yet; run `pulumi up` first")
    mount = stack.state.mounts[minions[0].name]
    place = Place(mount=mount.path, volume=mount.volume, site=stack.config.content.site)
    return stack, minions, place


def _planned(plan: Adoptable) -> dict[str, object]:
    return {
        "dryRun": True,
        "path": plan.path,
        "cutOff": plan.is_cut_off,
        "files": plan.files,
        "bytes": plan.size,
        "notKept": plan.odd,
    }


def _plan_text(plan: Adoptable) -> list[str]:
    if plan.is_cut_off:
        return [f"an adoption of {plan.path} was cut off; it would be finished"]
    return [
        f"{plan.path}, {plan.files} files, {plan.size} bytes, would move into a slot and be the live release; for some"
        " milliseconds new requests would not find it",
        *(f"of the next releases: {reason}" for reason in plan.odd),
    ]


def _object(path: str, adoption: Adoption) -> dict[str, object]:
    return {
        "path": path,
        "release": adoption.record.release,
        "slot": adoption.record.slot,
        "files": adoption.record.files,
        "bytes": adoption.record.bytes,
        "gapMilliseconds": adoption.gap,
        "notKept": adoption.odd,
        "publisher": adoption.publisher,
        "verifiedBy": adoption.verified_by,
        "seconds": adoption.seconds,
    }


def _text(path: str, adoption: Adoption) -> list[str]:
    record = adoption.record
    gap = "an earlier run moved it" if adoption.gap is None else f"it was not there for {adoption.gap} ms at most"
    return [
        f"{path} is adopted: release {record.release}, {record.files} files, is live in slot {record.slot}; {gap}",
        *(f"of the next releases: {reason}" for reason in adoption.odd),
        "`pulumi up` publishes to it now; content that is the same is found live",
    ]
