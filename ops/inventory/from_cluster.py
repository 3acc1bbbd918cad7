"""The cluster's nodes as minions: what each is called, and where it is reached inside the cluster's network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from connectors.cluster import Cluster, ClusterError
from ops.errors import OpsError
from ops.inventory.told import Source, Told
from rules.rule import shown
from settings import Mistake

#: Pods without a toleration of their own, as the farm's are, never run where one of these is.
_NO_PODS: Final = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
_ADDRESS: Final = "InternalIP"


def read(cluster: Cluster, *, selector: str | None) -> Source:
    """Ask for the nodes that ``selector`` (of labels; None: all) chooses. Raises OpsError. Blocks for 10 s at most."""
    chosen = {"label_selector": selector} if selector else {}
    try:
        items = cluster.ask("the nodes", cluster.core.list_node, **chosen)["items"]
    except ClusterError as error:
        raise OpsError(str(error)) from None
    source = Source(name="the cluster's nodes")
    for node in items:
        _add(source, node)
    if not source.machines:
        raise OpsError(
            f"the cluster has no node for pods{f' with labels {shown(selector)}' if selector else ''};"
            " see `kubectl get nodes --show-labels`"
        )
    return source


def _add(source: Source, node: Mapping[str, Any]) -> None:
    name = node["metadata"]["name"]
    taint = next((it["key"] for it in (node.get("spec") or {}).get("taints") or [] if it["key"] in _NO_PODS), None)
    if taint:
        source.note(f"left out, because pods do not run where the taint {taint} is", name)
        return
    addresses = [it for it in (node.get("status") or {}).get("addresses") or [] if it.get("address")]
    internal = [it["address"] for it in addresses if it.get("type") == _ADDRESS]
    if not internal:
        what = "it has none in its status; is its kubelet up? Else list the machine by hand, or choose with --selector"
        source.mistakes.append(Mistake(key=f"node {shown(name)}: {_ADDRESS}", what=what))
        return
    source.add(
        Told(
            name=name,
            host=internal[0],
            others=tuple(it["address"] for it in addresses),
            node=name,
            place=f"node {shown(name)}",
            origins={"name": "its name", "host": _ADDRESS},
        )
    )
