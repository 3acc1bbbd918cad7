"""`ops inventory import --from-cluster`: the nodes of an API server as minions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.__main__ import main
from tests.support.api_server import serving
from tests.support.stack import StackFiles, host_key


def node(*addresses: tuple[str, str], taint: str = "", **labels: str) -> dict[str, Any]:
    taints = [{"key": taint, "effect": "NoSchedule"}] if taint else None
    status = {"addresses": [{"type": sort, "address": address} for sort, address in addresses]}
    return {"labels": labels, "spec": {"taints": taints}, "status": status}


NODES = {
    "cp-1": node(("InternalIP", "10.0.0.1"), taint="node-role.kubernetes.io/control-plane"),
    "web-1.example.org": node(
        ("Hostname", "web-1.example.org"), ("InternalIP", "10.0.0.11"), ("InternalIP", "fd00::11")
    ),
    "web-2.example.org": node(("InternalIP", "10.0.0.12"), taint="node.kubernetes.io/unreachable", role="web"),
}


@pytest.fixture
def nodes(stack: StackFiles, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file with the cluster's nodes; the stack prod is of this cluster, the environment's kubeconfig of none."""
    monkeypatch.setenv("KUBECONFIG", "/nonexistent")
    stack.write("nodes.json", json.dumps(NODES))
    stack.write("Pulumi.yaml", "name: glusterfarm\nruntime: python\n")
    stack.write(
        "Pulumi.prod.yaml",
        "config:\n  glusterfarm:inventory: inventory.yaml\n"
        "  glusterfarm:kubernetes: {kubeconfig: kubeconfig, context: farm}\n",
    )
    (stack.directory / "inventory.yaml").unlink()
    with serving(stack.directory / "nodes.json") as kubeconfig:
        stack.write("kubeconfig", json.dumps(kubeconfig))
        yield stack.directory / "nodes.json"


def imported(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = main(["inventory", "import", "--from-cluster", *words])
    said = capsys.readouterr()
    return status, said.out, said.err


def minions() -> list[dict[str, Any]]:
    return list(yaml.safe_load(Path("inventory.yaml").read_text())["minions"])


def test_nodes_that_pods_run_on_are_minions(nodes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = imported(capsys, "--stack", "prod", "--user", "ops", "--bastion", "jump@gate")
    assert (status, err) == (0, "")
    bastion = {"host": "gate", "user": "jump"}
    assert minions() == [
        {"name": "web-1.example.org", "host": "10.0.0.11", "user": "ops", "bastion": bastion},
        {"name": "web-2.example.org", "host": "10.0.0.12", "user": "ops", "bastion": bastion},
    ]
    assert (
        "note: left out, because pods do not run where the taint node-role.kubernetes.io/control-plane is (cp-1)" in out
    )
    status, out, _ = imported(capsys, "--kubeconfig", "kubeconfig", "--output", "inventory.yaml", "--check")
    assert (status, out.splitlines()[0]) == (0, "inventory.yaml: nothing changed; 2 minions")
    assert imported(capsys, "--stack", "prod", "--selector", "role=web")[0] == 0
    assert [it["name"] for it in minions()] == ["web-2.example.org"]


def test_a_minion_is_known_by_its_node_and_keeps_what_the_cluster_does_not_say(
    nodes: Path, stack: StackFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    key = host_key("web-1")
    text = (
        "minions:\n"
        "  - name: web-1  # the first\n"
        f"    host: web-1.example.org\n    port: 2222\n    user: ops\n    hostKey: {key}\n    node: web-1.example.org\n"
        f"  - {{name: web-9, host: 10.0.0.19, hostKey: {host_key('web-9')}}}\n"
    )
    stack.write("inventory.yaml", text)
    status, out, _ = imported(capsys, "--stack", "prod")
    assert status == 0
    assert out.splitlines()[:3] == [
        "inventory.yaml: written: 1 added, 1 removed; 2 minions",
        "  - web-9: host 10.0.0.19",
        "  + web-2.example.org: host 10.0.0.12",
    ]
    assert minions()[0]["host"] == "web-1.example.org", "that is an address of the node as well"
    assert Path("inventory.yaml").read_text().startswith(text[: text.index("  - {name: web-9")])
    nodes.write_text(json.dumps(NODES | {"web-1.example.org": node(("InternalIP", "10.0.0.99"))}))
    assert "  ~ web-1: host 10.0.0.99 (was web-1.example.org)" in imported(capsys, "--stack", "prod")[1]
    assert minions()[0] == {
        "name": "web-1", "host": "10.0.0.99", "port": 2222, "user": "ops", "hostKey": key, "node": "web-1.example.org"
    }  # fmt: skip


def test_what_the_cluster_cannot_say_is_an_error(
    nodes: Path, stack: StackFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    nodes.write_text(json.dumps({"a": node(("Hostname", "a")), "b": {}, "c": node(("InternalIP", "10.0.0.1"))}))
    status, out, err = imported(capsys, "--stack", "prod")
    assert (status, out, Path("inventory.yaml").exists()) == (2, "", False)
    assert "2 mistakes in the cluster's nodes:\n  node 'a': InternalIP: it has none" in err
    nodes.write_text(json.dumps({"cp-1": NODES["cp-1"]}))
    assert "the cluster has no node for pods; see" in imported(capsys, "--stack", "prod")[2]
    assert "with labels 'role=db'" in imported(capsys, "--stack", "prod", "--selector", "role=db")[2]
    stack.write("Pulumi.prod.yaml", "config: {glusterfarm:inventory: a, glusterfarm:kubernetes: {context: farm}}\n")
    assert "Pulumi.prod.yaml: kubernetes.kubeconfig: is missing" in imported(capsys, "--stack", "prod")[2]
    stack.write("Pulumi.prod.yaml", "config: {glusterfarm:inventory: a}\n")
    assert "Pulumi.prod.yaml: kubernetes.kubeconfig: is missing" in imported(capsys, "--stack", "prod")[2]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--output", "a"), "--from-cluster needs --kubeconfig FILE, or --stack S"),
        (("--output", "a", "--kubeconfig", "nowhere"), "kubeconfig nowhere is no file"),
        (("--stack", "prod", "--context", "nope"), "cannot be used"),
        (("--stack", "prod", "--group", "web"), "--group is of Ansible's"),
    ],
)
def test_a_cluster_that_is_not_named_right(
    nodes: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], line: str
) -> None:
    status, out, err = imported(capsys, *words)
    assert (status, out) == (2, "")
    assert line in err


def test_a_cluster_that_does_not_answer(nodes: Path, stack: StackFiles, capsys: pytest.CaptureFixture[str]) -> None:
    kubeconfig = json.loads((stack.directory / "kubeconfig").read_text())
    kubeconfig["clusters"][0]["cluster"]["server"] = "http://127.0.0.1:9"
    stack.write("kubeconfig", json.dumps(kubeconfig))
    status, _, err = imported(capsys, "--stack", "prod")
    assert status == 2
    assert "does not answer" in err


def test_one_source_at_a_time(nodes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        imported(capsys, "hosts.ini", "--stack", "prod")
    assert ended.value.code == 2
    assert main(["inventory", "import", "hosts.ini", "--stack", "prod", "--selector", "a=b"]) == 2
    assert "--selector is for --from-cluster only" in capsys.readouterr().err
