"""The labels of the minions' nodes against what the state says that Pulumi has written there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from components.labels import mounted_label
from connectors.cluster import Cluster, ClusterError
from ops.finding import Finding, quoted
from ops.recorded import Label, State
from settings import Kubernetes

_REPAIR = "`python -m ops drift --repair` lets Pulumi write it again"


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node's labels and annotations."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]


def _nodes(cluster: Cluster) -> dict[str, Node]:
    return {
        item["metadata"]["name"]: Node(
            labels=item["metadata"].get("labels") or {}, annotations=item["metadata"].get("annotations") or {}
        )
        for item in cluster.ask("the nodes", cluster.core.list_node)["items"]
    }


def judge_nodes(state: State, kubernetes: Kubernetes, *, passed_over: Collection[str]) -> list[Finding]:
    """The findings about nodes; a cluster that does not answer is one too. Blocks for 10 s at most."""
    try:
        nodes = _nodes(
            Cluster(kubeconfig=Path(kubernetes.kubeconfig), context=kubernetes.context, namespace=kubernetes.namespace)
        )
    except ClusterError as error:
        reason, _, remedy = str(error).rpartition("; ")
        return [
            Finding(
                minion="",
                what="connection",
                wanted="a cluster that tells its nodes' labels",
                found=f"that {reason}",
                remedy=remedy,
            )
        ]
    return [*_recorded(state, nodes, passed_over), *_stray(state, nodes)]


def _recorded(state: State, nodes: Mapping[str, Node], passed_over: Collection[str]) -> Iterator[Finding]:
    for minion, label in state.labels.items():
        if minion in passed_over:
            continue
        if (node := nodes.get(label.node)) is None:
            yield Finding(
                minion=minion,
                what="node",
                wanted=f"node {label.node} in the cluster",
                found="no such node",
                remedy="join it to the cluster, or correct `node` in the inventory, then `pulumi up --refresh`",
            )
            continue
        yield from _differing(minion, label, node)


def _differing(minion: str, label: Label, node: Node) -> Iterator[Finding]:
    for what, wanted, there in (
        ("label", label.labels, node.labels),
        ("annotation", label.annotations, node.annotations),
    ):
        for key, value in wanted.items():
            if there.get(key) != value:
                yield Finding(
                    minion=minion,
                    what=what,
                    wanted=f"{key}={value} on node {label.node}",
                    found=quoted(there[key]) if key in there else f"no {what} of that name",
                    remedy=_REPAIR,
                    mend="label",
                )


def _stray(state: State, nodes: Mapping[str, Node]) -> Iterator[Finding]:
    """Pods of ours may start where the label is, so it must be nowhere else."""
    key = mounted_label(state.stack)
    for name in sorted(nodes.keys() - state.labelled):
        if key in nodes[name].labels:
            yield Finding(
                minion=name,
                what="label",
                wanted=f"no label {key} on node {name}, which the state does not have",
                found=quoted(nodes[name].labels[key]),
                remedy=f"kubectl label node {name} {key}-",
            )
