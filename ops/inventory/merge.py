"""Merges what a source has into an inventory file. What the source does not have stays as it is in the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ops.inventory.inventory_file import InventoryFile
from ops.inventory.source_machines import SourceMachine, plain_jump
from ops.inventory.ssh_options import Jump

_DEFAULTS: Final[Mapping[str, Any]] = {"port": 22, "user": "root"}
#: Of bastions, by where they listen.
_Keys = Mapping[tuple[str, int], str]


@dataclass(frozen=True, kw_only=True)
class Change:
    """A minion that is "added", "removed" or "changed"; ``keys``: what it has now and had before (None: nothing)."""

    kind: str
    minion: str
    keys: Mapping[str, tuple[Any, Any]]

    def line(self) -> str:
        """The change on one line."""
        sign = {"added": "+", "removed": "-", "changed": "~"}[self.kind]
        if self.kind == "changed":
            changes = (f"{key} {_shown(now)} (was {_shown(was)})" for key, (now, was) in self.keys.items())
        else:
            changes = (f"{key} {_shown(now if was is None else was)}" for key, (now, was) in self.keys.items())
        return f"{sign} {self.minion}: {', '.join(changes)}"


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """What a new minion gets of which the source says nothing."""

    user: str | None = None
    bastion: Jump | None = None


def merge(file: InventoryFile, machines: Sequence[SourceMachine], defaults: Defaults) -> tuple[Change, ...]:
    """Make the minions of ``file`` those of the source, by name or else by node; return what changed, in its order."""
    places = _places(file, machines)
    keys_known = {address(it): it["hostKey"] for it in _bastions(file) if "hostKey" in it}
    changes = list[Change]()
    for index, entry in enumerate(file.minions):
        machine = next((it for it, place in zip(machines, places, strict=True) if place == index), None)
        if machine is None:
            keys = {key: (None, value) for key, value in _visible(entry).items()}
            changes.append(Change(kind="removed", minion=entry["name"], keys=keys))
            continue
        keys = _update(file, index, machine, keys_known)
        if keys:
            changes.append(Change(kind="changed", minion=entry["name"], keys=keys))
    gone = [index for index in range(len(file.minions)) if index not in places]
    for machine, place in zip(machines, places, strict=True):
        if place is None:
            entry = _entry(machine, defaults, keys_known)
            file.add(entry)
            keys = {key: (value, None) for key, value in _visible(entry).items()}
            changes.append(Change(kind="added", minion=machine.name, keys=keys))
    for index in reversed(gone):
        file.remove(index)
    return tuple(changes)


def _places(file: InventoryFile, machines: Sequence[SourceMachine]) -> list[int | None]:
    """Where the file has each machine; no place twice."""
    names = {it["name"]: index for index, it in enumerate(file.minions)}
    nodes = {it.get("node", it["name"]): index for index, it in enumerate(file.minions)}
    places: list[int | None] = [None] * len(machines)
    for known, called in (
        (names, [it.name for it in machines]),
        (nodes, [it.node or it.name for it in machines]),
    ):
        for number, name in enumerate(called):
            index = known.get(name)
            if places[number] is None and index not in places:
                places[number] = index
    return places


def _update(file: InventoryFile, index: int, machine: SourceMachine, keys_known: _Keys) -> dict[str, tuple[Any, Any]]:
    entry = file.minions[index]
    wanted: dict[str, Any] = {"host": machine.host, "port": machine.port, "user": machine.user, "node": machine.node}
    keys = dict[str, tuple[Any, Any]]()
    for key, value in wanted.items():
        was = entry.get(key, entry["name"] if key == "node" else _DEFAULTS.get(key))
        if value not in (None, was) and not (key == "host" and was in machine.others):
            file.set(index, key, value)
            keys[key] = (value, was)
    bastion = entry.get("bastion")
    if machine.bastion is False and bastion:
        file.drop(index, "bastion")
        keys["bastion"] = (None, bastion)
    elif isinstance(machine.bastion, Jump) and not _same(bastion, machine.bastion):
        value = _bastion(machine.bastion, keys_known)
        file.set(index, "bastion", value)
        keys["bastion"] = (value, bastion)
    return keys


def _entry(machine: SourceMachine, defaults: Defaults, keys_known: _Keys) -> dict[str, Any]:
    jump = defaults.bastion if machine.bastion is None else machine.bastion
    entry = {
        "name": machine.name,
        "host": machine.host,
        "port": machine.port,
        "user": machine.user or defaults.user,
        "node": machine.node if machine.node != machine.name else None,
        "bastion": _bastion(jump, keys_known) if isinstance(jump, Jump) else None,
    }
    return {key: value for key, value in entry.items() if value not in (None, _DEFAULTS.get(key, None))}


def _bastion(jump: Jump, keys_known: _Keys) -> dict[str, Any]:
    """With its host key, where the file had that already."""
    entry = plain_jump(jump) or {}
    if entry.get("port") == _DEFAULTS["port"]:
        del entry["port"]
    host_key = keys_known.get(address(entry))
    return entry | ({"hostKey": host_key} if host_key else {})


def _bastions(file: InventoryFile) -> Iterator[Mapping[str, Any]]:
    for it in file.machines:
        if it.get("bastion"):
            yield it["bastion"]


def _same(entry: Mapping[str, Any] | None, jump: Jump) -> bool:
    return entry is not None and (*address(entry), entry["user"]) == (jump.host, jump.port or 22, jump.user)


def address(entry: Mapping[str, Any]) -> tuple[str, int]:
    """Where a machine listens, its own view."""
    return entry["host"], entry.get("port", _DEFAULTS["port"])


def _visible(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in ("name", "hostKey") and value is not None}


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, Mapping):
        host, port = address(value)
        return f"{value['user']}@{host}" + ("" if port == _DEFAULTS["port"] else f":{port}")
    return str(value)
