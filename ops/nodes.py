"""The labels of the minions' nodes against what the state says that Pulumi has written there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from components.labels import mounted_label
from connectors.cluster import Cluster, ClusterError
from ops.finding import DriftFinding, quoted
from ops.recorded_stack import Label, RecordedStack
from settings import Kubernetes

_REPAIR = "`python -m ops drift --repair` lets Pulumi write it again"


@dataclass(frozen=True, kw_only=True)
class NodeMetadata:
    """A node's labels and annotations."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]


def _nodes(cluster: Cluster) -> dict[str, NodeMetadata]:
    return {
        item["metadata"]["name"]: NodeMetadata(
            labels=item["metadata"].get("labels") or {}, annotations=item["metadata"].get("annotations") or {}
        )
        for item in cluster.ask("the nodes", cluster.core.list_node)["items"]
    }


def judge_nodes(state: RecordedStack, kubernetes: Kubernetes, *, skipped: Collection[str]) -> list[DriftFinding]:
    """The findings about nodes; a cluster that does not answer is one too. Blocks for 10 s at most."""
    try:
        nodes = _nodes(
            Cluster(kubeconfig=Path(kubernetes.kubeconfig), context=kubernetes.context, namespace=kubernetes.namespace)
        )
    except ClusterError as error:
        reason, _, remedy = str(error).rpartition("; ")
        return [
            DriftFinding(
                minion="",
                what="connection",
                wanted="a cluster that lists its nodes' labels",
                found=f"that {reason}",
                remedy=remedy,
            )
        ]
    return [*_recorded(state, nodes, skipped), *_stray(state, nodes)]


def _recorded(
    state: RecordedStack, nodes: Mapping[str, NodeMetadata], skipped: Collection[str]
) -> Iterator[DriftFinding]:
    for minion, label in state.labels.items():
        if minion in skipped:
            continue
        if (node := nodes.get(label.node)) is None:
            yield DriftFinding(
                minion=minion,
                what="node",
                wanted=f"node {label.node} in the cluster",
                found="no such node",
                remedy="join it to the cluster, or correct `node` in the inventory, then `pulumi up --refresh`",
            )
            continue
        yield from _differing(minion, label, node)


def _differing(minion: str, label: Label, node: NodeMetadata) -> Iterator[DriftFinding]:
    for what, wanted, there in (
        ("label", label.labels, node.labels),
        ("annotation", label.annotations, node.annotations),
    ):
        for key, value in wanted.items():
            if there.get(key) != value:
                yield DriftFinding(
                    minion=minion,
                    what=what,
                    wanted=f"{key}={value} on node {label.node}",
                    found=quoted(there[key]) if key in there else f"no {what} of that name",
                    remedy=_REPAIR,
                    mend="label",
                )


def _stray(state: RecordedStack, nodes: Mapping[str, NodeMetadata]) -> Iterator[DriftFinding]:
    """Pods of ours may start where the label is, so it must be nowhere else."""
    key = mounted_label(state.stack)
    for name in sorted(nodes.keys() - state.labelled):
        if key in nodes[name].labels:
            yield DriftFinding(
                minion=name,
                what="label",
                wanted=f"no label {key} on node {name}, which the state does not have",
                found=quoted(nodes[name].labels[key]),
                remedy=f"kubectl label node {name} {key}-",
            )
