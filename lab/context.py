"""The lab as its commands, the deployment and the tests see it: where things are and how to reach the
machines."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from lab import topology as topologies
from lab.errors import LabError
from lab.machines import MachineRun
from lab.processes import run
from lab.registry import Registry, refuse_foreign
from lab.topology import Machine, Topology

CHECKOUT = Path(__file__).resolve().parent.parent
NO_LAB = "no lab is up in this checkout"
REMEDY = "make up (or: python -m lab up)"


@dataclass(frozen=True, kw_only=True)
class Paths:
    """Where everything of one checkout's lab is."""

    checkout: Path = CHECKOUT

    @property
    def lab(self) -> Path:
        return self.checkout / ".lab"

    @property
    def record(self) -> Path:
        """lab.json: the lab's id and its topology."""
        return self.lab / "lab.json"

    @property
    def machines(self) -> Path:
        return self.lab / "machines"

    @property
    def pki(self) -> Path:
        return self.lab / "pki"

    @property
    def ssh(self) -> Path:
        return self.lab / "ssh"

    @property
    def key(self) -> Path:
        """The private key of the machines' user, OpenSSH format."""
        return self.ssh / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        return self.ssh / "known_hosts"

    @property
    def inventory(self) -> Path:
        return self.lab / "inventory.yaml"

    @property
    def kubeconfig(self) -> Path:
        return self.lab / "kubeconfig"

    @property
    def bin(self) -> Path:
        return self.lab / "bin"

    @property
    def pulumi_home(self) -> Path:
        return self.lab / "pulumi-home"

    @property
    def state(self) -> Path:
        """Directory of the Pulumi backend."""
        return self.lab / "state"

    @property
    def kubectl(self) -> Path:
        return self.bin / "kubectl"


