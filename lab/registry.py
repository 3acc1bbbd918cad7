"""Which lab lives on this host: /run/glusterfarm/lab.json.

A host has one lab. The registry names its checkout and every process that it keeps, each with its start time. On
some hosts /run is not a tmpfs and outlives a restart, so a process number alone proves nothing.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.processes import Process

DIRECTORY = Path("/run/glusterfarm")


@dataclass(frozen=True, kw_only=True)
class RegisteredLab:
    """What the registry says. `machines` maps a machine's name to its supervisor process."""

    checkout: Path
    lab_id: str
    complete: bool = False
    agent: Process | None = None
    machines: dict[str, Process] = field(default_factory=dict)
    kernel: dict[str, str] = field(default_factory=dict)
    """What kernel parameters held before the lab raised them."""

    def alive(self) -> bool:
        """A lab lives while any of its machines does."""
        return any(process.alive() for process in self.machines.values())

    def with_machine(self, name: str, process: Process) -> RegisteredLab:
        return replace(self, machines={**self.machines, name: process})


class Registry:
    """Reads and writes the entry; writing wants the lock held."""

    def __init__(self, directory: Path = DIRECTORY) -> None:
        self.directory = directory
        self.file = directory / "lab.json"
        self.agent_socket = directory / "agent.sock"

    def read(self) -> RegisteredLab | None:
        """The entry, or None when there is none that can be read: a torn one counts as none, the leftovers
        are found without it."""
        try:
            return _from_json(json.loads(self.file.read_text()))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, entry: RegisteredLab) -> None:
        """Replace the entry in one step."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self.file.with_suffix(".new")
        temporary.write_text(json.dumps(_to_json(entry), indent=2) + "\n")
        temporary.replace(self.file)

    def remove(self) -> None:
        """Forget the lab. The file of the lock goes with the process that holds it."""
        for path in (self.file, self.file.with_suffix(".new"), self.agent_socket, self._lock):
            path.unlink(missing_ok=True)
        if self.directory.is_dir() and not any(self.directory.iterdir()):
            self.directory.rmdir()

    @property
    def _lock(self) -> Path:
        return self.directory / "lock"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Only one command at a time changes a lab; a second one is refused, not queued."""
        descriptor = self._open_lock()
        try:
            yield
        finally:
            os.close(descriptor)

    def _open_lock(self) -> int:
        while True:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                raise LabError(
                    "another `python -m lab` command is changing the lab right now",
                    "wait until it has ended, then repeat",
                ) from None
            # `down` removes the file while it holds the lock: what was locked must still be what others find.
            try:
                if os.fstat(descriptor).st_ino == self._lock.stat().st_ino:
                    return descriptor
            except FileNotFoundError:
                pass
            os.close(descriptor)


def refuse_foreign(entry: RegisteredLab | None, checkout: Path) -> None:
    """Raise a LabError that names the other checkout when its lab is alive. One whose checkout was deleted can
    no longer be stopped there: it counts as a dead lab's remains."""
    if entry and entry.checkout != checkout and entry.alive() and entry.checkout.is_dir():
        raise LabError(
            f"the lab of another checkout is alive on this host: {entry.checkout}",
            f"stop it first: make -C {shlex.quote(str(entry.checkout))} down",
        )


def _to_json(entry: RegisteredLab) -> dict[str, Any]:
    return {
        "version": 1,
        "checkout": str(entry.checkout),
        "labId": entry.lab_id,
        "complete": entry.complete,
        "agent": entry.agent.as_json() if entry.agent else None,
        "machines": {name: process.as_json() for name, process in entry.machines.items()},
        "kernel": entry.kernel,
    }


def _from_json(value: dict[str, Any]) -> RegisteredLab:
    return RegisteredLab(
        checkout=Path(value["checkout"]),
        lab_id=str(value["labId"]),
        complete=bool(value["complete"]),
        agent=Process(**value["agent"]) if value["agent"] else None,
        machines={name: Process(**process) for name, process in value["machines"].items()},
        kernel={str(name): str(before) for name, before in value["kernel"].items()},
    )
