"""Mistakes that only several values together show, found in data that may be wrong in any other way too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rules.rule import Finding, Place


def in_config(raw: object) -> Iterator[Finding]:
    """What is "twice" in a stack's configuration, and a "no_node_port"."""
    servers = [(place, it) for place, it in _entries(raw, "gluster", "servers") if isinstance(it, str)]
    yield from _twice("servers", ((place, it.lower(), it) for place, it in servers))
    options = [(place, it) for place, it in _entries(raw, "gluster", "options") if isinstance(it, str)]
    yield from _twice("options", ((place, it.partition("=")[0], it) for place, it in options))
    match raw:
        case {"service": {"nodePort": int(port), **rest}} if rest.get("type", "ClusterIP") == "ClusterIP":
            yield Finding(("service", "nodePort"), "no_node_port", port)


def in_inventory(raw: object) -> Iterator[Finding]:
    """What is "twice" in an inventory."""
    minions = [(place, it) for place, it in _entries(raw, "minions") if isinstance(it, dict)]
    others = [(place, it) for place, it in _entries(raw, "others") if isinstance(it, dict)]
    machines = [*minions, *others]
    yield from _twice("names", (((*place, "name"), it.get("name"), it.get("name")) for place, it in machines))
    # A minion's node is its name where it has no other.
    nodes = [(place, "node" if "node" in it else "name", it) for place, it in minions]
    yield from _twice("nodes", (((*place, part), it.get(part), it.get(part)) for place, part, it in nodes))
    yield from _twice("addresses", (((*place, "host"), _address(it), it.get("host")) for place, it in machines))


def _entries(raw: object, *place: str) -> list[tuple[Place, Any]]:
    for part in place:
        raw = raw.get(part) if isinstance(raw, dict) else None
    return [((*place, index), item) for index, item in enumerate(raw)] if isinstance(raw, list) else []


def _twice(which: str, values: Iterable[tuple[Place, object, object]]) -> Iterator[Finding]:
    """A finding for every (place, identity, value) whose identity came before. Only texts are compared."""
    first: dict[object, Place] = {}
    for place, identity, value in values:
        if isinstance(value, str) and (before := first.setdefault(identity, place)) != place:
            yield Finding(place, "twice", value, {"which": which, "before": before})


def _address(machine: Mapping[str, object]) -> object:
    """Where a machine listens; the same host and port behind another bastion are another machine's."""
    bastion = machine.get("bastion")
    through = _address(bastion) if isinstance(bastion, dict) else None
    return str(machine.get("host")).lower(), repr(machine.get("port", 22)), through
