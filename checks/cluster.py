"""The pods of a controller, as the cluster's API lists them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.cluster import Cluster

#: Phases that a pod never leaves.
_ENDED = ("Failed", "Succeeded")
#: Reasons of a waiting container that time alone does not mend. Source: k8s.io/kubernetes, pkg/kubelet/images/types.go
#: and pkg/kubelet/kuberuntime.
_STUCK = (
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "ImageInspectError",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "CrashLoopBackOff",
)


@dataclass(frozen=True, kw_only=True)
class Pod:
    """A pod that is not being deleted. ``ip`` and ``node`` are '' until it has them; ``why`` says why it is not ready.

    ``restarts`` counts its containers' restarts. ``ended`` says how one ended last; '' if none did. ``stuck`` is the
    reason why a container cannot start; '' if it can. ``unscheduled``: the scheduler found no node for it.
    """

    name: str
    node: str
    ip: str
    ready: bool
    why: str
    restarts: int
    ended: str
    stuck: str
    unscheduled: bool
    spec: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Controller:
    """A ReplicationController's pods that count as its own.

    ``others`` are the names of the farm's pods that do not, and may serve all the same: those that other controllers
    made, while pods are rolled, and its own that are about to go.
    """

    name: str
    pods: tuple[Pod, ...]
    others: frozenset[str]


def controller(cluster: Cluster, name: str) -> Controller:
    """The ReplicationController ``name`` and the pods that it counts as its own.

    Those that are being deleted it does not count, nor those that have ended for good (evicted, say), which stay until
    somebody deletes them. Raises ClusterError.
    """
    where = f"of namespace {cluster.namespace}"
    found = cluster.ask(
        f"the ReplicationController {name} {where}",
        cluster.core.read_namespaced_replication_controller,
        name,
        cluster.namespace,
    )
    pods = cluster.ask(f"the pods {where}", cluster.core.list_namespaced_pod, cluster.namespace)["items"]
    pods.sort(key=lambda pod: str(pod["metadata"]["name"]))
    uid, farm = found["metadata"]["uid"], found["metadata"].get("labels") or {}
    made = [pod for pod in pods if any(owner["uid"] == uid for owner in _owners(pod))]
    own = [pod for pod in made if _counts(pod)]
    return Controller(
        name=name,
        pods=tuple(_pod(pod) for pod in own),
        others=frozenset(
            pod["metadata"]["name"] for pod in pods if pod not in own and (pod in made or _of_another(pod, farm))
        ),
    )


def _counts(pod: Mapping[str, Any]) -> bool:
    return "deletionTimestamp" not in pod["metadata"] and pod["status"].get("phase") not in _ENDED


def _of_another(pod: Mapping[str, Any], farm: Mapping[str, str]) -> bool:
    """Whether it carries the labels of the ``farm`` and some controller made it."""
    return (
        bool(farm)
        and farm.items() <= pod["metadata"].get("labels", {}).items()
        and any(owner["kind"] == "ReplicationController" for owner in _owners(pod))
    )


def _owners(pod: Mapping[str, Any]) -> Sequence[Mapping[str, str]]:
    return pod["metadata"].get("ownerReferences") or ()


def _pod(pod: Mapping[str, Any]) -> Pod:
    conditions = {condition["type"]: condition for condition in pod["status"].get("conditions", [])}
    return Pod(
        name=pod["metadata"]["name"],
        node=pod["spec"].get("nodeName", ""),
        ip=pod["status"].get("podIP", ""),
        ready=conditions.get("Ready", {}).get("status") == "True",
        why=_why(pod["status"], conditions),
        restarts=sum(it.get("restartCount", 0) for it in _containers(pod["status"])),
        ended=next(filter(None, map(_ended, _containers(pod["status"]))), ""),
        stuck=next(filter(None, map(_stuck, _containers(pod["status"]))), ""),
        unscheduled=conditions.get("PodScheduled", {}).get("reason") == "Unschedulable",
        spec=pod["spec"],
    )


def _containers(status: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The states of all containers, those that begin the pod first."""
    return [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]


def _stuck(container: Mapping[str, Any]) -> str:
    """Why the kubelet cannot start a container; between two starts of one that ends each time, too."""
    waiting = (container.get("state") or {}).get("waiting") or {}
    if (reason := str(waiting.get("reason", ""))) in _STUCK:
        return reason
    return "CrashLoopBackOff" if container.get("restartCount", 0) and not container.get("ready") else ""


def _ended(container: Mapping[str, Any]) -> str:
    for state in (container.get("state", {}), container.get("lastState", {})):
        if (ended := state.get("terminated")) and ended.get("exitCode"):
            return f"container {container['name']}: {ended.get('reason', 'ended')}, exit status {ended['exitCode']}"
    return ""


def _why(status: Mapping[str, Any], conditions: Mapping[str, Mapping[str, Any]]) -> str:
    """Why a pod is not ready, in Kubernetes' own words on one line."""
    said = [container["state"].get("waiting", {}) for container in _containers(status)]
    said += [conditions.get(kind, {}) for kind in ("PodScheduled", "Ready") if not _met(conditions, kind)]
    for words in said:
        if words.get("reason"):
            return " ".join(f"{words['reason']}: {words.get('message', '')}".split()).removesuffix(":")
    return str(status.get("phase", "no status yet"))


def _met(conditions: Mapping[str, Mapping[str, Any]], kind: str) -> bool:
    return conditions.get(kind, {}).get("status") == "True"
