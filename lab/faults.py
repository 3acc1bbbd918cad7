"""Faults on purpose, for trying what the farm does about them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from lab import cluster, gluster, lifecycle, network
from lab.context import Lab
from lab.errors import LabError
from lab.processes import wait_until
from lab.topology import Machine

_REBOOT_SECONDS = 120


def kill_client(lab: Lab, machine: Machine) -> str:
    """Kill a minion's Gluster FUSE clients with SIGKILL: the mount stays and every access to it fails."""
    if machine.role != "minion":
        raise LabError(f"{machine.name} is not a minion, it mounts no volume", "name a minion, e.g. minion-1")
    found = lab.exec(machine.name, ["pgrep", "--exact", "glusterfs"], check=False).stdout.split()
    if not found:
        raise LabError(f"{machine.name}: no Gluster client runs there", "pulumi up mounts the volume")
    lab.exec(machine.name, ["kill", "-KILL", *found])
    return f"killed process {', '.join(found)}"


def stop(lab: Lab, machine: Machine) -> str:
    """Switch a machine's power off, without a word to anyone; its disk is kept."""
    if lab.state(machine.name) == "stopped":
        return "stopped already"
    lab.running(machine).stop()
    return "stopped"


def start(lab: Lab, machine: Machine) -> str:
    """Boot a stopped machine from its own disk, and wait until it has rejoined."""
    if (state := lab.state(machine.name)) in ("running", "paused"):
        return f"{state} already"
    since = datetime.now(UTC)
    lifecycle.start(lab, [machine])
    return f"started, {_rejoin(lab, machine, since)}"


def pause(lab: Lab, machine: Machine) -> str:
    """Cut a machine from the network: it runs on, and nothing reaches it or leaves it."""
    _plug(lab, machine, connected=False)
    return "cut from the network"


def resume(lab: Lab, machine: Machine) -> str:
    """Connect a paused machine again."""
    _plug(lab, machine, connected=True)
    return "connected"


def reboot(lab: Lab, machine: Machine) -> str:
    """Reboot a machine in an orderly way, and wait until it has rejoined."""
    handle = lab.running(machine)
    leader = handle.leader()
    lab.exec(machine.name, ["systemctl", "--no-block", "reboot"])
    if not wait_until(lambda: handle.leader() not in (leader, None), timeout=_REBOOT_SECONDS):
        raise LabError(
            f"{machine.name} does not reboot within {_REBOOT_SECONDS} s",
            f"see {handle.directory}/console.log",
        )
    # Not earlier: while it goes down it still gives signs of life.
    since = datetime.now(UTC)
    handle.wait_ssh()
    return f"rebooted, {_rejoin(lab, machine, since)}"


KINDS: dict[str, Callable[[Lab, Machine], str]] = {
    "kill-client": kill_client,
    "stop": stop,
    "start": start,
    "pause": pause,
    "resume": resume,
    "reboot": reboot,
}


def _plug(lab: Lab, machine: Machine, *, connected: bool) -> None:
    if (state := lab.state(machine.name)) not in ("running", "paused"):
        raise LabError(
            f"{machine.name} is {state}: it has no network to cut",
            f"python -m lab fault start {machine.name}",
        )
    network.plug(machine.name, connected=connected)


def _rejoin(lab: Lab, machine: Machine, since: datetime) -> str:
    """Wait until the machine does its work again; a phrase for it."""
    if machine.role == "minion" and lab.state(lab.control().name) == "running":
        cluster.wait_nodes(lab, [machine], since=since)
        return "node Ready"
    if machine.role == "control":
        cluster.wait_apiserver(lab)
        return "API server ready"
    if machine.role == "gluster" and wait_until(lambda: machine.name in gluster.online(lab), timeout=60):
        return "brick online"
    return "booted"
