"""One machine of the lab as a running thing: boot, stop, its state, and programs inside it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import disk, network
from lab.errors import LabError
from lab.processes import Process, run, spawn, wait_until
from lab.topology import Machine

SSH_PORT = 22
# What a login would have; nothing of the host's environment goes into a machine.
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}


@dataclass(frozen=True, kw_only=True)
class Share:
    """Something of the host inside a machine."""

    source: Path
    target: str
    read_only: bool = False

    def option(self) -> str:
        """As systemd-nspawn's command line wants it; its ":" separates, so one in a path is escaped."""
        source = str(self.source).replace("\\", "\\\\").replace(":", "\\:")
        return f"--bind{'-ro' if self.read_only else ''}={source}:{self.target}"


def nspawn_argv(*, name: str, root: Path, bridge: str, shares: Sequence[Share]) -> list[str]:
    """The command that boots a machine. It may do what a real one may (mounts, FUSE, keyrings, bpf) except
    registering anywhere on the host: that needs no systemd there."""
    return [
        "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot", f"--machine={name}",
        f"--directory={root}", f"--network-bridge={bridge}", "--capability=all",
        "--system-call-filter=@keyring bpf", "--resolv-conf=off", "--timezone=off", "--link-journal=no",
        "--bind=/dev/fuse", *(share.option() for share in shares),
    ]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class MachineRun:
    """A machine and the process that keeps it (None when it was never booted)."""

    machine: Machine
    directory: Path
    supervisor: Process | None

    @property
    def name(self) -> str:
        return self.machine.name

    @property
    def root(self) -> Path:
        """Where the machine's disk is mounted on the host."""
        return self.directory / "root"

    @property
    def _stopped(self) -> Path:
        return self.directory / "stopped"

    def generation(self) -> str:
        """Identity of the machine's disk."""
        return (self.directory / "generation").read_text().strip()

    def state(self) -> str:
        """running: booted and connected; booting: not yet to be entered; paused: cut from the network;
        stopped: on purpose, its disk is kept; dead: killed from outside."""
        if self.supervisor is None or not self.supervisor.alive():
            return "stopped" if self._stopped.exists() else "dead"
        if self.leader() is None:
            return "booting"
        return "running" if network.connected(self.name) else "paused"

    def leader(self) -> int | None:
        """Number, on the host, of the machine's PID 1; None unless it runs."""
        return next((process.pid for process, upper in inits() if upper == self.directory / "upper"), None)

    def describe(self, *, bridge: str, shares: Sequence[Share], environment: dict[str, str]) -> None:
        """Write down how the machine is booted, for its supervisor."""
        description = {
            "name": self.name,
            "argv": nspawn_argv(name=self.name, root=self.root, bridge=bridge, shares=shares),
            "environment": environment,
        }
        (self.directory / "machine.json").write_text(json.dumps(description, indent=2) + "\n")

    def boot(self, checkout: Path) -> Process:
        """Switch the machine on, as it was described; returns its supervisor. The caller registers that and
        waits with `wait_ssh`. Raises LabError when its disk is gone."""
        if not self.root.is_mount():
            raise LabError(f"{self.name}: its disk is no longer mounted on {self.root}", "make down, then make up")
        self._stopped.unlink(missing_ok=True)
        return spawn(
            [sys.executable, "-m", "lab.supervisor", self.directory],
            log=self.directory / "console.log",
            cwd=checkout,
        )

    def stop(self) -> None:
        """Switch the power off, at once and without a word to anyone; the disk is kept."""
        self._stopped.touch()
        self.kill()

    def kill(self) -> None:
        """End the machine's processes, also those that outlived their supervisor. Raises LabError when they
        do not end."""
        # The supervisor first, or it would boot the machine again; its nspawn ends with it.
        if self.supervisor and not self.supervisor.kill(signal.SIGKILL):
            raise LabError(f"{self.name}: its supervisor {self.supervisor.pid} does not end", "see ps and dmesg")
        for process, upper in inits():
            if upper == self.directory / "upper" and not process.kill(signal.SIGKILL, wait=20):
                raise LabError(
                    f"{self.name}: process {process.pid} does not end",
                    "something in it waits for a disk; see ps and dmesg",
                )

    def exec(
        self, argv: Sequence[str], *, stdin: str | None = None, check: bool = True, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run a program as root inside the machine. Raises LabError when the machine does not run."""
        leader = self.leader()
        if leader is None:
            raise LabError(
                f"{self.name} is {self.state()}: nothing can run in it",
                f"python -m lab fault start {self.name}",
            )
        enter = [
            "nsenter",
            f"--target={leader}",
            "--mount",
            "--uts",
            "--ipc",
            "--net",
            "--pid",
            "--cgroup",
            "--",
        ]
        return run(
            [*enter, *argv],
            stdin=stdin,
            check=check,
            timeout=timeout,
            env=_ENVIRONMENT,
            what=f"{self.name}: {' '.join(argv[:4])}",
        )

    def wait_ssh(self, timeout: float = 90) -> None:
        """Wait until sshd answers. Raises LabError with the console's tail when it does not."""
        if not wait_until(lambda: _greets(str(self.machine.address)), timeout=timeout, interval=0.2):
            console = self.directory / "console.log"
            tail = "\n".join(console.read_text(errors="replace").splitlines()[-15:]) if console.exists() else ""
            raise LabError(f"{self.name}: no SSH server after {timeout:g} s\n{tail}", f"see {console}")


def _greets(address: str) -> bool:
    try:
        with socket.create_connection((address, SSH_PORT), timeout=2) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def inits() -> list[tuple[Process, Path]]:
    """The first process of every machine of any lab on this host, with the upper directory of the machine's
    disk.

    A machine's PID 1 outlives an nspawn that was killed, so neither parents nor registries find it. It is found
    because it is number 1 of a pid namespace inside the host's, and its root is an overlay of the lab.
    """
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if not _is_init((entry / "status").read_text()):
                continue
            upper = root_upper((entry / "mountinfo").read_text())
        except OSError:  # it has just ended
            continue
        if upper is not None and (process := Process.of(int(entry.name))):
            found.append((process, upper))
    return found


def root_upper(mountinfo: str) -> Path | None:
    """The upper directory of the overlay that a process has as its root, if that is a machine's disk."""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        kind, source, options = after.split(" ", 2)
        if before.split()[4] == "/" and kind == "overlay" and source == disk.SOURCE:
            for option in options.split(","):
                if option.startswith("upperdir="):
                    return Path(disk.unescape(option.removeprefix("upperdir=")))
    return None


def _is_init(status: str) -> bool:
    numbers = next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [])
    return len(numbers) > 1 and numbers[-1] == "1"
