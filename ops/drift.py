"""``python -m ops drift``: every minion, its node and the site as it sees it against the stack's state, side by side.

Nothing is changed without --repair. A dead minion costs its own time-out and nobody else's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import import_module

from connectors.ssh import ConnectError, connect
from ops.arguments import add_stack_option
from ops.comparison import CONNECT_SECONDS, Comparison, FailedComparison, compare_minion, unreached
from ops.content import Sight, judge_content, see
from ops.errors import OpsError
from ops.farm import Stack, stack_of
from ops.finding import DriftFinding, plain
from ops.judge import judge
from ops.nodes import judge_nodes
from ops.prompt import add_prompt_options, confirmed, require_answer
from ops.pulumi import Pulumi
from ops.recorded_stack import Mount
from ops.repair import Repair, plan, repair
from ops.versions import check_servers, judge_minions
from settings import Minion

#: More logins at once than this would time out on a slow deployer for want of processor alone.
_AT_ONCE = 128


@dataclass(frozen=True, kw_only=True)
class DriftReport:
    """The result of one check: each minion as it was ``seen``, those that were ``skipped``, and the findings.

    ``not_compared``: what else could not be compared, and why. Nothing is known to be wrong there.
    """

    stack: str
    seen: Mapping[str, Comparison | FailedComparison]
    skipped: tuple[str, ...]
    findings: tuple[DriftFinding, ...]
    not_compared: tuple[str, ...] = ()


def options(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    add_stack_option(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument(
        "--repair",
        action="store_true",
        help="repair what can be repaired, then check again: the recorded mount command is run on a minion whose mount"
        " is not as recorded, and `pulumi up --target` for exactly the labels that are missing and for a release that"
        " is not live or not whole",
    )
    parser.add_argument(
        "--deep",
        action="store_true",
        help="read every file of every whole slot through every minion's mount, not only what is live: 10 s and more"
        " for 10,000 files, side by side",
    )
    add_prompt_options(parser)
    parser.epilog = "Exit status: 0 no findings, 1 findings, 2 could not check. What each means: docs/operations.md."


def run(options: argparse.Namespace) -> int:
    """Check, repair with --repair, report; return the exit status. Raises OpsError."""
    if not options.repair and (options.yes or options.dry_run):
        raise OpsError(
            f"{'--yes' if options.yes else '--dry-run'} is for `drift --repair`; without it nothing is changed"
        )
    if options.repair:
        require_answer(options, "drift --repair")
    pulumi = Pulumi(stack=options.stack, environment=dict(os.environ))
    report, repairs, planned = asyncio.run(_run(pulumi, options))
    for it in repairs:
        if it.error:
            print(f"error: {it.minion or 'site'}: {it.what} not repaired: {it.error}", file=sys.stderr)
    if options.json:
        result = _object(report, repairs, mend=options.repair)
        print(json.dumps(result | {"dryRun": True, "planned": planned} if options.dry_run else result))
    else:
        print("\n".join([*(f"dry run: {line}" for line in planned), _text(report, repairs)]))
    return 1 if report.findings else 0


async def _run(pulumi: Pulumi, options: argparse.Namespace) -> tuple[DriftReport, list[Repair], list[str]]:
    """The report, what was repaired, and what a dry run would have."""
    deep = options.deep
    # A second of import, while Pulumi reads the state.
    stack, _ = await asyncio.gather(stack_of(pulumi), asyncio.to_thread(import_module, "kubernetes.client"))
    report = await check_stack(stack, deep=deep)
    repairs: list[Repair] = []
    planned = plan(report.findings) if options.repair else []
    if planned and not options.dry_run and (options.yes or _agreed(report, planned)):
        repairs = await repair(stack, pulumi, report.findings)
        # Anew from the state, which writing a label has changed.
        stack = _as_wanted(await stack_of(pulumi), stack, repairs)
        report = await check_stack(stack, deep=deep)
    # Last, because the servers are to be asked once.
    findings, not_compared = await check_servers(stack, report.seen)
    found = _in_order(stack, [*report.findings, *findings])
    report = replace(report, findings=found, not_compared=tuple(not_compared))
    return report, repairs, planned if options.dry_run else []


def _as_wanted(stack: Stack, before: Stack, repairs: Sequence[Repair]) -> Stack:
    """``stack``, with the labels of ``before`` where writing them failed: the refresh has put what is there instead."""
    failed = {it.minion for it in repairs if it.what == "label" and it.error}
    wanted = {name: label for name, label in before.state.labels.items() if name in failed}
    return replace(stack, state=replace(stack.state, labels={**stack.state.labels, **wanted}))


def _agreed(report: DriftReport, planned: Sequence[str]) -> bool:
    lines = [finding.line() for finding in report.findings if finding.mend]
    return confirmed([*lines, *planned], "Repair this?")


async def check_stack(stack: Stack, *, deep: bool = False) -> DriftReport:
    """Compare everything, side by side; raises nothing that a minion or the cluster could cause."""
    state = stack.state
    minions = {minion.name: minion for minion in stack.inventory.minions}
    down = [name for name, minion in minions.items() if minion.state == "down"]
    checked = [name for name in minions if name in state.mounts and name not in down]
    places = asyncio.Semaphore(_AT_ONCE)

    published = state.published if state.published and state.published.release else None

    async def one(minion: Minion, mount: Mount) -> tuple[Comparison | FailedComparison, Sight | None]:
        async with places:
            try:
                connection = await connect(minion, timeout=CONNECT_SECONDS)
            except ConnectError as error:
                return unreached(minion.name, error), None
            async with connection:
                seen = await compare_minion(connection, mount)
                sight = None
                if published and isinstance(seen, Comparison):
                    sight = await see(connection, minion, published, deep=deep)
            return seen, sight

    nodes = asyncio.to_thread(judge_nodes, state, stack.config.kubernetes, skipped=down)
    checks, of_nodes = await asyncio.gather(
        asyncio.gather(*(one(minions[name], state.mounts[name]) for name in checked)), nodes
    )
    seen = {name: what for name, (what, _) in zip(checked, checks, strict=True)}
    owners = {mount.owner for mount in state.mounts.values()}
    by_mount = {name: judge(state.mounts[name], what, owners=owners) for name, what in seen.items()}
    # If a minion lacks its mount, a finding already says why it does not see the site.
    sights = {
        name: sight
        for name, (_, sight) in zip(checked, checks, strict=True)
        if sight and (sight.state or not any(finding.what == "mount" for finding in by_mount[name]))
    }
    findings = [
        *_strangers(stack, down),
        *(finding for found in by_mount.values() for finding in found),
        *judge_minions(seen),
        *of_nodes,
        *(judge_content(published, stack.config, sights) if published else ()),
    ]
    return DriftReport(stack=state.stack, seen=seen, skipped=tuple(down), findings=_in_order(stack, findings))


def _in_order(stack: Stack, findings: Sequence[DriftFinding]) -> tuple[DriftFinding, ...]:
    """Those of no minion first, then as the inventory has the minions, then those that only the state has."""
    order = {name: place for place, name in enumerate(("", *(minion.name for minion in stack.inventory.minions)))}
    return tuple(sorted(findings, key=lambda finding: (order.get(finding.minion, len(order)), finding.minion)))


def _strangers(stack: Stack, down: Sequence[str]) -> Iterator[DriftFinding]:
    """What is in the inventory and not in the state, and the other way round."""
    state = stack.state
    for minion in stack.inventory.minions:
        mount = state.mounts.get(minion.name)
        if minion.name in down:
            continue
        if mount is None:
            yield _untold(minion.name, "state", "its mount in the state", "it in the inventory only")
        elif mount.generation != minion.generation:
            found = f"'{minion.generation}' in the inventory: the machine was made anew"
            yield _untold(minion.name, "generation", f"'{mount.generation}', as mounted", found)
        if mount is not None and minion.name not in state.labels:
            yield _untold(minion.name, "state", "its node's label in the state", "its mount only")
    names = {minion.name for minion in stack.inventory.minions}
    for name in state.mounts:
        if name not in names:
            found = "it in the state only, so nobody knows how to reach it"
            yield _untold(name, "state", "it in the inventory", found)
    for urn in state.strange:
        yield _untold(urn.rpartition("::")[2], "state", "a mount command of this version", "another command")


def _untold(minion: str, what: str, wanted: str, found: str) -> DriftFinding:
    return DriftFinding(
        minion=minion, what=what, wanted=wanted, found=found, remedy="`pulumi preview`, then `pulumi up`, settles it"
    )


def _object(report: DriftReport, repairs: Sequence[Repair], *, mend: bool) -> dict[str, object]:
    result: dict[str, object] = {
        "stack": report.stack,
        "looked": [*report.seen],
        "passedOver": report.skipped,
        "findings": [finding.json() for finding in report.findings],
        "notCompared": report.not_compared,
    }
    return result | ({"repairs": [asdict(it) for it in repairs]} if mend else {})


def _text(report: DriftReport, repairs: Sequence[Repair]) -> str:
    lines = [f"{it.minion or 'site'}: {it.what} repaired: {plain(it.did)}" for it in repairs if not it.error]
    lines += [f"{name}: skipped: the inventory says that it is down" for name in report.skipped]
    lines += [finding.line() for finding in report.findings]
    lines += [f"not compared: {what}" for what in report.not_compared]
    minions = f"{len(report.seen)} minion{'' if len(report.seen) == 1 else 's'}"
    count = len(report.findings)
    found = {0: "no drift", 1: "1 finding"}.get(count, f"{count} findings")
    return "\n".join([*lines, f"{found}: {minions} and their nodes against the state of stack {report.stack}"])
