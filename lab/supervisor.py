"""Keeps one machine running: `python -m lab.supervisor DIRECTORY`, one process a machine, started by `lab
up`.

Reads DIRECTORY/machine.json (argv, environment), boots it, and boots it again whenever it ends with status
133: that is how systemd-nspawn says "reboot". After an orderly power-off it leaves DIRECTORY/stopped behind.
If the supervisor is killed, its nspawn dies with it; the machine itself may live on, until the next `up` or
`down` ends it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from lab import cgroups

REBOOT = 133
ENTER = Path(__file__).with_name("files") / "enter_cgroups.sh"


def supervise(directory: Path) -> int:
    """Boot the machine until it is powered off; returns nspawn's exit status."""
    description = json.loads((directory / "machine.json").read_text())
    plan = cgroups.plan(description["name"])
    while True:
        cgroups.prepare(plan)
        argv = [
            "setpriv",
            "--pdeathsig",
            "KILL",
            "sh",
            ENTER,
            *plan.directories,
            "--",
            *plan.prefix,
            *description["argv"],
        ]
        child = subprocess.Popen([str(word) for word in argv], env={**os.environ, **description["environment"]})
        status = child.wait()
        print(f"supervisor: {description['name']} ended with status {status}", flush=True)
        if status != REBOOT:
            break
    if status == 0:
        (directory / "stopped").touch()
    return status


if __name__ == "__main__":
    sys.exit(supervise(Path(sys.argv[1])))
