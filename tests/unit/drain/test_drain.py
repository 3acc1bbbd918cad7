"""`python -m drain` against an API server of the tests' own: whom it deletes, how long it waits, what it forgives."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from connectors.selection import entry_of
from drain.__main__ import main
from settings import Bastion
from tests.support.sshd import Loopback

NAMESPACE = "farm"
SELECTOR = "app.kubernetes.io/name=glusterfarm,app.kubernetes.io/instance=dev"


@dataclass(kw_only=True)
class Api:
    """Pods by name, each with its node; a deleted one goes ``lingers`` seconds later (None: never)."""

    pods: dict[str, str] = field(default_factory=lambda: {"php-a": "minion-1", "php-b": "minion-2"})
    nodes: dict[str, bool] = field(default_factory=lambda: {"minion-1": True, "minion-2": True})
    lingers: float | None = 0.7
    deleted: dict[str, float] = field(default_factory=dict)
    selectors: list[str] = field(default_factory=list)
    refusal: str = ""
    annotations: dict[str, str] = field(default_factory=dict)
    #: Bodies by node.
    patches: dict[str, object] = field(default_factory=dict)

    def listed(self, node: str) -> list[dict[str, object]]:
        now = time.monotonic()
        gone = {name for name, at in self.deleted.items() if self.lingers is not None and now > at + self.lingers}
        marks = {name: {"deletionTimestamp": "2026-01-01T00:00:00Z"} for name in self.deleted}
        return [
            {"metadata": {"name": name, **marks.get(name, {})}}
            for name, where in self.pods.items()
            if where == node and name not in gone
        ]


def handler(api: Api) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

        def reply(self, status: int, body: object) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            name = url.path.rpartition("/")[2]
            if api.refusal:
                self.reply(403, {"message": api.refusal})
            elif url.path.startswith("/api/v1/nodes/"):
                ready = {"conditions": [{"type": "Ready", "status": str(api.nodes.get(name))}]}
                found = {"metadata": {"annotations": api.annotations}, "status": ready}
                self.reply(*(200, found) if name in api.nodes else (404, {"message": "no"}))
            else:
                query = parse_qs(url.query)
                api.selectors.append(query["labelSelector"][0])
                self.reply(200, {"items": api.listed(query["fieldSelector"][0].removeprefix("spec.nodeName="))})

        def do_PATCH(self) -> None:
            name = urlsplit(self.path).path.rpartition("/")[2]
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if name not in api.nodes:
                self.reply(404, {"message": "no"})
                return
            assert not api.deleted, "the label comes off first"
            api.patches[name] = body
            self.reply(200, {})

        def do_DELETE(self) -> None:
            name = urlsplit(self.path).path.rpartition("/")[2]
            api.deleted[name] = time.monotonic()
            self.reply(200, {})

    return Handler


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    api = Api()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(api))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    clusters = {"farm": f"http://127.0.0.1:{server.server_port}", "nowhere": "http://127.0.0.1:1"}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "farm",
        "clusters": [{"name": name, "cluster": {"server": url}} for name, url in clusters.items()],
        "users": [{"name": "me", "user": {"token": "t"}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": "me"}} for name in clusters],
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    yield api
    server.shutdown()
    server.server_close()


@dataclass(frozen=True, kw_only=True)
class Drained:
    """How a run ended."""

    status: int
    out: str
    err: str
    seconds: float


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path


def drain(directory: Path, output: pytest.CaptureFixture[str], *words: str, node: str = "minion-1") -> Drained:
    begun = time.monotonic()
    where = ("--kubeconfig", str(directory / "kubeconfig"), "--namespace", NAMESPACE)
    status = main([*where, "--node", node, "--selector", SELECTOR, *words])
    said = output.readouterr()
    return Drained(status=status, out=said.out, err=said.err, seconds=time.monotonic() - begun)


def test_the_farms_pods_on_that_node_are_deleted_and_waited_for(
    api: Api, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = drain(directory, capsys)

    assert (done.status, done.err) == (0, "")
    assert json.loads(done.out) == {"node": "minion-1", "drained": ["php-a"]}
    assert set(api.deleted) == {"php-a"}, "the other node's pod is left alone"
    assert set(api.selectors) == {SELECTOR}
    assert done.seconds >= 0.7, "it was waited for"


def test_the_farms_marks_come_off_the_node_first(api: Api, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert drain(directory, capsys, "--unlabel", "farm/mounted.dev", "--unlabel", "farm/generation.dev").status == 0
    gone = {"farm/mounted.dev": None, "farm/generation.dev": None}
    assert api.patches == {"minion-1": {"metadata": {"labels": gone, "annotations": gone}}}
    assert set(api.deleted) == {"php-a"}


@pytest.mark.parametrize(
    ("annotated", "drained"), [({}, True), ({"farm/minion": "web-1"}, True), ({"farm/minion": "web-2"}, False)]
)
def test_a_node_that_is_another_minion_by_now_is_left_alone(
    annotated: dict[str, str], drained: bool, api: Api, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As after a minion was renamed: the new name's label is on the same node."""
    api.annotations = annotated
    done = drain(directory, capsys, "--unlabel", "farm/mounted.dev", "--while", "farm/minion=web-1")
    assert done.status == 0
    assert (bool(api.deleted), bool(api.patches)) == (drained, drained)
    assert ("note: node minion-1 is minion web-2 by now, so it is not drained" in done.err) is not drained


