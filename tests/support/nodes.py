"""An API server that knows nodes and nothing else."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@contextmanager
def cluster_of(nodes: Mapping[str, str], directory: Path) -> Iterator[Path]:
    """The kubeconfig of a cluster with these nodes; each is given what its Ready condition says, "" for none."""

    class Api(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            items = [
                {
                    "metadata": {"name": name},
                    "status": {
                        "conditions": [
                            {"type": "MemoryPressure", "status": "False"},
                            *([{"type": "Ready", "status": ready}] if ready else []),
                        ]
                    },
                }
                for name, ready in nodes.items()
            ]
            body = json.dumps({"kind": "NodeList", "items": items}).encode()
            self.send_response(200 if self.path == "/api/v1/nodes" else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
            del format, args

    api = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=api.serve_forever, args=(0.05,), daemon=True).start()
    kubeconfig = directory / "kubeconfig"
    server = f"http://127.0.0.1:{api.server_port}"
    kubeconfig.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "farm",
                "clusters": [{"name": "farm", "cluster": {"server": server}}],
                "users": [{"name": "me", "user": {"token": "t"}}],
                "contexts": [{"name": "farm", "context": {"cluster": "farm", "user": "me"}}],
            }
        )
    )
    try:
        yield kubeconfig
    finally:
        api.shutdown()
        api.server_close()
