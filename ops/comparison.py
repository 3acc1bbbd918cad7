"""The check of one minion: what the recorded script says it would change there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh

from connectors.login_shell import announced, as_root
from connectors.ssh import ConnectError, NotRunError, Result, run
from ops.endpoints import Connection, connection_of
from ops.recorded_stack import Mount

COMPARE = Path(__file__).with_name("scripts") / "compare.sh"
CONNECT_SECONDS = 15
#: A mount that hangs costs the script ten seconds, each question to systemd at most as many.
SILENT_SECONDS = 45
_NOT_ASKABLE = 3


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What ``compare`` said: the mount's status, the files that differ, the units; what the client is connected to.

    ``asks`` is whether the minion has the gluster command.
    """

    status: Mapping[str, Any]
    files: tuple[Mapping[str, Any], ...]
    units: tuple[Mapping[str, Any], ...]
    asks: bool
    connections: tuple[Connection, ...]


@dataclass(frozen=True, kw_only=True)
class FailedComparison:
    """Why nothing is known of a minion: ``what`` failed (the finding has that name), and the ``reason``."""

    what: str
    reason: str
    remedy: str = ""


async def compare_minion(connection: asyncssh.SSHClientConnection, mount: Mount) -> Comparison | FailedComparison:
    """Compare a minion with its recorded ``mount``, without changing anything; bounded in time, raises nothing."""
    try:
        return _seen(await run(connection, command(mount), input=mount.script.encode(), timeout=SILENT_SECONDS))
    except NotRunError as error:
        return FailedComparison(what="login", reason=error.reason, remedy=error.remedy)
    except ConnectError as error:
        return unreached(mount.minion, error)


def unreached(minion: str, error: ConnectError) -> FailedComparison:
    """What is known of a minion that could not be reached."""
    return FailedComparison(what="reach", reason=str(error).removeprefix(f"minion {minion}: "))


def command(mount: Mount) -> str:
    """The command line that compares; the recorded script travels on its stdin."""
    return announced(
        *as_root(sudo=mount.sudo), "sh", "-c", COMPARE.read_text(encoding="utf-8"), "compare", *mount.arguments
    )


def _seen(result: Result) -> Comparison | FailedComparison:
    if result.exit_status == _NOT_ASKABLE:
        return FailedComparison(what="script", reason=first_line(result.stderr))
    if result.exit_status != 0:
        reason = first_line(result.stderr) or f"exit status {result.exit_status}"
        return FailedComparison(what="look", reason=reason)
    try:
        status, client, *rest = [json.loads(line) for line in result.stdout.decode(errors="replace").splitlines()]
        connections = tuple(connection_of(text) for text in client["connections"])
    except (ValueError, LookupError, TypeError):
        return FailedComparison(what="look", reason="its answer cannot be read")
    return Comparison(
        status=status,
        files=tuple(line for line in rest if "file" in line),
        units=tuple(line for line in rest if "unit" in line),
        asks=bool(client["gluster"]),
        connections=connections,
    )


def first_line(text: str) -> str:
    """The first line that says something."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
