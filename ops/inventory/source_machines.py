"""The machines of a source: an Ansible inventory or the cluster's nodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ops.errors import OpsError
from ops.inventory.ssh_options import Jump
from rules.rule import Finding
from settings import Minion, Mistake, SettingsError, mistakes, validate


@dataclass(frozen=True, kw_only=True)
class SourceMachine:
    """One machine. None stands for what the source does not say; ``bastion`` is False if it says that there is none.

    A minion whose host is one of ``others`` is reached in the same way.
    ``place`` and ``origins`` (of the inventory's keys) are for messages: "host web-1", {"port": "ansible_port"}.
    """

    name: str
    host: str
    port: int | None = None
    user: str | None = None
    node: str | None = None
    bastion: Jump | bool | None = None
    others: Sequence[str] = ()
    place: str
    origins: Mapping[str, str] = field(default_factory=dict)


@dataclass(kw_only=True)
class InventorySource:
    """All machines of a source in its order, and notes on what could not be taken over, with their machines."""

    name: str
    machines: list[SourceMachine] = field(default_factory=list)
    notes: dict[str, list[str]] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)

    def note(self, text: str, machine: str | None = None) -> None:
        """Say ``text`` of ``machine``, or of all together."""
        whose = self.notes.setdefault(text, [])
        if machine is not None and machine not in whose:
            whose.append(machine)

    def noted(self) -> Iterator[str]:
        """Every note on a line, with the machines it is about."""
        for text, whose in self.notes.items():
            yield f"{text} ({listed(whose)})" if whose else text

    def add(self, machine: SourceMachine) -> None:
        """Take ``machine``, or note what the settings would refuse in it."""
        entry = plain(machine)
        _, found = validate(Minion, entry)
        wrong = [it for it in found if not lacks_key(it)]
        for it in mistakes("", Minion, wrong):
            origin = machine.origins.get(it.key.partition(".")[0], it.key)
            # An origin that names a file of settings is the same for all machines.
            mistake = replace(it, key=origin if ": " in origin else f"{machine.place}: {origin}")
            if mistake not in self.mistakes:
                self.mistakes.append(mistake)
        self.machines.append(machine)

    def checked(self) -> Sequence[SourceMachine]:
        """The machines. Raises OpsError with every mistake."""
        if self.mistakes:
            raise OpsError(str(SettingsError(self.name, self.mistakes)))
        if not self.machines:
            raise OpsError("; ".join([f"{self.name}: no machine is left that can be a minion", *self.noted()]))
        return self.machines


def plain(machine: SourceMachine) -> dict[str, Any]:
    """As an inventory would have it, without host keys."""
    entry: dict[str, Any] = {"name": machine.name, "host": machine.host, "port": machine.port, "user": machine.user}
    entry |= {"node": machine.node, "bastion": plain_jump(machine.bastion) if machine.bastion else None}
    return {key: value for key, value in entry.items() if value is not None}


def plain_jump(jump: Jump | bool) -> dict[str, Any] | None:
    """A bastion as an inventory has it, without its key."""
    if isinstance(jump, bool):
        return None
    entry = {"host": jump.host, "port": jump.port, "user": jump.user}
    return {key: value for key, value in entry.items() if value is not None}


def lacks_key(it: Finding) -> bool:
    """Whether all that is wrong is that nobody has scanned a host key yet."""
    return it.kind == "missing" and it.place[-1:] == ("hostKey",) and it.place[:1] != ("others",)


def listed(names: Iterable[str], most: int = 5) -> str:
    """Names on one line, the first few of many."""
    names = list(names)
    return ", ".join([*names[:most], *([f"{len(names) - most} more"] if len(names) > most else [])])
