"""A farm's pods on one node, and their end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from connectors.cluster import Cluster, NotThereError, is_ready

_EVERY_SECONDS = 0.5


class DrainError(Exception):
    """Pods would not go: names them and the remedy."""


@dataclass(frozen=True, kw_only=True)
class NodePods:
    """The pods on node ``name`` that carry the labels of ``selector`` (KEY=VALUE joined by commas)."""

    cluster: Cluster
    name: str
    selector: str

    def belongs_to(self, key: str) -> str:
        """The value of the annotation ``key``, '' without one; raises what ``Cluster.ask`` does."""
        node = self.cluster.ask(f"node {self.name}", self.cluster.core.read_node, self.name)
        return str((node["metadata"].get("annotations") or {}).get(key, ""))

    def unlabel(self, keys: Sequence[str]) -> None:
        """Remove the labels and annotations of these ``keys``; raises what ``Cluster.ask`` does."""
        gone = dict.fromkeys(keys)
        body = {"metadata": {"labels": gone, "annotations": gone}}
        self.cluster.ask(f"a change of node {self.name}", self.cluster.core.patch_node, self.name, body=body)

    def drain(self, timeout: float) -> list[str]:
        """Delete the pods and wait at most ``timeout`` seconds until they are gone; return the names of those found.

        Pods that come meanwhile are deleted too. On a node whose kubelet is silent the pods are deleted and not waited
        for, because nothing ends them there. Raises DrainError if some are left, NotThereError if the node does not
        exist, and what ``Cluster.ask`` raises.
        """
        silent = not is_ready(self.cluster.ask(f"node {self.name}", self.cluster.core.read_node, self.name))
        seen: set[str] = set()
        until = time.monotonic() + timeout
        while pods := self._pods():
            for pod in pods:
                seen.add(pod["metadata"]["name"])
                if "deletionTimestamp" not in pod["metadata"]:
                    self._delete(pod["metadata"]["name"])
            if silent:
                names = ", ".join(sorted(seen))
                raise NotThereError(f"it is not Ready, so nobody ends its pods {names}; they end when it is back")
            if time.monotonic() > until:
                names = ", ".join(sorted(pod["metadata"]["name"] for pod in pods))
                raise DrainError(
                    f"pods {names} are still there after {timeout:g} s; see what keeps them with kubectl describe in"
                    f" namespace {self.cluster.namespace}, then run this again"
                )
            time.sleep(_EVERY_SECONDS)
        return sorted(seen)

    def _pods(self) -> list[dict[str, Any]]:
        return list(
            self.cluster.ask(
                f"the pods of namespace {self.cluster.namespace}",
                self.cluster.core.list_namespaced_pod,
                self.cluster.namespace,
                label_selector=self.selector,
                field_selector=f"spec.nodeName={self.name}",
            )["items"]
        )

    def _delete(self, pod: str) -> None:
        with contextlib.suppress(NotThereError):
            self.cluster.ask(
                f"the deletion of pod {pod}", self.cluster.core.delete_namespaced_pod, pod, self.cluster.namespace
            )