@dataclass(frozen=True, kw_only=True)
class Lab:
    """A lab that was made: `lab_id` is new whenever its machines were all made anew."""

    lab_id: str
    topology: Topology
    paths: Paths
    registry: Registry

    @classmethod
    def recorded(cls, paths: Paths | None = None, registry: Registry | None = None) -> Lab | None:
        """The lab in this checkout's record, alive or not; None without a readable record."""
        paths = paths or Paths()
        try:
            record = json.loads(paths.record.read_text())
            topology = Topology.model_validate(record["topology"])
            return cls(lab_id=str(record["labId"]), topology=topology, paths=paths, registry=registry or Registry())
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @classmethod
    def current(cls, paths: Paths | None = None, registry: Registry | None = None) -> Lab:
        """This checkout's living lab. Raises LabError when there is none, when it is not complete or when
        another checkout's lab is alive instead."""
        paths, registry = paths or Paths(), registry or Registry()
        entry = registry.read()
        refuse_foreign(entry, paths.checkout)
        lab = cls.recorded(paths, registry)
        if lab is None or entry is None or entry.lab_id != lab.lab_id or not entry.alive():
            raise LabError(NO_LAB, REMEDY)
        if not entry.complete:
            raise LabError("the lab in this checkout is only half made", REMEDY)
        return lab

    def save(self) -> None:
        """Write the record."""
        record = {"labId": self.lab_id, "topology": self.topology.model_dump(mode="json")}
        self.paths.record.parent.mkdir(parents=True, exist_ok=True)
        self.paths.record.write_text(json.dumps(record, indent=2) + "\n")

    def machines(self) -> tuple[Machine, ...]:
        """All machines, in the topology's order."""
        return self.topology.machines

    def minions(self) -> tuple[Machine, ...]:
        return self.topology.by_role("minion")

    def gluster_servers(self) -> tuple[Machine, ...]:
        return self.topology.by_role("gluster")

    def control(self) -> Machine:
        """The machine with the control plane."""
        return self.topology.by_role("control")[0]

    def machine(self, name: str) -> Machine:
        """The machine of that name; a LabError lists the names there are."""
        for machine in self.topology.machines:
            if machine.name == name:
                return machine
        names = ", ".join(machine.name for machine in self.topology.machines)
        raise LabError(f"the lab has no machine '{name}'", f"its machines are {names}")

    def running(self, machine: Machine) -> MachineRun:
        """The machine as something that boots, stops and runs programs."""
        entry = self.registry.read()
        supervisor = entry.machines.get(machine.name) if entry else None
        return MachineRun(machine=machine, directory=self.paths.machines / machine.name, supervisor=supervisor)

    def state(self, name: str) -> str:
        """running, booting, paused, stopped or dead."""
        return self.running(self.machine(name)).state()

    def generation(self, name: str) -> str:
        """Identity of the machine's disk: new whenever the machine was made anew."""
        return self.running(self.machine(name)).generation()

    def exec(
        self,
        name: str,
        argv: Sequence[str],
        *,
        stdin: str | None = None,
        check: bool = True,
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program as root inside a machine, through its namespaces: works while its network is cut.
        With check, a LabError carries what it printed; `timeout` in seconds."""
        return self.running(self.machine(name)).exec(argv, stdin=stdin, check=check, timeout=timeout)

    def kubectl(
        self, *arguments: str, stdin: str | None = None, check: bool = True, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl on the host as the cluster's administrator."""
        argv = [str(self.paths.kubectl), "--kubeconfig", str(self.paths.kubeconfig), *arguments]
        return run(argv, stdin=stdin, check=check, timeout=timeout, what=f"kubectl {' '.join(arguments[:3])}")

    def ssh_argv(self, name: str, command: Sequence[str] = ()) -> list[str]:
        """The ssh command that opens a session as the machines' user, with nothing from the caller's own ssh
        files."""
        machine = self.machine(name)
        options = {
            "IdentityFile": self.paths.key,
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "UserKnownHostsFile": self.paths.known_hosts,
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
            "ConnectTimeout": "10",
        }
        words = [word for key, value in options.items() for word in ("-o", f'{key}="{value}"')]
        return ["ssh", "-F", "none", *words, f"{self.topology.user}@{machine.address}", *command]

    def environment(self) -> dict[str, str]:
        """The variables with which plain `pulumi` and `kubectl` work on this lab. PATH begins with the lab's
        own programs and the virtual environment's."""
        venv = self.paths.checkout / ".venv" / "bin"
        parts = dict.fromkeys([str(self.paths.bin), str(venv), *os.environ.get("PATH", os.defpath).split(":")])
        return {
            "PATH": ":".join(parts),
            "PULUMI_HOME": str(self.paths.pulumi_home),
            "PULUMI_BACKEND_URL": f"file://{self.paths.state}",
            "PULUMI_CONFIG_PASSPHRASE": "glusterfarm-lab",
            "PULUMI_STACK": "dev",
            "PULUMI_CONTINUE_ON_ERROR": "true",
            "PULUMI_PARALLEL": str(len(self.minions()) + 8),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "SSH_AUTH_SOCK": str(self.registry.agent_socket),
            "KUBECONFIG": str(self.paths.kubeconfig),
        }

    def nodes_ready(self) -> set[str]:
        """Names of the nodes that Kubernetes calls Ready; empty while the API server does not answer."""
        answer = self.kubectl("get", "nodes", "-o", "json", "--request-timeout=5s", check=False)
        if answer.returncode != 0:
            return set()
        return {
            item["metadata"]["name"]
            for item in json.loads(answer.stdout)["items"]
            for condition in item["status"].get("conditions", [])
            if condition["type"] == "Ready" and condition["status"] == "True"
        }


def default_topology() -> Topology:
    """The topology of the file beside this module."""
    return topologies.load()


def write_yaml(path: Path, value: object, mode: int = 0o644, heading: str = "") -> None:
    """Write a YAML (or, being a subset, JSON-like) document in one step, below the comment ``heading``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(heading + yaml.safe_dump(value, sort_keys=False, width=1000))
    temporary.chmod(mode)
    temporary.replace(path)
