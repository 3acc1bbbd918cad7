"""Why something is not ready, in the cluster's own words: pods' states and warnings."""

from __future__ import annotations

from collections.abc import Iterator

from lab.plugins.kube.cluster import Cluster, Object, RefusedError, UnreachableError
from lab.plugins.kube.kinds import EVENT, POD, Kind

_MOST = 10


async def reasons(cluster: Cluster, kind: Kind, live: Object) -> list[str]:
    """A line for each pod that is not ready and each warning about the object or its pods, without repetition."""
    metadata = live["metadata"]
    namespace = metadata.get("namespace", "")
    selector = live.get("spec", {}).get("selector")
    try:
        pods = [live] if kind is POD else []
        if isinstance(selector, dict) and selector and kind.namespaced:
            labels = ",".join(f"{name}={value}" for name, value in selector.items())
            pods = await cluster.list(POD, namespace, labels=labels)
        lines = [line for pod in pods for line in _pod(pod)]
        names = {pod["metadata"]["uid"] for pod in pods} | {metadata["uid"]}
        for event in await cluster.list(EVENT, namespace, fields="type=Warning") if namespace else []:
            about = event["involvedObject"]
            if about.get("uid") in names:
                lines.append(f"{about.get('kind')} {about.get('name')}: {event.get('reason')}: {event.get('message')}")
    except (RefusedError, UnreachableError) as error:
        return [f"its pods and events could not be read: {error}"]
    if not lines and kind.kind == "Service":
        lines = ["no pod serves it; does .spec.selector match the labels of any ready pod?"]
    return list(dict.fromkeys(lines))[:_MOST]


def _pod(pod: Object) -> Iterator[str]:
    name, status = pod["metadata"]["name"], pod.get("status") or {}
    for condition in status.get("conditions") or []:
        if condition["status"] != "True" and condition.get("message"):
            yield f"Pod {name}: {condition.get('reason', condition['type'])}: {condition['message']}"
    for field in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(field) or []:
            for state in ("waiting", "terminated"):
                found = (container.get("state") or {}).get(state)
                if found and found.get("reason") != "Completed":
                    message = f": {found['message']}" if found.get("message") else ""
                    yield f"Pod {name}: container {container['name']}: {found.get('reason', state)}{message}"
