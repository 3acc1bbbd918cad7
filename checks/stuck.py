"""Pods that will never serve: none can start, or no minion could ever take one. Waiting longer would not help."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from checks.cluster import Pod
from cluster.quota import needed_by_pods, quantity, shown
from connectors.cluster import Cluster, ClusterError

#: Minions in a message.
_MOST = 3


class Watch:
    """Notes since when every new pod is stuck, and whether a minion could take one.

    A pod is stuck if its image cannot be pulled or its container ends again and again.
    """

    def __init__(self, *, seconds: float, pods: int) -> None:
        """``seconds`` is how long ``pods``, all that there are to be, may be stuck."""
        self._seconds = seconds
        self._pods = pods
        self._since: float | None = None
        self._fits = False

    def verdict(self, cluster: Cluster, found: Sequence[Pod]) -> str:
        """Why waiting is over, or ''."""
        return self._stuck(found) or self._unfit(cluster, found)

    def _stuck(self, found: Sequence[Pod]) -> str:
        if len(found) < self._pods or not all(pod.stuck for pod in found):
            self._since = None
            return ""
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        if now - self._since < self._seconds:
            return ""
        reasons = ", ".join(dict.fromkeys(pod.stuck for pod in found))
        return f"no pod can start: {reasons} for {self._seconds:g} s (php.stuckTimeout)"

    def _unfit(self, cluster: Cluster, found: Sequence[Pod]) -> str:
        """Why no minion could ever take an unscheduled pod of these, or ''. All are alike, so one that fits is enough.

        What other pods use is left out: it may become free. Without the right to list nodes nothing is known.
        """
        pod = next((pod for pod in found if pod.unscheduled), None)
        if pod is None or self._fits:
            return ""
        try:
            nodes = cluster.ask("the nodes", cluster.core.list_node)["items"]
        except ClusterError:
            return ""
        wanted = (pod.spec.get("nodeSelector") or {}).items()
        minions = [node for node in nodes if wanted <= (node["metadata"].get("labels") or {}).items()]
        lacks = [next(_lacking(pod.spec, node), "") for node in minions]
        if not minions or not all(lacks):
            self._fits = bool(minions)
            return ""
        return f"no minion could ever take pod {pod.name}: {'; '.join(lacks[:_MOST])}. Ask for less in php.resources"


def _lacking(spec: Mapping[str, Any], node: Mapping[str, Any]) -> Iterator[str]:
    allocatable = (node.get("status") or {}).get("allocatable") or {}
    for resource, amount in needed_by_pods(spec, 1).items():
        if resource in allocatable and amount > quantity(allocatable[resource]):
            name, has = node["metadata"]["name"], allocatable[resource]
            yield f"it asks for {shown(amount)} of {resource}, and {name} has {has}"
