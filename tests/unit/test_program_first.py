"""The first preview and the first update, and what a preview knows of a cluster that it could not ask."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi
import pytest

from tests.support.engine import NEW, PROGRAM, UNKNOWN, UP, Dry, Run, World, run_main
from tests.support.stack import StackFiles

NAMESPACE = ("kubernetes:core/v1:Namespace", "php-namespace")
SERVICE = ("kubernetes:core/v1:Service", "web")
POLICY = ("kubernetes:networking.k8s.io/v1:NetworkPolicy", "php-network")
SMOKE = ("command:local:Command", "web-smoke")
TYPES: dict[str, dict[str, Any]] = {
    "node-port": {"type": "NodePort"},
    "fixed-node-port": {"type": "NodePort", "nodePort": 30080},
    "load-balancer": {"type": "LoadBalancer"},
    "cluster-ip": {"type": "ClusterIP"},
}
UNREACHABLE = World(
    dry=Dry.INPUTS,
    namespace="unknown",
    unreachable="the cluster of kubeconfig does not answer",
    not_compared="the cluster of kubeconfig does not answer",
    service_known=False,
    cluster_ip="",
    node_ports=(),
)
#: The namespace is there, and the Service is not: the API server makes values up for it.
NO_SERVICE = replace(UP, dry=Dry.MADE_UP, cluster_ip="", node_ports=())
READS_ONLY = replace(NO_SERVICE, dry=Dry.INPUTS, not_compared="these credentials may not do dry runs")
Program = Callable[..., Run]


@pytest.fixture
def program(stack: StackFiles, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Runs the program in a world."""

    def run(world: World, *, update: bool = False, **service: Any) -> Run:
        if service:
            stack.values["service"] = {"port": 80, **service}
        return run_main(stack.config(), world=world, update=update, monkeypatch=monkeypatch)

    return run


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the program warns of."""
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, *_: said.append(text))
    return said


@pytest.mark.parametrize("service", TYPES.values(), ids=TYPES)
@pytest.mark.parametrize("world", [NEW, NO_SERVICE, UNREACHABLE, READS_ONLY], ids=["new", "no", "away", "reads"])
def test_a_first_preview_declares_everything_and_makes_no_address_up(
    program: Program, world: World, service: dict[str, Any]
) -> None:
    run = program(world, **service)

    assert run.one(*SERVICE).inputs["spec"]["type"] == service["type"]
    assert run.exports["clusterIp"] == UNKNOWN
    assert run.exports["url"] == ("http://192.0.2.31:30080/" if "nodePort" in service else UNKNOWN)
    assert run.exports["servedBy"] == UNKNOWN
    assert isinstance(run.one(*SMOKE).inputs["create"], pulumi.output.Unknown), (
        "it would ask an address that nobody has"
    )


@pytest.mark.parametrize("service", TYPES.values(), ids=TYPES)
def test_an_update_knows_its_address(program: Program, service: dict[str, Any]) -> None:
    urls = {"NodePort": "http://192.0.2.31:30080/", "LoadBalancer": "http://192.0.2.7/"}
    run = program(replace(NEW, dry=Dry.STATE), update=True, **service)

    assert run.exports["clusterIp"] == "10.0.0.10"
    assert run.exports["url"] == urls.get(service["type"], "http://10.0.0.10/")


def test_what_a_dry_run_makes_up_for_another_type_is_unknown(program: Program) -> None:
    """The Service was a ClusterIP: it keeps its address, and the update will give it another port."""
    run = program(replace(UP, node_ports=()), type="NodePort")

    assert run.exports["clusterIp"] == "10.0.0.10"
    assert run.exports["url"] == UNKNOWN


def test_a_load_balancer_without_an_address_yet(program: Program) -> None:
    without = replace(UP, balancer=())

    assert program(without, type="LoadBalancer").exports["url"] == UNKNOWN
    assert program(without, update=True, type="LoadBalancer").exports["url"] == ""


def test_without_the_cluster_a_preview_shows_what_the_state_has(program: Program) -> None:
    """Nothing of a stack that is up changes, so no dry run was due, and none could make anything up."""
    run = program(replace(UNREACHABLE, dry=Dry.STATE))

    assert run.exports["url"] == "http://192.0.2.31:30080/"
    assert run.exports["clusterIp"] == "10.0.0.10"


@pytest.mark.parametrize("world", [NEW, UNREACHABLE, READS_ONLY], ids=["new", "away", "reads"])
def test_a_preview_says_that_it_was_not_compared_and_why(program: Program, warned: list[str], world: World) -> None:
    program(world)
    assert warned == [f"not compared with the cluster: {world.not_compared}"]


def test_nothing_is_said_of_a_preview_that_was(program: Program, warned: list[str]) -> None:
    program(UP)
    program(NO_SERVICE)
    program(replace(NEW, dry=Dry.STATE), update=True)
    assert warned == []


def test_an_update_without_a_cluster_changes_nothing(program: Program) -> None:
    with pytest.raises(pulumi.RunError, match=r"^nothing was changed: the cluster of kubeconfig does not answer$"):
        program(UNREACHABLE, update=True)


@pytest.mark.parametrize("update", [False, True], ids=["preview", "update"])
def test_what_the_namespace_forbids_is_an_error_before_anything_is_declared(program: Program, update: bool) -> None:
    reason = 'pods "php-" is forbidden: violates PodSecurity "baseline:latest": hostPath volumes (volume "site")'
    world = replace(UP, forbidden=(reason,))

    with pytest.raises(pulumi.RunError) as error:
        program(world, update=update)

    said = str(error.value)
    assert said.startswith("glusterfarm:kubernetes.namespace: namespace glusterfarm does not admit the farm")
    assert reason in said
    assert "label it pod-security.kubernetes.io/enforce=privileged" in said


@pytest.mark.parametrize("namespace", ["absent", "ours", "unknown"])
def test_a_namespace_of_its_own_is_made_with_its_mark(program: Program, namespace: str) -> None:
    run = program(replace(UP, namespace=namespace))
    metadata = run.one(*NAMESPACE).inputs["metadata"]

    assert metadata["name"] == "glusterfarm"
    assert metadata["annotations"] == {"glusterfarm/stack": "glusterfarm/dev"}
    assert metadata["labels"]["pod-security.kubernetes.io/enforce"] == "privileged"
    assert "annotations" not in run.one(*POLICY).inputs["metadata"]
    assert "annotations" not in run.one(*SERVICE).inputs["metadata"]


def test_a_namespace_of_others_is_used_as_it_is(program: Program) -> None:
    run = program(replace(UP, namespace="foreign"))

    assert not run.of_type(NAMESPACE[0])
    for its in (POLICY, SERVICE):
        assert run.one(*its).inputs["metadata"]["namespace"] == "glusterfarm"
        assert run.one(*its).inputs["metadata"]["annotations"] == {"glusterfarm/namespace": "made-by-others"}


def test_no_output_of_a_resource_is_subscripted() -> None:
    """Where a provider cannot do a dry run it returns the inputs, so any output may be missing."""
    outputs = {"metadata", "spec", "status", "data", "stdout", "stderr"}
    found = []
    for path in [PROGRAM, *sorted((PROGRAM.parent / "components").glob("*.py"))]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Subscript) and _attribute(node.value) in outputs:
                found.append(f"{Path(path).name}:{node.lineno}: {ast.unparse(node)}")
    assert not found, "read them with components.outputs"


def _attribute(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else ""
