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

ADDRESS = ("InternalIP", "10.0.0.99")


def node(*addresses: tuple[str, str], taint: str = "", effect: str = "NoSchedule", **labels: str) -> dict[str, Any]:
    taints = [{"key": taint, "effect": effect}] if taint else None
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
    stack.write(
        "Pulumi.lost.yaml",
        "config: {glusterfarm:inventory: inventory.yaml, glusterfarm:kubernetes: {kubeconfig: nowhere}}\n",
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
        "note: left out, because the taint node-role.kubernetes.io/control-plane keeps the farm's pods away (cp-1)"
        in out
    )
    status, out, _ = imported(capsys, "--kubeconfig", "kubeconfig", "--output", "inventory.yaml", "--check")
    assert (status, out.splitlines()[0]) == (0, "inventory.yaml: nothing changed; 2 minions")
    assert imported(capsys, "--stack", "prod", "--selector", "role=web")[0] == 0
    assert [it["name"] for it in minions()] == ["web-2.example.org"]


def test_nodes_that_run_no_pods_of_the_farm_or_let_nobody_log_in_are_left_out(
    nodes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first four as the clusters of several clouds have them, each with an address."""
    strange = json.loads((Path(__file__).parent / "nodes-without-pods.json").read_text())
    found = {
        name: {"labels": it["labels"], "spec": {"taints": it.get("taints")}, "status": node(ADDRESS)["status"]}
        for name, it in strange.items()
    }
    found |= {
        "win-2": node(ADDRESS) | {"status": {"nodeInfo": {"operatingSystem": "windows"}}},
        "kwok-1": node(ADDRESS, type="kwok"),
        "draining": node(ADDRESS, taint="maintenance", effect="NoExecute"),
        "infra-1": node(ADDRESS, taint="node-role.kubernetes.io/etcd", effect="NoExecute"),
        # Pods run on all of these, or soon will.
        "preferred": node(("InternalIP", "10.0.0.1"), taint="busy", effect="PreferNoSchedule"),
        "cordoned": node(("InternalIP", "10.0.0.2"), taint="node.kubernetes.io/unschedulable"),
        "young": node(("InternalIP", "10.0.0.3"), taint="node.cilium.io/agent-not-ready"),
        "linux": node(("InternalIP", "10.0.0.4"), **{"kubernetes.io/os": "linux"}),
    }
    nodes.write_text(json.dumps(found))
    status, out, err = imported(capsys, "--stack", "prod", "--user", "ops")
    assert (status, err) == (0, "")
    assert sorted(it["name"] for it in minions()) == ["cordoned", "linux", "preferred", "young"]
    notes = {line.removeprefix("note: left out, because ") for line in out.splitlines() if "left out" in line}
    assert notes == {
        "only Linux can mount the volume, and the node runs windows (win-1, win-2)",
        "a virtual node is not a machine (virtual-kubelet)",
        "AWS Fargate lets nobody log in to its machines (fargate-1)",
        "the taint nvidia.com/gpu keeps the farm's pods away (gpu-1)",
        "a simulated node is not a machine (kwok-1)",
        "the taint maintenance keeps the farm's pods away (draining)",
        "the taint node-role.kubernetes.io/etcd keeps the farm's pods away (infra-1)",
    }


def test_a_minion_whose_node_gets_a_taint_stays_with_a_note(nodes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nodes.write_text(json.dumps({"web-1": node(("InternalIP", "10.0.0.1")), "web-2": node(("InternalIP", "10.0.0.2"))}))
    assert imported(capsys, "--stack", "prod")[0] == 0
    nodes.write_text(
        json.dumps(
            {"web-1": node(("InternalIP", "10.0.0.1"), taint="repair"), "web-2": node(("InternalIP", "10.0.0.2"))}
        )
    )
    status, out, _ = imported(capsys, "--stack", "prod")
    assert (status, out.splitlines()[:2]) == (
        0,
        [
            "inventory.yaml: nothing changed; 2 minions",
            "note: still a minion, although the taint repair keeps the farm's pods away; if the taint is there to stay,"
            " delete the minion's entry (web-1)",
        ],
    )


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
    assert imported(capsys, "--stack", "prod")[2] == (
        "error: the cluster has no node for pods; left out, because the taint node-role.kubernetes.io/control-plane"
        " keeps the farm's pods away (cp-1); see `kubectl describe nodes`\n"
    )
    assert "with labels 'role=db'" in imported(capsys, "--stack", "prod", "--selector", "role=db")[2]
    stack.write("Pulumi.prod.yaml", "config: {glusterfarm:inventory: a, glusterfarm:kubernetes: {context: farm}}\n")
    assert "Pulumi.prod.yaml: kubernetes.kubeconfig: is missing" in imported(capsys, "--stack", "prod")[2]
    stack.write("Pulumi.prod.yaml", "config: {glusterfarm:inventory: a}\n")
    assert "Pulumi.prod.yaml: kubernetes.kubeconfig: is missing" in imported(capsys, "--stack", "prod")[2]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--output", "a"), "--from-cluster needs --kubeconfig FILE, or --stack S"),
        (("--output", "a", "--kubeconfig", "nowhere"), "kubeconfig nowhere is not a file; correct --kubeconfig\n"),
        (("--output", "a", "--kubeconfig", "Pulumi.yaml"), "; correct --kubeconfig or --context\n"),
        (("--stack", "prod", "--context", "nope"), "; correct Pulumi.prod.yaml: kubernetes.kubeconfig or --context\n"),
        (("--stack", "prod", "--kubeconfig", "nowhere"), "kubeconfig nowhere is not a file; correct --kubeconfig\n"),
        (("--stack", "lost"), "kubeconfig nowhere is not a file; correct Pulumi.lost.yaml: kubernetes.kubeconfig\n"),
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
