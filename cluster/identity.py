"""Whether a minion is the machine that its Kubernetes Node describes.

A wrong name in the inventory would label a node where nothing is mounted, and pods would start there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.cluster import Cluster

#: Names in a message.
_MOST = 10
#: Prints one word and a value a line; a shell's own output has neither word.
QUESTION = (
    'printf "glusterfarm-machine-id %s\\n" "$(cat /etc/machine-id)";'
    ' for address in $(hostname -I 2>/dev/null || ip -o addr show | sed "s/.*inet6* //; s:/.*::");'
    ' do printf "glusterfarm-address %s\\n" "$address"; done'
)


class IdentityError(Exception):
    """A minion is not the node that the inventory names. Names both, the reason and the remedy."""


@dataclass(frozen=True, kw_only=True)
class MachineIdentity:
    """What a minion says of itself: the content of /etc/machine-id ('' for none), and its addresses."""

    machine_id: str
    addresses: frozenset[str]

    @classmethod
    def of(cls, answer: str, *also: str) -> MachineIdentity:
        """Read the answer to ``QUESTION``; ``also`` are addresses by which the minion is reached."""
        words = [line.split() for line in answer.splitlines()]
        found = [(line[0], line[1]) for line in words if len(line) == 2]  # noqa: PLR2004 (a word and its value)
        return cls(
            machine_id=next((value for word, value in found if word == "glusterfarm-machine-id"), ""),
            addresses=frozenset([*also, *(value for word, value in found if word == "glusterfarm-address")]),
        )


@dataclass(frozen=True, kw_only=True)
class NodeIdentity:
    """What the cluster says of a node: its status.nodeInfo.machineID ('' for none), status.addresses, and labels."""

    name: str
    machine_id: str
    addresses: frozenset[str]
    labels: frozenset[str] = frozenset()


def nodes(cluster: Cluster) -> list[NodeIdentity]:
    """All nodes of the cluster. Raises ClusterError."""
    return [_node(it) for it in cluster.ask("the nodes", cluster.core.list_node)["items"]]


def _node(item: Mapping[str, Any]) -> NodeIdentity:
    status = item.get("status") or {}
    return NodeIdentity(
        name=item["metadata"]["name"],
        machine_id=(status.get("nodeInfo") or {}).get("machineID") or "",
        addresses=frozenset(it["address"] for it in status.get("addresses") or []),
        labels=frozenset(item["metadata"].get("labels") or {}),
    )


def missing(minion: str, node: str, known: Iterable[NodeIdentity]) -> str:
    """Why ``minion`` cannot be ``node``, where the cluster has no such node; '' where it has."""
    names = sorted(it.name for it in known)
    if node in names:
        return ""
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    there = f"its nodes are {', '.join(names[:_MOST])}{more}" if names else "it has no nodes"
    return (
        f"minion {minion}: the cluster has no node {node}; {there}. Write the name of this machine's node as `node:`"
        " into the inventory, or join the machine to the cluster"
    )


def verify(minion: str, node: str, machine: MachineIdentity, known: Sequence[NodeIdentity]) -> str:
    """Verify that ``machine`` is ``node``; give a warning where only its address says so, else ''.

    Raises IdentityError. The kubelet reports the content of /etc/machine-id as machineID. Machines that were cloned
    share one. Source: k8s.io/api/core/v1, NodeSystemInfo.
    """
    if reason := missing(minion, node, known):
        raise IdentityError(reason)
    (wanted,) = [it for it in known if it.name == node]
    same = [it.name for it in known if machine.machine_id and it.machine_id == machine.machine_id]
    if same == [node]:
        return ""
    if wanted.machine_id and machine.machine_id and node not in same:
        its = f"this machine is node {same[0]}: write `node: {same[0]}`" if len(same) == 1 else _other(machine, known)
        raise IdentityError(
            f"minion {minion}: this machine is not node {node}: its /etc/machine-id is {machine.machine_id}, and the"
            f" node reports {wanted.machine_id}; {its}"
        )
    why = f"nodes {', '.join(same)} report the same machine-id" if same else f"node {node} reports no machine-id of it"
    if not machine.addresses & wanted.addresses:
        listed = ", ".join(sorted(wanted.addresses)) or "none"
        raise IdentityError(
            f"minion {minion}: nothing shows that this machine is node {node}: {why}, and the node's addresses"
            f" ({listed}) are not this machine's ({', '.join(sorted(machine.addresses)) or 'none'}). Correct `host` or"
            " `node` in the inventory"
        )
    return (
        f"minion {minion}: only its address shows that it is node {node}, because {why}; give each machine its own"
        " /etc/machine-id (systemd-machine-id-setup), then restart its kubelet"
    )


def _other(machine: MachineIdentity, known: Iterable[NodeIdentity]) -> str:
    by_address = [it.name for it in known if machine.addresses & it.addresses]
    hint = f" ({', '.join(by_address)} has its address)" if by_address else ""
    return f"correct `host` or `node` in the inventory{hint}"