def test_a_node_that_is_gone_is_not_made_anew(api: Api, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = drain(directory, capsys, "--unlabel", "farm/mounted.dev", node="minion-9")
    assert done.status == 0
    assert "warning: node minion-9 is not drained: " in done.err
    assert not api.patches


def test_a_node_without_pods_is_done_at_once(api: Api, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    api.pods.clear()
    assert json.loads(drain(directory, capsys).out) == {"node": "minion-1", "drained": []}


def test_pods_that_will_not_go_fail_in_time_and_are_named(
    api: Api, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api.lingers = None
    done = drain(directory, capsys, "--timeout", "1")

    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("error: node minion-1 is not drained: pods php-a are still there after 1 s")
    assert "kubectl describe" in done.err
    assert done.seconds < 10


def test_a_node_that_is_gone_is_a_warning(api: Api, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = drain(directory, capsys, node="minion-9")

    assert done.status == 0
    assert done.err.startswith("warning: node minion-9 is not drained: node minion-9 is not there")
    assert not api.deleted


def test_a_silent_nodes_pods_are_deleted_but_not_waited_for(
    api: Api, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api.nodes["minion-1"] = False
    api.lingers = None
    done = drain(directory, capsys)

    assert done.status == 0
    assert "warning: node minion-1 is not drained: it is not Ready" in done.err
    assert set(api.deleted) == {"php-a"}
    assert done.seconds < 10


@pytest.mark.usefixtures("api")
def test_a_cluster_that_is_gone_is_a_warning(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = drain(directory, capsys, "--context", "nowhere")

    assert done.status == 0
    assert done.err.startswith("warning: node minion-1 is not drained: the cluster of ")
    assert "does not answer" in done.err


def test_a_refusal_is_an_error(api: Api, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    api.refusal = 'nodes "minion-1" is forbidden'
    done = drain(directory, capsys)

    assert done.status == 1
    assert 'nodes "minion-1" is forbidden' in done.err
    assert not api.deleted


@pytest.mark.usefixtures("api")
def test_a_machine_behind_a_bastion_is_looked_at_last(
    directory: Path, loopback: Loopback, capsys: pytest.CaptureFixture[str]
) -> None:
    bastion, minion = loopback.minion("bastion", None), loopback.minion("minion-1", None)
    way = Bastion(host="127.0.0.1", port=bastion.port, user="jump", host_key=bastion.host_key)
    entry = entry_of(minion.entry(bastion=way))

    assert drain(directory, capsys, "--minion", entry).status == 0
    assert (bastion.connections, minion.connections) == (1, 1)

    bastion.forwarding = False
    done = drain(directory, capsys, "--minion", entry)
    assert (done.status, done.out) == (1, "")
    assert f"error: minion minion-1: 127.0.0.1:{minion.port} was not reached through its bastion" in done.err
    assert "nothing was unmounted there" in done.err
    assert "docs/operations.md" in done.err


@pytest.mark.usefixtures("api")
def test_what_is_no_entry_is_said_in_a_line(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = drain(directory, capsys, "--minion", '{"name": "minion-1"}')

    assert (done.status, done.out) == (1, "")
    assert done.err == "error: --minion: no entry of an inventory: name, host and port are not all there ('host')\n"
