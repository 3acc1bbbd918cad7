"""Which Gluster versions meet on a volume: the minions' clients against one another, and against the servers.

A client sends each brick the highest op-version that it supports (protocol/client, client-handshake.c). That is the one
of its release: 70200 is 7.2, 100000 any 10.x (libglusterfs, globals.h). A server's version comes from its own clients,
above all from its self-heal daemon, which is a client of every brick. If a client is older than the volume's options
need, it does not get the volume (glusterd-handshake.c). Gluster's upgrade guide says: upgrade the servers before the
clients, and end with the same major version on both
(https://docs.gluster.org/en/main/Upgrade-Guide/generic-upgrade-procedure/).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address

from ops.clients import Client, ClientsUnknownError, clients_of
from ops.comparison import Comparison, FailedComparison
from ops.farm import Stack
from ops.finding import DriftFinding, plain, quoted
from ops.recorded_stack import Mount

Address = IPv4Address | IPv6Address
_UPGRADING = "docs/operations.md, 'Upgrading Gluster'"
_LEVELS = 100  # an op-version has two decimal digits for each part of a release but the first
_FIRST_OF_RELEASES = 30000  # before them they were 1, 2 and 3


def _mounted(seen: Mapping[str, Comparison | FailedComparison]) -> dict[str, Comparison]:
    return {name: what for name, what in seen.items() if isinstance(what, Comparison) and what.status.get("mounted")}


def judge_minions(seen: Mapping[str, Comparison | FailedComparison]) -> Iterator[DriftFinding]:
    """A finding for each minion whose client is not the version that most minions have.

    If two versions are as common, the newer one is expected. A minion whose recorded script does not print its version
    yet is left out.
    """
    versions = {name: str(what.status.get("version") or "") for name, what in _mounted(seen).items()}
    count = Counter(version for version in versions.values() if version)
    if len(count) <= 1:
        return
    wanted = max(count, key=lambda version: (count[version], _newness(version)))
    for name, version in versions.items():
        if version and version != wanted:
            yield DriftFinding(
                minion=name,
                what="version",
                wanted=f"{quoted(wanted)}, as {count[wanted]} of {count.total()} minions have it",
                found=f"Gluster client {quoted(version)}",
                remedy=f"install the same client everywhere, none newer than the servers: {_UPGRADING}",
            )


def _newness(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall("[0-9]+", version))


async def check_servers(
    stack: Stack, seen: Mapping[str, Comparison | FailedComparison]
) -> tuple[list[DriftFinding], list[str]]:
    """Have one minion ask the servers, and compare them with the clients; give findings, and what was not compared.

    Bounded in time; raises nothing that a minion or a server could cause.
    """
    mounted = {name: what for name, what in _mounted(seen).items() if what.status.get("alive")}
    try:
        asking = _asking(mounted)
        minion = next(minion for minion in stack.inventory.minions if minion.name == asking)
        mount = stack.state.mounts[asking]
        # While a volume is changed for another, not all minions have the same.
        same = {name: what for name, what in mounted.items() if stack.state.mounts[name].volume == mount.volume}
        return judge_servers(mount, same, await clients_of(minion, mount))
    except ClientsUnknownError as error:
        return [], [f"the servers' versions: {plain(str(error))}"]


def _asking(mounted: Mapping[str, Comparison]) -> str:
    """The first minion that can ask the servers. Raises ClientsUnknownError."""
    if not mounted:
        raise ClientsUnknownError("no minion has a mount that answers")
    for name, what in mounted.items():
        if what.asks:
            return name
    raise ClientsUnknownError("no minion has the gluster command; install the package glusterfs-cli on one of them")


def judge_servers(
    mount: Mount, minions: Mapping[str, Comparison], clients: Sequence[Client]
) -> tuple[list[DriftFinding], list[str]]:
    """Compare the ``minions`` with the servers, both as ``clients`` of the volume of ``mount``.

    The ports of its connections separate a minion's client from others of that machine. Servers are the machines that
    the minions' clients are connected to. Loopback addresses, which a machine with a brick may have, are ignored.
    Raises ClientsUnknownError if no client belongs to a server.
    """
    versions = {client.at: client.op_version for client in clients if not client.at.address.is_loopback}
    own = {name: {it.local for it in what.connections} for name, what in minions.items()}
    machines = {it.remote.address for what in minions.values() for it in what.connections}
    servers: dict[Address, set[int]] = {}
    for at in versions.keys() - set().union(*own.values()):
        if at.address in machines:
            servers.setdefault(at.address, set()).add(versions[at])
    if not servers:
        reason = "comes from a server (of a volume without self-heal none does)"
        raise ClientsUnknownError(f"none of the {len(clients)} client connections of {mount.volume} {reason}")
    found = {name: {versions[at] for at in ends & versions.keys()} for name, ends in own.items()}
    silent = [name for name, its in found.items() if not its]
    theirs = set().union(*servers.values())
    return (
        [
            *([_mixed(mount, servers)] if len(theirs) > 1 else []),
            *(_differing(name, its, servers) for name, its in found.items() if its - theirs),
        ],
        [f"the versions of {', '.join(silent)} with the servers', who know no client of theirs"] if silent else [],
    )


def _mixed(mount: Mount, servers: Mapping[Address, Collection[int]]) -> DriftFinding:
    """What concerns no single minion."""
    return DriftFinding(
        minion="",
        what="version",
        wanted=f"one version on all servers of {mount.volume}",
        found=_servers(servers),
        remedy=f"upgrade all servers, before any client, and restart what still runs there: {_UPGRADING}",
    )


def _differing(minion: str, found: Collection[int], servers: Mapping[Address, Collection[int]]) -> DriftFinding:
    newest = max(version for versions in servers.values() for version in versions)
    newer = "the client is newer, and servers come first: upgrade them"
    older = "the client is older: drain the node, upgrade it, reboot"
    return DriftFinding(
        minion=minion,
        what="version",
        wanted=f"that of the servers: {_servers(servers)}",
        found=f"a running client with {_named(found)}",
        remedy=f"{newer if max(found) > newest else older}: {_UPGRADING}",
    )


def _servers(servers: Mapping[Address, Collection[int]]) -> str:
    """ "V on A, B and W on C"; a server where several versions run is there with each."""
    at: dict[int, list[str]] = {}
    for address, versions in servers.items():
        for version in versions:
            at.setdefault(version, []).append(str(address))
    return " and ".join(f"{_named([version])} on {', '.join(sorted(at[version]))}" for version in sorted(at))


def _named(versions: Collection[int]) -> str:
    return " and ".join(f"op-version {version}{_release(version)}" for version in sorted(versions))


def _release(op_version: int) -> str:
    """The release an op-version belongs to, without the zeros at its end."""
    if op_version < _FIRST_OF_RELEASES:
        return ""
    rest, patch = divmod(op_version, _LEVELS)
    parts = [*divmod(rest, _LEVELS), patch]
    while not parts[-1]:
        parts.pop()
    return f" (release {'.'.join(map(str, parts))})"
