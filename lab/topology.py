"""The lab's topology: which machines there are, what they do and where they live."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from lab.errors import LabError

FILE = Path(__file__).with_name("topology.yaml")

# "vb-NAME" is the host's end of a machine's cable, and the kernel takes 15 bytes for an interface name.
NAME_LIMIT = 12
_NARROWEST = 27

Role = Literal["gluster", "control", "minion"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Machine(_Model):
    """One machine: its name (also its host name and, for a minion, its node's name), role and address."""

    name: str
    role: Role
    address: IPv4Address

    @field_validator("name")
    @classmethod
    def _short_dns_label(cls, name: str) -> str:
        if not re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", name) or len(name) > NAME_LIMIT:
            raise ValueError(
                f"'{name}' must be lower-case letters, digits and '-', at most {NAME_LIMIT} characters, e.g. minion-1"
            )
        return name


class Volume(_Model):
    """The replicated volume over all Gluster servers; `options` are what `gluster volume set` takes."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    arbiter: bool = True
    options: dict[str, str] = {}


class Topology(_Model):
    """The whole lab. Invariants: unique names and addresses inside `network`, one control plane, three
    Gluster servers (two with data and an arbiter, or three with data), at least one minion."""

    bridge: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,14}$")]
    network: IPv4Network
    pods: IPv4Network
    services: IPv4Network
    user: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
    volume: Volume
    machines: tuple[Machine, ...]

    @field_validator("network")
    @classmethod
    def _room_for_machines(cls, network: IPv4Network) -> IPv4Network:
        if network.prefixlen > _NARROWEST:
            raise ValueError(f"{network} is too narrow for a lab, give a /{_NARROWEST} or wider, e.g. 10.111.0.0/24")
        return network

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        mistakes: list[str] = []
        for what, values in (
            ("name", [machine.name for machine in self.machines]),
            ("address", [str(machine.address) for machine in self.machines]),
        ):
            mistakes += [
                f"two machines have the {what} {v}" for v in sorted({v for v in values if values.count(v) > 1})
            ]
        for machine in self.machines:
            if machine.address not in self.network or machine.address == self.gateway:
                mistakes.append(
                    f"{machine.name}: {machine.address} must be in {self.network} and not the gateway {self.gateway}"
                )
        for role, number in (("control", 1), ("gluster", 3)):
            if len(self.by_role(role)) != number:
                mistakes.append(f"there must be exactly {number} machine(s) with role {role}")
        if not self.by_role("minion"):
            mistakes.append("there must be at least one minion")
        if len(self.by_role("minion")) > self.most_minions:
            mistakes.append(f"{self.pods} has room for {self.most_minions} minions")
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self

    @property
    def gateway(self) -> IPv4Address:
        """The host's address on the bridge."""
        return self.network[1]

    @property
    def most_minions(self) -> int:
        """How many /24 networks the pods' network has; the first one stays unused."""
        return len(range(256, self.pods.num_addresses, 256))

    @property
    def apiserver(self) -> str:
        """URL of the Kubernetes API server."""
        return f"https://{self.by_role('control')[0].address}:6443"

    def by_role(self, role: str) -> tuple[Machine, ...]:
        """The machines of one role, in the order of the file."""
        return tuple(machine for machine in self.machines if machine.role == role)

    def pod_network(self, minion: Machine) -> IPv4Network:
        """The /24 of one minion's pods."""
        index = self.by_role("minion").index(minion) + 1
        return IPv4Network((int(self.pods.network_address) + index * 256, 24))

    def with_minions(self, count: int) -> Topology:
        """The same lab with `count` minions: the first ones of the file, then ones named and numbered on
        from the last. Raises LabError when the network has no room for them."""
        minions = list(self.by_role("minion"))
        if count < 1:
            raise LabError(f"--minions {count}: a farm needs at least one minion", "give 1 or more")
        prefix, number = _split_number(minions[-1].name)
        last = minions[-1].address
        if last + (count - len(minions)) not in self.network:
            raise LabError(
                f"--minions {count}: {self.network} does not have that many addresses after {last}",
                "give fewer minions, or a wider network in lab/topology.yaml",
            )
        for extra in range(1, count - len(minions) + 1):
            minions.append(
                Machine.model_construct(name=f"{prefix}{number + extra}", role="minion", address=last + extra)
            )
        others = [machine for machine in self.machines if machine.role != "minion"]
        values = {**self.model_dump(), "machines": [m.model_dump() for m in (*others, *minions[:count])]}
        try:
            return Topology.model_validate(values)
        except ValidationError as invalid:
            raise LabError(
                f"--minions {count}: {_mistakes(invalid)}",
                "give fewer minions, or wider networks in lab/topology.yaml",
            ) from None


def load(path: Path = FILE) -> Topology:
    """Read and check the topology file; a LabError lists every mistake."""
    try:
        return Topology.model_validate(yaml.safe_load(path.read_text()))
    except (OSError, yaml.YAMLError) as unreadable:
        raise LabError(f"{path.name} cannot be read: {unreadable}", "restore lab/topology.yaml") from None
    except ValidationError as invalid:
        raise LabError(f"{path.name}: {_mistakes(invalid)}", "correct lab/topology.yaml") from None


def _mistakes(invalid: ValidationError) -> str:
    lines = []
    for error in invalid.errors():
        where = ".".join(str(part) for part in error["loc"])
        lines.append(f"{where}: {error['msg']}" if where else str(error["msg"]).removeprefix("Value error, "))
    return "; ".join(lines)


def _split_number(name: str) -> tuple[str, int]:
    match = re.fullmatch(r"(.*?)(\d+)", name)
    return (match[1], int(match[2])) if match else (f"{name}-", 1)
