"""The cluster's nodes as minions: what each is called, and where it is reached inside the cluster's network."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from connectors.cluster import Cluster, ClusterError
from ops.errors import OpsError
from ops.inventory.source_machines import InventorySource, SourceMachine, listed
from rules.rule import shown
from settings import Mistake

#: Of a taint with one of these effects new pods keep away; the farm's tolerate none but those of a failed node.
_KEEPS_PODS_AWAY: Final = ("NoSchedule", "NoExecute")
#: These taints come and go with a node's condition: of Kubernetes itself, and of what a new node still waits for.
_OF_A_CONDITION: Final = re.compile(
    r"node(\.cloudprovider)?\.kubernetes\.io/.*|.*/(.*-)?not-ready|karpenter\.sh/unregistered"
)
_OS_LABELS: Final = ("kubernetes.io/os", "beta.kubernetes.io/os")
#: Nodes that are not machines which anybody logs in to, by label and value.
_WITHOUT_LOGIN: Final = {
    ("type", "virtual-kubelet"): "a virtual node is not a machine",
    ("type", "kwok"): "a simulated node is not a machine",
    ("eks.amazonaws.com/compute-type", "fargate"): "AWS Fargate lets nobody log in to its machines",
    ("eks.amazonaws.com/compute-type", "auto"): "EKS Auto Mode lets nobody log in to its machines",
}
_ADDRESS: Final = "InternalIP"


def read(cluster: Cluster, *, selector: str | None, known: Collection[str]) -> InventorySource:
    """Ask for the nodes that ``selector`` (of labels; None: all) chooses. Raises OpsError. Blocks for 10 s at most.

    A node that is a minion already (``known``) stays one whatever its taints, because many come and go.
    """
    chosen = {"label_selector": selector} if selector else {}
    try:
        items = cluster.ask("the nodes", cluster.core.list_node, **chosen)["items"]
    except ClusterError as error:
        raise OpsError(str(error)) from None
    source = InventorySource(name="the cluster's nodes")
    for node in items:
        _add(source, node, known)
    if not source.machines and not source.mistakes:
        chosen_by = f" with labels {shown(selector)}" if selector else ""
        raise OpsError(
            "; ".join(
                [f"the cluster has no node for pods{chosen_by}", *source.noted(), "see `kubectl describe nodes`"],
            )
        )
    return source


def _add(source: InventorySource, node: Mapping[str, Any], known: Collection[str]) -> None:
    name = node["metadata"]["name"]
    if reason := _reason_against(node):
        source.note(f"left out, because {reason}", name)
        return
    if taint := _taint(node):
        what = f"the taint {taint} keeps the farm's pods away"
        if name not in known:
            source.note(f"left out, because {what}", name)
            return
        source.note(f"still a minion, although {what}; if the taint is there to stay, delete the minion's entry", name)
    addresses = [it for it in (node.get("status") or {}).get("addresses") or [] if it.get("address")]
    internal = [it["address"] for it in addresses if it.get("type") == _ADDRESS]
    if not internal:
        what = "it has none in its status; is its kubelet up? Else list the machine by hand, or choose with --selector"
        source.mistakes.append(Mistake(key=f"node {shown(name)}: {_ADDRESS}", what=what))
        return
    source.add(
        SourceMachine(
            name=name,
            host=internal[0],
            others=tuple(it["address"] for it in addresses),
            node=name,
            place=f"node {shown(name)}",
            origins={"name": "its name", "host": _ADDRESS},
        )
    )


def _reason_against(node: Mapping[str, Any]) -> str | None:
    """Why a node can never be a minion."""
    labels = node["metadata"].get("labels") or {}
    system = ((node.get("status") or {}).get("nodeInfo") or {}).get("operatingSystem")
    systems = {it.lower() for it in (system, *map(labels.get, _OS_LABELS)) if it} - {"linux"}
    if systems:
        return f"only Linux can mount the volume, and the node runs {listed(sorted(systems))}"
    for label, reason in _WITHOUT_LOGIN.items():
        if labels.get(label[0]) == label[1]:
            return reason
    return None


def _taint(node: Mapping[str, Any]) -> str | None:
    """The key of a taint that the farm's pods do not tolerate."""
    for taint in (node.get("spec") or {}).get("taints") or []:
        if taint.get("effect") in _KEEPS_PODS_AWAY and not _OF_A_CONDITION.fullmatch(taint["key"]):
            return str(taint["key"])
    return None
