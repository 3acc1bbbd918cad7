"""Taking a lab away: processes, mounts, network, control groups. Works on half-dead labs and on those of a
checkout whose registry entry is lost: everything a lab makes on the host carries a mark of its own."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from pathlib import Path

from lab import cgroups, disk, kernel, machines, network
from lab.errors import LabError
from lab.processes import Process, boot_id, side_by_side
from lab.registry import DIRECTORY, RegisteredLab
from lab.topology import Topology

# (program, what its command line names): how the processes of any lab are recognised.
_SUPERVISOR = ("lab.supervisor", "/.lab/machines/")
_NSPAWN = ("systemd-nspawn", "/.lab/machines/")
_AGENT = ("ssh-agent", str(DIRECTORY))


def clear_host(topology: Topology, entry: RegisteredLab | None) -> list[str]:
    """End every process of any lab on this host and remove all it left outside its checkout. Returns what
    was found, a phrase each. The caller has made sure that it is not another checkout's living lab."""
    found = []
    if count := end_processes(entry):
        found.append(f"{count} process(es)")
    points = disk.mounted()
    for point in points:
        disk.unmount(point)
    if points:
        found.append(f"{len(points)} mount(s)")
    found += network.clear(topology)
    if entry is not None and _same_boot(entry):
        kernel.restore(entry.kernel)
    groups = cgroups.leftovers()
    for group in groups:
        cgroups.remove(group)
    if groups:
        found.append("control groups")
    return found


def end_processes(entry: RegisteredLab | None) -> int:
    """End the lab's processes, supervisors before what they would start again. Returns how many there
    were."""
    registered = [*entry.machines.values(), *([entry.agent] if entry.agent else [])] if entry else []
    running = [process for process in registered if process.alive()]
    ended = _end([*running, *_marked(*_SUPERVISOR), *_marked(*_AGENT)])
    ended += _end(list(_marked(*_NSPAWN)))
    ended += _end([process for process, _ in machines.inits()])
    left = [str(process.pid) for process, _ in machines.inits()]
    if left:
        raise LabError(f"machines of a dead lab do not end: process {', '.join(left)}", "see ps and dmesg")
    return ended


def _end(processes: list[Process]) -> int:
    unique = list({process.pid: process for process in processes}.values())
    side_by_side(lambda process: process.kill(signal.SIGKILL, wait=20), unique)
    return len(unique)


def _marked(program: str, mark: str) -> Iterable[Process]:
    """Processes whose command line has the program and the mark."""
    for directory in Path("/proc").iterdir():
        if not directory.name.isdigit():
            continue
        try:
            words = (directory / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        programs = {word.rpartition("/")[2] for word in words[:3]}
        marked = program in programs and any(mark in word for word in words)
        if marked and (process := Process.of(int(directory.name))):
            yield process


def _same_boot(entry: RegisteredLab) -> bool:
    return any(process.boot == boot_id() for process in entry.machines.values())
