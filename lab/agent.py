"""The lab's own ssh-agent, holding the machines' user key: what `pulumi up` and plain ssh authenticate
with."""

from __future__ import annotations

import os
from pathlib import Path

from lab.errors import LabError
from lab.processes import Process, run, spawn, wait_until


def start(socket: Path, key: Path, *, log: Path, checkout: Path) -> Process:
    """Start an agent on the socket and give it the key. Raises LabError when it does not come up."""
    socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    socket.unlink(missing_ok=True)
    process = spawn(["ssh-agent", "-D", "-a", socket], log=log, cwd=checkout)
    if not wait_until(socket.exists, timeout=5, interval=0.02):
        raise LabError("ssh-agent did not open its socket", f"see {log}")
    run(
        ["ssh-add", "-q", key],
        env={**os.environ, "SSH_AUTH_SOCK": str(socket)},
        what="giving the agent the lab's key",
    )
    return process
