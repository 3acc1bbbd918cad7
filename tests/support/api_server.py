"""An API server that knows nodes, and nothing else."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

_OUTSIDE_METADATA = ("spec", "status")


@contextmanager
def serving(nodes: Path) -> Iterator[dict[str, Any]]:
    """Serve what ``nodes`` says at each request: names to metadata, and spec and status; give a kubeconfig."""
    with _serving(lambda: json.loads(nodes.read_text())) as kubeconfig:
        yield kubeconfig


@contextmanager
def cluster_of(nodes: Mapping[str, str], directory: Path) -> Iterator[Path]:
    """The kubeconfig of a cluster with these nodes; each is given what its Ready condition says, "" for none."""

    def conditions(ready: str) -> list[dict[str, str]]:
        pressure = {"type": "MemoryPressure", "status": "False"}
        return [pressure, *([{"type": "Ready", "status": ready}] if ready else [])]

    known = {name: {"status": {"conditions": conditions(ready)}} for name, ready in nodes.items()}
    with _serving(lambda: known) as kubeconfig:
        (directory / "kubeconfig").write_text(json.dumps(kubeconfig))
        yield directory / "kubeconfig"


@contextmanager
def _serving(nodes: Callable[[], dict[str, Any]]) -> Iterator[dict[str, Any]]:
    api = ThreadingHTTPServer(("127.0.0.1", 0), _api(nodes))
    threading.Thread(target=api.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "farm",
            "clusters": [{"name": "farm", "cluster": {"server": f"http://127.0.0.1:{api.server_port}"}}],
            "users": [{"name": "me", "user": {"token": "t"}}],
            "contexts": [{"name": "farm", "context": {"cluster": "farm", "user": "me"}}],
        }
    finally:
        api.shutdown()
        api.server_close()


def _api(nodes: Callable[[], dict[str, Any]]) -> type[BaseHTTPRequestHandler]:
    class Api(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urlsplit(self.path)
            label, _, value = dict(parse_qsl(address.query)).get("labelSelector", "").partition("=")
            known = {name: it for name, it in nodes().items() if not label or it["labels"].get(label) == value}
            body = json.dumps({"kind": "NodeList", "items": [_node(*it) for it in known.items()]}).encode()
            self.send_response(200 if address.path == "/api/v1/nodes" else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
            del format, args

    return Api


def _node(name: str, said: dict[str, Any]) -> dict[str, Any]:
    metadata = {key: value for key, value in said.items() if key not in _OUTSIDE_METADATA}
    return {"metadata": {"name": name, **metadata}, **{key: said[key] for key in _OUTSIDE_METADATA if key in said}}
