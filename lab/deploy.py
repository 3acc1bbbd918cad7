"""`pulumi up` of the dev stack in this checkout's lab, and a report that is made of live requests only."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lab import locks
from lab.context import Lab
from lab.errors import LabError
from lab.plugins.install import install
from lab.report import report
from lab.steps import Steps

STACK = "dev"
PROJECT = "glusterfarm"
PYTHON = ".venv/bin/python"
#: Which lab the stack was last deployed to. If the lab is another one, everything in the state must be refreshed.
DEPLOYED = "deployed-lab-id"


def run(lab: Lab, steps: Steps) -> int:
    """Bring the stack up and report; return the exit status. A LabError names what failed and the file of the log."""
    with steps.step("provider programs") as step:
        programs = install(lab.paths.pulumi_home, lab.paths.bin, lab.paths.checkout / PYTHON)
        origins = {line.partition(": ")[2] for line in programs}
        step.outcome(origins.pop() if len(origins) == 1 else "; ".join(programs))
    with steps.step("stack dev") as step:
        made = _select(lab)
        stale = locks.clear_stale(lab.paths.state, PROJECT, STACK, cancel=lambda: _pulumi(lab, "cancel", "--yes"))
        gone = [] if made or not _anew(lab) else _forget_gone_minions(lab)
        again = {} if made else _interrupted(lab)
        names = [f"what was interrupted is done again: {', '.join(again.values())}"] if again else []
        step.outcome("; ".join(["made" if made else "there already", *stale, *gone, *names]))
    with steps.step("pulumi up") as step:
        step.outcome(_up(lab, replace=again))
    (lab.paths.lab / DEPLOYED).write_text(lab.lab_id)
    report(lab, url=json.loads(_pulumi(lab, "stack", "output", "url", "--json").stdout))
    return 0


def _select(lab: Lab) -> bool:
    """Make the stack where it is not yet; whether it was made."""
    lab.paths.state.mkdir(parents=True, exist_ok=True)
    if (lab.paths.state / ".pulumi" / "stacks" / PROJECT / f"{STACK}.json").exists():
        return False
    _pulumi(lab, "stack", "init", STACK)
    return True


def _anew(lab: Lab) -> bool:
    """Whether the stack was last deployed to machines that no longer exist."""
    marker = lab.paths.lab / DEPLOYED
    return not marker.exists() or marker.read_text() != lab.lab_id


def _forget_gone_minions(lab: Lab) -> list[str]:
    """Drop from the state the mounts of minions that the lab no longer has: nobody is there to unmount them."""
    names = {minion.name for minion in lab.minions()}
    forgotten = []
    for resource in _deployment(lab).get("resources", []):
        minion = resource["urn"].rpartition("::mount-")[2]
        if resource["type"] == "command:remote:Command" and minion not in names:
            _pulumi(lab, "state", "delete", resource["urn"], "--yes", "--target-dependents")
            forgotten.append(f"forgot {minion}, which is gone")
    return forgotten


def _interrupted(lab: Lab) -> dict[str, str]:
    """``{URN: name}`` of the commands in whose midst a deployment was killed.

    Whether they did their work nobody knows, and when meanwhile the configuration is what it was before them, Pulumi
    would call them unchanged. Other resources can be read, and commands that were never made are made anyway.
    """
    deployment = _deployment(lab)
    there = {resource["urn"] for resource in deployment.get("resources", [])}
    urns = [
        operation["resource"]["urn"]
        for operation in deployment.get("pending_operations", [])
        if operation["resource"]["urn"] in there and operation["resource"]["type"].startswith("command:")
    ]
    # A mount has no time limit of its own, so the check before it runs again, too.
    checks = [f"{urn.replace('command:remote:', 'command:local:')}-reach" for urn in urns if ":remote:" in urn]
    return {urn: urn.rpartition("::")[2] for urn in (*checks, *urns) if urn in there}


def _deployment(lab: Lab) -> dict[str, Any]:
    deployment: dict[str, Any] = json.loads(_pulumi(lab, "stack", "export").stdout)["deployment"]
    return deployment


def _up(lab: Lab, *, replace: Iterable[str]) -> str:
    """Run `pulumi up`, and the commands with the URNs ``replace`` whatever the state says; what it did in few words."""
    # A lab made anew has an empty cluster: without a refresh the state would call what is gone "unchanged".
    words = ["up", "--yes", *(["--refresh"] if _anew(lab) else [])]
    words += [word for urn in replace for word in ("--replace", urn)]
    log = lab.paths.lab / "up.log"
    answer = _pulumi(lab, *words, log=log)
    if answer.returncode != 0:
        raise LabError(
            f"pulumi up failed (everything it printed: {log})\n{_diagnostics(answer.stdout)}",
            'eval "$(python -m lab env)" gives a shell in which `pulumi up` can be repeated',
        )
    return _summary(answer.stdout)


def _pulumi(lab: Lab, *words: str, log: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run pulumi in the project; both streams are in stdout when they go to ``log``. Without a log it must succeed."""
    argv = [str(lab.paths.bin / "pulumi"), *words, "--non-interactive", "--color", "never"]
    answer = subprocess.run(
        argv,
        cwd=lab.paths.checkout,
        env={**os.environ, **lab.environment()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if log else subprocess.PIPE,
        text=True,
        check=False,
    )
    if log:
        log.write_text(answer.stdout)
    elif answer.returncode != 0:
        raise LabError(f"pulumi {words[0]} failed:\n{answer.stderr.strip()}", "see the message above")
    return answer


def _summary(output: str) -> str:
    """``3 created, 16 unchanged`` of the summary that closes an update."""
    resources = output.rpartition("Resources:")[2].partition("Duration")[0]
    counts = re.findall(r"(\d+) (created|updated|replaced|deleted|unchanged|refreshed)", resources)
    changed = [f"{count} {what}" for count, what in counts if what != "unchanged"]
    return ", ".join(changed) or "unchanged"


def _diagnostics(output: str) -> str:
    """The part of an update's output that says what went wrong; the preview's own part stands before it."""
    _, found, rest = output.rpartition("Diagnostics:")
    return rest.partition("\nOutputs:")[0].partition("\nResources:")[0].strip("\n") if found else output[-3000:]
