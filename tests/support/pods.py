"""Pods for the checks' tests: an API server that tells of them, and web servers on 127.0.0.x that are them."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs

from tests.support.ports import free_port

NAMESPACE = "farm"
CONTROLLER = "php-1a2b"
RELEASE = "0123456789ab"
UNSCHEDULABLE = {"status": "False", "reason": "Unschedulable", "message": "0/2 nodes are available"}
LABELS = {"app.kubernetes.io/name": "glusterfarm", "app.kubernetes.io/instance": "dev"}


@dataclass(kw_only=True, repr=False)
class WebPod:
    """A pod: what the API says of it and what its web server answers (status and body by path)."""

    name: str
    node: str
    ip: str
    port: int
    ready: bool = True
    deleting: bool = False
    phase: str = "Running"
    owner: str = "uid-of-the-controller"
    labels: dict[str, str] = field(default_factory=lambda: {**LABELS, "glusterfarm/template": "1a2b"})
    waiting: dict[str, str] = field(default_factory=dict)
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    #: Times that its container was restarted, how it ended last, and its logs: of the one before, of the present one.
    restarts: int = 0
    requests: dict[str, str] = field(default_factory=dict)
    ended: dict[str, Any] = field(default_factory=dict)
    logs: tuple[str, str] = ("", "")
    before: Callable[[str], None] = lambda path: None
    keep_alive: bool = True
    #: Requests by path, and connections.
    asked: list[str] = field(default_factory=list)
    connections: int = 0

    def __post_init__(self) -> None:
        """Serve what a pod of the farm serves."""
        self.answers = {
            "/": (200, b"<h1>hello</h1>"),
            "/glusterfarm-release": (200, f"{RELEASE}\n".encode()),
            "/glusterfarm-pod": (200, self.name.encode()),
        } | self.answers

    def manifest(self) -> dict[str, Any]:
        """The pod as the API gives it."""
        metadata: dict[str, Any] = {
            "name": self.name,
            "labels": self.labels,
            "ownerReferences": [{"kind": "ReplicationController", "name": CONTROLLER, "uid": self.owner}],
        }
        if self.deleting:
            metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        ready = {"type": "Ready", "status": str(self.ready), "reason": "ContainersNotReady", "message": "probe failed"}
        scheduled = {"type": "PodScheduled", "status": "True"}
        container = {
            "name": "php",
            "restartCount": self.restarts,
            "state": {"waiting": self.waiting} if self.waiting else {"running": {}},
            "lastState": {"terminated": self.ended} if self.ended else {},
        }
        return {
            "metadata": metadata,
            "spec": {
                **({"nodeName": self.node} if self.node else {}),
                "nodeSelector": {"mounted": "true"},
                "containers": [{"name": "php", "resources": {"requests": self.requests}}],
            },
            "status": {
                "phase": self.phase,
                "podIP": self.ip,
                "conditions": [scheduled if self.node else {**scheduled, **UNSCHEDULABLE}, ready],
                "containerStatuses": [container],
            },
        }


class Farm:
    """Pods, the API server that knows them and the address that balances over them; a context manager.

    ``balanced`` is what the Service sends connections to, round robin; None while it is not in effect yet.
    """

    def __init__(self, directory: Path, count: int = 2) -> None:
        """Make ``count`` pods, on minion-1 and minion-2 in turn."""
        self._directory = directory
        self.port = free_port()
        self.pods = [
            WebPod(name=f"{CONTROLLER}-{n}", node=f"minion-{n % 2 + 1}", ip=f"127.0.0.{n + 10}", port=self.port)
            for n in range(count)
        ]
        self.cluster_ip = "127.0.0.5"
        self.balanced: list[WebPod] = list(self.pods)
        #: What the API server says to everything, and what it says of an object's events, by the object's name.
        self.refusal: tuple[int, str] | None = None
        self.events: dict[str, list[dict[str, Any]]] = {}
        #: How many more requests the API server hangs up on, and to how many it says that it cannot answer now.
        self.hang_up = 0
        #: What each node has, by resource; all carry the label of the mount.
        self.nodes: dict[str, dict[str, str]] = {}
        self.trouble: list[tuple[int, bytes]] = []
        self.asked: list[str] = []
        self._servers: list[ThreadingHTTPServer] = []
        self._balancer: socket.socket | None = None

    def __enter__(self) -> Self:
        for pod in self.pods:
            self.serve(pod)
        self._api = self._start(_api_of(self), "127.0.0.1", 0)
        self._balancer = socket.create_server((self.cluster_ip, self.port))
        threading.Thread(target=self._balance, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()
        if self._balancer is not None:
            self._balancer.shutdown(socket.SHUT_RDWR)
            self._balancer.close()

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig with the contexts `farm` (current) and `nowhere`."""
        path = self._directory / "kubeconfig"
        server = f"http://127.0.0.1:{self._api.server_port}"
        clusters = {"farm": server, "nowhere": "http://127.0.0.1:1"}
        path.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "farm",
                    "clusters": [{"name": name, "cluster": {"server": url}} for name, url in clusters.items()],
                    "users": [{"name": "me", "user": {"token": "t"}}],
                    "contexts": [{"name": name, "context": {"cluster": name, "user": "me"}} for name in clusters],
                }
            )
        )
        return path

    def serve(self, pod: WebPod) -> None:
        """Start a pod's web server."""
        self._start(_pod_handler(pod), pod.ip, pod.port)

    def _start(self, handler: type[BaseHTTPRequestHandler], host: str, port: int) -> ThreadingHTTPServer:
        server = _Server((host, port), handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        self._servers.append(server)
        return server

    def _balance(self) -> None:
        turns = cycle(range(1 << 30))
        assert self._balancer is not None
        while True:
            try:
                near, _ = self._balancer.accept()
            except OSError:
                return
            if not self.balanced:
                near.close()
                continue
            pod = self.balanced[next(turns) % len(self.balanced)]
            far = socket.create_connection((pod.ip, pod.port))
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=_copy, args=(source, target), daemon=True).start()


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that go away are part of the tests."""


class _Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _pod_handler(pod: WebPod) -> type[BaseHTTPRequestHandler]:
    class Handler(_Quiet):
        def setup(self) -> None:
            super().setup()
            pod.connections += 1

        def do_GET(self) -> None:
            pod.asked.append(self.path)
            pod.before(self.path)
            if not pod.keep_alive:
                self.close_connection = True
            self.reply(*pod.answers.get(self.path, (404, b"<h1>Not Found</h1>\n")))

    return Handler


def _node(name: str, allocatable: dict[str, str]) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"mounted": "true"}}, "status": {"allocatable": allocatable}}


def _api_of(farm: Farm) -> type[BaseHTTPRequestHandler]:
    class Handler(_Quiet):
        def do_GET(self) -> None:
            farm.asked.append(self.path)
            if farm.hang_up:
                farm.hang_up -= 1
                self.close_connection = True
                return
            if farm.trouble:
                self.reply(*farm.trouble.pop())
                return
            path, _, query = self.path.partition("?")
            asked = {name: values[0] for name, values in parse_qs(query).items()}
            logs = {f"/api/v1/namespaces/{NAMESPACE}/pods/{pod.name}/log": pod.logs for pod in farm.pods}
            base = f"/api/v1/namespaces/{NAMESPACE}"
            if farm.refusal is not None:
                status, message = farm.refusal
                self.reply(status, json.dumps({"kind": "Status", "message": message}).encode())
            elif path == f"{base}/replicationcontrollers/{CONTROLLER}":
                metadata = {"name": CONTROLLER, "uid": "uid-of-the-controller", "labels": LABELS}
                self.reply(200, json.dumps({"metadata": metadata}).encode())
            elif path == f"{base}/pods":
                self.reply(200, json.dumps({"items": [pod.manifest() for pod in farm.pods]}).encode())
            elif path == "/api/v1/nodes":
                self.reply(200, json.dumps({"items": [_node(*it) for it in farm.nodes.items()]}).encode())
            elif path == f"{base}/events":
                name = asked["fieldSelector"].removeprefix("involvedObject.name=")
                self.reply(200, json.dumps({"items": farm.events.get(name, [])}).encode())
            elif path in logs:
                log = logs[path][asked.get("previous") != "true"]
                self.reply(200, "\n".join(log.splitlines()[-int(asked["tailLines"]) :]).encode())
            else:
                self.reply(404, json.dumps({"kind": "Status", "message": "not found"}).encode())

    return Handler
