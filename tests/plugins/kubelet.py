"""The tests' kubelet: puts every pod on a node that is not there and says that it runs, or why it does not."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from itertools import count
from typing import Any

NODE = "minion-1"
BROKEN = "broken:1"
"""The image of a pod that never gets ready."""
REASON, MESSAGE = "ImagePullBackOff", "no such image in any registry"


class Kubelet:
    """Writes pods' status until it is stopped."""

    def __init__(self, api: Any) -> None:
        self._api = api
        self._addresses = count(2)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)

    def _loop(self) -> None:
        from kubernetes.client.exceptions import ApiException  # noqa: PLC0415
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        while not self._stop.wait(0.1):
            # A server that has just started refuses a watch, one that stops breaks it off.
            with contextlib.suppress(ApiException, HTTPError):
                self._follow()

    def _follow(self) -> None:
        from kubernetes.client.exceptions import ApiException  # noqa: PLC0415
        from kubernetes.watch import Watch  # noqa: PLC0415

        watch: Any = Watch
        # From the server's cache as it is. Debian's etcd 3.4.23 reports no progress to the API server, so the cache of
        # pods stays older than the newest object of another kind, and a watch that asks for the newest is refused.
        for event in watch().stream(
            self._api.list_pod_for_all_namespaces, resource_version="0", timeout_seconds=20, _request_timeout=(5, 30)
        ):
            # The pod may be gone or changed by now: a later event, or the next watch, shows it as it is then.
            with contextlib.suppress(ApiException):
                if event["type"] != "DELETED":
                    self._treat(event["object"])

    def _treat(self, pod: Any) -> None:
        name, namespace = pod.metadata.name, pod.metadata.namespace
        if pod.metadata.deletion_timestamp:
            self._api.delete_namespaced_pod(name, namespace, grace_period_seconds=0, _request_timeout=10)
        elif not pod.spec.node_name:
            binding = {"metadata": {"name": name}, "target": {"kind": "Node", "name": NODE}}
            self._api.create_namespaced_pod_binding(
                name, namespace, binding, _preload_content=False, _request_timeout=10
            )
        elif not pod.status.conditions or all(entry.type != "Ready" for entry in pod.status.conditions):
            self._api.patch_namespaced_pod_status(name, namespace, {"status": self._status(pod)}, _request_timeout=10)

    def _status(self, pod: Any) -> dict[str, Any]:
        broken = pod.spec.containers[0].image == BROKEN
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        status = {"PodScheduled": True, "Initialized": True, "ContainersReady": not broken, "Ready": not broken}
        conditions = [{"type": kind, "status": str(good), "lastTransitionTime": now} for kind, good in status.items()]
        address = f"10.214.0.{next(self._addresses) % 250 + 2}"
        state = {"waiting": {"reason": REASON, "message": MESSAGE}} if broken else {"running": {"startedAt": now}}
        container = {
            "name": pod.spec.containers[0].name,
            "image": pod.spec.containers[0].image,
            "imageID": "",
            "ready": not broken,
            "restartCount": 0,
            "state": state,
        }
        return {
            "phase": "Pending" if broken else "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": conditions,
            "containerStatuses": [container],
        }

    @contextlib.contextmanager
    def running(self) -> Iterator[Kubelet]:
        """Runs until the end of the block."""
        self._api.create_node({"metadata": {"name": NODE}})
        self._thread.start()
        try:
            yield self
        finally:
            self._stop.set()
