"""A preview succeeds without a cluster, and says nothing of it; the comment does."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from tests.support.stack import StackFiles
from tests.unit.ops.preview.cases import RECORDED
from tests.unit.ops.preview.conftest import Run, against

HEAD = "### Not compared with the cluster\n"


@pytest.fixture
def project(tmp_path: Path) -> StackFiles:
    files = StackFiles(directory=tmp_path)
    config = {f"glusterfarm:{key}": value for key, value in files.values.items()}
    files.write("Pulumi.yaml", "name: glusterfarm\n")
    files.write("Pulumi.dev.yaml", yaml.safe_dump({"config": config}))
    return files


class Api(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        text = json.dumps({"kind": "APIResourceList", "resources": []}).encode()
        self.send_response(200 if self.path == "/api/v1/" else 404)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Nothing to the terminal."""


@pytest.fixture
def api() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def kubeconfig(server: str) -> str:
    return yaml.safe_dump(
        {
            "current-context": "it",
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
            "clusters": [{"name": "it", "cluster": {"server": server}}],
            "users": [{"name": "it", "user": {"token": "hunter2"}}],
        }
    )


def test_without_a_kubeconfig(ops: Run, pulumi: Callable[..., Path], project: StackFiles) -> None:
    pulumi((RECORDED / "image.json").read_text())

    status, out, err = ops()

    assert (status, err) == (0, "")
    assert out.startswith("## 3 changes: stack `dev`\n")
    assert f"{HEAD}\nLabels, namespace, ini, controller and Service are compared with what the last" in out
    assert "```\nkubeconfig kubeconfig is no file; correct kubernetes.kubeconfig\n```" in out
    assert out.index(HEAD) < out.index("### Pods: a roll")
    assert json.loads(ops("--json")[1])["unasked"].startswith("kubeconfig kubeconfig is no file")


def test_without_an_api_server(ops: Run, pulumi: Callable[..., Path], project: StackFiles) -> None:
    project.write("kubeconfig", kubeconfig("http://127.0.0.1:9"))
    pulumi((RECORDED / "nothing.json").read_text())

    out = ops("--stack", "dev")[1]

    assert out.startswith(f"## No change: stack `dev`\n\n{HEAD}")
    assert "the cluster of kubeconfig does not answer" in out


def test_with_one(ops: Run, pulumi: Callable[..., Path], project: StackFiles, api: str) -> None:
    project.write("kubeconfig", kubeconfig(api))
    pulumi((RECORDED / "image.json").read_text())
    assert HEAD not in ops()[1]


def test_who_reads_a_file_asks_nobody_and_a_failure_has_its_own_reason(
    ops: Run, pulumi: Callable[..., Path], project: StackFiles
) -> None:
    assert HEAD not in ops(*against("image"))[1]
    pulumi((RECORDED / "failing.json").read_text(), status=255)
    assert HEAD not in ops()[1]
