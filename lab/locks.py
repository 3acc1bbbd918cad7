"""Locks of a stack in a self-managed backend whose deployment is gone.

A deployment that was killed leaves its lock, and Pulumi does not check whether its process is alive. The next one
refuses until `pulumi cancel`. The lock names host and process, so that on the same host the lab can check it.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from lab.errors import LabError


def clear_stale(state: Path, project: str, stack: str, *, cancel: Callable[[], object]) -> list[str]:
    """Cancel the update whose lock's process is gone; return a phrase for each lock that was cleared.

    Raises LabError if a lock's process is alive, or if it was taken on another host, where it cannot be checked.
    """
    directory = state / ".pulumi" / "locks" / "organization" / project / stack
    cleared = []
    for path in sorted(directory.glob("*.json")):
        lock = json.loads(path.read_text())
        holder = f"process {lock['pid']} of {lock['username']} on {lock['hostname']} since {lock['timestamp']}"
        if lock["hostname"] != socket.gethostname():
            raise LabError(f"the stack {stack} is locked by {holder}", "if that is over, run `pulumi cancel`")
        if _holds(int(lock["pid"]), path):
            raise LabError(f"the stack {stack} is being deployed by {holder}", "wait until it has ended")
        cleared.append(f"cancelled the lock of {holder}, which is gone")
    if cleared:
        cancel()
    return cleared


def _holds(pid: int, lock: Path) -> bool:
    """Whether the process that took ``lock`` lives: a number that was given to a later process does not count."""
    try:
        ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except FileNotFoundError:
        return False
    boot = float(Path("/proc/stat").read_text().partition("btime ")[2].split()[0])
    started = boot + ticks / os.sysconf("SC_CLK_TCK")
    taken = lock.stat().st_mtime
    return datetime.fromtimestamp(started) <= datetime.fromtimestamp(taken + 1)
