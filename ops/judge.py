"""What is found on a minion against what the state says of it: the findings, each with its remedy."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from ops.comparison import Comparison, FailedComparison
from ops.finding import DriftFinding, quoted
from ops.recorded_stack import Mount

REPAIR = "`python -m ops drift --repair` runs the recorded mount command there"
_VOLUME_AWAY = (
    "its client lives, so it is the volume that is away: see to the Gluster servers and bricks, the mount follows"
)
_WHAT = {
    "owners": "owner",
    "settled": "options",
    "servers": "servers",
    "heal.sh": "healing script",
    ".service": "healing unit",
    ".timer": "healing timer",
    ".mount": "unit",
    "logrotate.d": "log rotation",
    "fstab": "fstab",
}


def judge(mount: Mount, seen: Comparison | FailedComparison, *, owners: Collection[str]) -> list[DriftFinding]:
    """The findings of one minion; ``owners`` are all that the state has."""
    if isinstance(seen, FailedComparison):
        return [_unseen(mount, seen)]
    if _blank(seen):
        return [
            _finding(
                mount,
                "everything",
                wanted=f"{mount.servers[0]}:/{mount.volume} on {mount.path}, its unit, owner and healing",
                found="nothing of ours (was the machine made anew?)",
            )
        ]
    return [
        *_mount(mount, seen.status),
        *_owners(mount, seen.status, owners),
        *_client(mount, seen.status),
        *_guard(mount, seen),
        *_kept(mount, seen),
    ]


def _finding(mount: Mount, what: str, *, wanted: str, found: str, remedy: str = REPAIR) -> DriftFinding:
    return DriftFinding(
        minion=mount.minion,
        what=what,
        wanted=wanted,
        found=found,
        remedy=remedy,
        mend="mount" if remedy == REPAIR else "",
    )


def _unseen(mount: Mount, why: FailedComparison) -> DriftFinding:
    if why.what == "reach":
        reason, _, remedy = why.reason.partition("; ")
        return _finding(
            mount,
            "connection",
            wanted="a minion that answers",
            found=f"that it cannot be reached: {reason}",
            remedy=f"{remedy or 'check it'}; for planned work write state: down into the inventory",
        )
    if why.what == "login":
        return _finding(
            mount, "look", wanted="a script that runs there as root", found=quoted(why.reason), remedy=why.remedy
        )
    if why.what == "script":
        return _finding(
            mount,
            "script",
            wanted="a recorded script that can be asked",
            found=why.reason,
            remedy="it is another version's: `pulumi up` records this one",
        )
    return _finding(
        mount,
        "look",
        wanted="a script that runs there as root",
        found=quoted(why.reason),
        remedy="see to that on the minion; the user of the inventory needs sudo without a password",
    )


def _blank(seen: Comparison) -> bool:
    return not seen.status.get("mounted") and bool(seen.files) and not any(it.get("there") for it in seen.files)


def _mount(mount: Mount, status: Mapping[str, Any]) -> Iterator[DriftFinding]:
    wanted = f"{mount.servers[0]}:/{mount.volume} on {mount.path}"
    source, kind = str(status.get("source", "")), str(status.get("fstype", ""))
    if not status.get("mounted"):
        found = f"{quoted(source)} ({kind})" if kind else "nothing mounted"
        yield _finding(mount, "mount", wanted=wanted, found=found)
        return
    server = source.rpartition(":")[0].partition(",")[0]
    if server not in mount.servers:
        servers = ", ".join(mount.servers)
        yield _finding(mount, "mount", wanted=f"{mount.volume} from one of {servers}", found=quoted(source))
    if "ro" in str(status.get("options", "")).split(","):  # never wanted: any minion may publish
        yield _finding(mount, "options", wanted="a mount for writing", found="a read-only one")
    if not status.get("alive"):
        answer = "no answer in time" if status.get("answer") == "stalled" else "an error"
        client = status.get("client")
        yield _finding(
            mount,
            "mount",
            wanted="a volume that answers",
            found=f"{answer} ({f'client {client}' if client else 'its client is dead'})",
            remedy=_VOLUME_AWAY if client else REPAIR,
        )


def _owners(mount: Mount, status: Mapping[str, Any], known: Collection[str]) -> Iterator[DriftFinding]:
    """An owner of this stack's that is none of its minions any more would keep the mount for ever."""
    stack = mount.owner.partition("/")[0]
    for owner in status.get("owners", []):
        if owner.partition("/")[0] == stack and owner not in known:
            yield _finding(
                mount,
                "owner",
                wanted=f"{mount.owner} and owners of other stacks",
                found=quoted(owner),
                remedy="a minion that was renamed or forgotten by the state: docs/operations.md, 'owners'",
            )


def _client(mount: Mount, status: Mapping[str, Any]) -> Iterator[DriftFinding]:
    """A client outlives the upgrade of its package; mending that takes the mount from under the pods."""
    if status.get("stale"):
        yield _finding(
            mount,
            "client",
            wanted=f"the installed one ({quoted(str(status.get('version', '')))})",
            found=f"client {status.get('client')}, started before its package was upgraded",
            remedy="drain the node, then reboot it: docs/operations.md, 'Upgrading Gluster'",
        )


def _guard(mount: Mount, seen: Comparison) -> Iterator[DriftFinding]:
    wanted, found = str(mount.said.get("guard") or "immutable"), str(seen.status.get("guard", ""))
    if found not in (wanted, "immutable"):
        yield _finding(mount, "guard", wanted=f"{wanted} (bare {mount.path})", found=found or "nothing")


def _kept(mount: Mount, seen: Comparison) -> Iterator[DriftFinding]:
    missing = {PurePosixPath(file["file"]).name for file in seen.files if not file["there"]}
    for file in seen.files:
        path = str(file["file"])
        wanted, found = _differing(str(file["wanted"]), str(file["found"]))
        yield _finding(
            mount,
            _what_of(path),
            wanted=quoted(wanted) if wanted else f"{path} as recorded",
            found=(f"{quoted(found)} in {path}" if wanted or found else "another text") if file["there"] else "no file",
        )
    for unit in seen.units:
        name = str(unit["unit"])
        if name in missing:
            continue
        what = "healing timer" if name.endswith(".timer") else "unit"
        if unit["enabled"] != "enabled":
            yield _finding(mount, what, wanted=f"{name} enabled", found=unit["enabled"] or "not enabled")
        # A mount unit is as active as its mount, and that has a finding already.
        if unit["active"] != "active" and (seen.status.get("mounted") or what != "unit"):
            yield _finding(mount, what, wanted=f"{name} active", found=unit["active"] or "not active")


def _what_of(path: str) -> str:
    parts = PurePosixPath(path).parts
    return next((what for sign, what in _WHAT.items() if sign in parts or parts[-1].endswith(sign)), path)


def _differing(wanted: str, found: str) -> tuple[str, str]:
    """The first line of each that the other has not."""
    lines = list(difflib.ndiff(found.splitlines(), wanted.splitlines()))
    first = {sign: next((line[2:] for line in lines if line.startswith(f"{sign} ")), "") for sign in "+-"}
    return first["+"], first["-"]
