"""Exactly what mends the findings: the recorded mount command on its minion, and Pulumi for its nodes' labels and the
publish."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from connectors.login_shell import announced, words_of
from connectors.ssh import ConnectError, connect, run
from ops.comparison import CONNECT_SECONDS, first_line
from ops.content import distrust
from ops.farm import Stack
from ops.finding import DriftFinding, plain
from ops.pulumi import Pulumi
from ops.recorded_stack import Mount
from ops.site import site_of
from publisher.slots import SLOTS
from settings import Minion

#: The script is silent until it is done, and may have to install the client first.
_MOUNT_SECONDS = 900


@dataclass(frozen=True, kw_only=True)
class Repair:
    """What was done for ``minion`` about its "mount" or "label", or for '' about the "content": ``did``; or why that
    failed: ``error``.
    """

    minion: str
    what: str
    did: str
    error: str = ""


async def repair(stack: Stack, pulumi: Pulumi, findings: Sequence[DriftFinding]) -> list[Repair]:
    """Mend what can be mended: all minions side by side, then the labels, which say that a mount stands."""
    reachable = {minion.name: minion for minion in stack.inventory.minions}
    names = [name for name in _to_mend(findings, "mount") if name in reachable]
    mounted = await asyncio.gather(*(_mount(reachable[name], stack.state.mounts[name]) for name in names))
    unmounted = {it.minion for it in mounted if it.error}
    labelled = [name for name in _to_mend(findings, "label") if name not in unmounted]
    return [*mounted, *await _label(stack, pulumi, labelled), *await _content(stack, pulumi, findings)]


def plan(findings: Sequence[DriftFinding]) -> list[str]:
    """What ``repair`` would do about the findings, a line each; empty where nothing can be mended."""
    lines = [f"{name}: the recorded mount command would be run" for name in _to_mend(findings, "mount")]
    lines += [f"{name}: `pulumi up` would write its node's labels again" for name in _to_mend(findings, "label")]
    slots = [slot for slot in SLOTS if any(it.slot == slot and it.mend in ("content", "slot") for it in findings)]
    lines += [f"site: slot {slot} would be marked as not whole" for slot in slots]
    if any(finding.mend == "content" for finding in findings):
        lines.append("site: `pulumi up` would publish again")
    return lines


def _to_mend(findings: Iterable[DriftFinding], how: str) -> list[str]:
    return list(dict.fromkeys(finding.minion for finding in findings if finding.mend == how))


async def _mount(minion: Minion, mount: Mount) -> Repair:
    """Run what ``pulumi up`` ran, as it ran it."""
    try:
        connection = await connect(minion, timeout=CONNECT_SECONDS)
        async with connection:
            command = announced(*words_of(mount.command))
            result = await run(connection, command, input=mount.script.encode(), timeout=_MOUNT_SECONDS)
    except ConnectError as error:
        return Repair(minion=minion.name, what="mount", did="", error=plain(str(error)))
    if result.exit_status != 0:
        reason = first_line(result.stderr) or f"exit status {result.exit_status}"
        return Repair(minion=minion.name, what="mount", did="", error=plain(reason))
    try:
        action = json.loads(result.stdout)["action"]
    except (ValueError, KeyError, TypeError):
        action = "done"
    return Repair(minion=minion.name, what="mount", did=plain(str(action)))


async def _label(stack: Stack, pulumi: Pulumi, names: Sequence[str]) -> list[Repair]:
    if not names:
        return []
    error = await pulumi.up([stack.state.labels[name].urn for name in names])
    return [Repair(minion=name, what="label", did="" if error else "written", error=error) for name in names]


async def _content(stack: Stack, pulumi: Pulumi, findings: Sequence[DriftFinding]) -> list[Repair]:
    """Mark what is damaged, so that the publish does not take it for whole, and let Pulumi publish again."""
    concerned = [finding for finding in findings if finding.mend in ("content", "slot")]
    if not concerned:
        return []
    site = site_of(stack)
    slots = [slot for slot in SLOTS if any(finding.slot == slot for finding in concerned)]
    did = [f"slot {', '.join(slots)} marked as not whole"] if slots else []
    error = await distrust(site.minions, site.published, slots) if slots else ""
    if not error and any(finding.mend == "content" for finding in concerned):
        error = await pulumi.again(site.published.urn, after=site.published.intent)
        did.append("published again")
    return [Repair(minion="", what="content", did="" if error else ", ".join(did), error=plain(error))]
