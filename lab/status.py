"""What the lab's machines are doing now."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table

from lab import roles
from lab.context import Lab
from lab.processes import side_by_side
from lab.topology import Machine


@dataclass(frozen=True, kw_only=True)
class Row:
    """One machine; `runs` are its role's services that are active and the Gluster volumes it mounts."""

    name: str
    role: str
    address: str
    state: str
    runs: tuple[str, ...]


def collect(lab: Lab) -> list[Row]:
    """Ask every machine, side by side."""
    return side_by_side(lambda machine: _row(lab, machine), lab.machines())


def as_json(lab: Lab, rows: list[Row]) -> str:
    """One object: checkout, labId, machines."""
    machines = [asdict(row) for row in rows]
    return json.dumps({"checkout": str(lab.paths.checkout), "labId": lab.lab_id, "machines": machines}, indent=2)


def show(rows: list[Row]) -> None:
    """A table on a terminal, plain columns elsewhere."""
    titles = ("machine", "role", "address", "state", "runs")
    cells = [(row.name, row.role, row.address, row.state, ", ".join(row.runs) or "-") for row in rows]
    if not sys.stdout.isatty():
        widths = [max(len(line[column]) for line in (titles, *cells)) for column in range(len(titles))]
        for line in (titles, *cells):
            print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
        return
    table = Table(*titles)
    colours = {
        "running": "green",
        "booting": "yellow",
        "paused": "yellow",
        "stopped": "yellow",
        "dead": "red",
    }
    for row, line in zip(rows, cells, strict=True):
        table.add_row(*line[:3], f"[{colours[row.state]}]{row.state}[/]", line[4])
    Console().print(table)


def _row(lab: Lab, machine: Machine) -> Row:
    state = lab.state(machine.name)
    runs = _runs(lab, machine) if state in ("running", "paused") else ()
    return Row(name=machine.name, role=machine.role, address=str(machine.address), state=state, runs=runs)


def _runs(lab: Lab, machine: Machine) -> tuple[str, ...]:
    units = roles.units(machine)
    answer = lab.exec(machine.name, ["systemctl", "is-active", *units], check=False, timeout=10)
    states = answer.stdout.split()
    active = [unit.removesuffix(".service") for unit, state in zip(units, states, strict=False) if state == "active"]
    mounts = lab.exec(
        machine.name,
        ["findmnt", "--noheadings", "--list", "--types=fuse.glusterfs", "--output=SOURCE,TARGET"],
        check=False,
    )
    active += [" on ".join(line.split()) for line in mounts.stdout.splitlines()]
    return tuple(active)
