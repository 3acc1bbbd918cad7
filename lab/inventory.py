"""The inventory file and known_hosts: the machines as the program and ssh see them, host keys pinned."""

from __future__ import annotations

from lab.context import Lab, write_yaml
from lab.ssh_keys import SshKey
from lab.topology import Machine
from rules.editors import INVENTORY_SCHEMA, modeline


def write(lab: Lab) -> None:
    """Write .lab/inventory.yaml and .lab/ssh/known_hosts. Minions are what the program provisions; all other
    machines are listed under `others`, which it never connects to."""
    value = {
        "minions": [_entry(lab, machine) | {"node": machine.name} for machine in lab.minions()],
        "others": [_entry(lab, machine) for machine in lab.machines() if machine.role != "minion"],
    }
    heading = modeline(INVENTORY_SCHEMA, lab.paths.inventory.relative_to(lab.paths.checkout))
    write_yaml(lab.paths.inventory, value, heading=f"{heading}\n# The lab writes this file (make up).\n")
    lines = [f"{machine.name},{machine.address} {_host_key(lab, machine)}" for machine in lab.machines()]
    lab.paths.known_hosts.write_text("\n".join(lines) + "\n")


def _entry(lab: Lab, machine: Machine) -> dict[str, str | int]:
    return {
        "name": machine.name,
        "host": str(machine.address),
        "port": 22,
        "user": lab.topology.user,
        "hostKey": _host_key(lab, machine),
        "generation": lab.generation(machine.name),
    }


def _host_key(lab: Lab, machine: Machine) -> str:
    return SshKey.load(lab.paths.machines / machine.name / "host_key").public
