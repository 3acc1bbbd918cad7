"""The program on clusters that have nothing of ours, as a newcomer runs it: plain `pulumi preview` and `pulumi up`.

The API server, its admission and the Kubernetes provider program are real; minions there are none, so the commands on
them are doubles. In the lab the same is run with everything (tests/lab/test_1_first_up.py).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.toolchain import builds
from tests.plugins.control_plane import DEPLOYER, READER, ControlPlane, exists, new_namespace
from tests.plugins.kubelet import NODE
from tests.support.program import CHECKOUT, Program, program
from tests.support.project import Done, command

NOT_COMPARED = "not compared with the cluster: "
TYPES: dict[str, dict[str, Any]] = {
    "node-port": {"type": "NodePort"},
    "load-balancer": {"type": "LoadBalancer"},
    "cluster-ip": {"type": "ClusterIP"},
}


@contextmanager
def farm(cluster: ControlPlane, namespace: str, *, kubeconfig: Path | None = None) -> Iterator[Program]:
    """The program with a new stack for ``namespace``; its Service is a NodePort without a port of its own choice."""
    for name in ("minion-2", "minion-3"):
        if not exists(cluster.api.read_node, name):
            cluster.api.create_node({"metadata": {"name": name}})
    with program(doubles={"command": "commands"}) as made:
        (made.files.directory / "kubeconfig").write_text((kubeconfig or cluster.kubeconfig).read_text())
        made.files.values["kubernetes"]["namespace"] = namespace
        made.files.values["service"] = {"type": "NodePort", "port": 80}
        yield made


def done(it: Program, *words: str) -> Done:
    """A command that succeeds, and shows no traceback."""
    run = it.run(*words)
    assert run.status == 0, run.text[-3000:]
    assert "Traceback" not in run.text
    return run


def refused(it: Program, *words: str) -> str:
    """What a command says that fails in good order."""
    run = it.run(*words)
    assert run.status != 0, run.text
    assert "Traceback" not in run.text
    return " ".join(run.text.split())


def changes(it: Program) -> dict[str, str]:
    """``{"Type name": operation}`` of what a plain preview would change."""
    steps = json.loads(done(it, "preview", "--json").out)["steps"]
    names = {step["urn"]: step["urn"].split("::") for step in steps}
    return {
        f"{names[step['urn']][2].rpartition(':')[2]} {names[step['urn']][3]}": step["op"]
        for step in steps
        if step["op"] != "same"
    }


def outputs(it: Program) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done(it, "stack", "output", "--json").out)
    return found


def resources(it: Program) -> set[str]:
    """The types of what the state holds."""
    state = json.loads(done(it, "stack", "export").out)
    return {resource["type"] for resource in state["deployment"].get("resources") or []}


def shown(run: Done, output: str) -> str:
    """What a preview shows of a stack output: '' where it shows no change of it, as of one that is not known yet."""
    match = re.search(rf'^ +[+~]? *{output} *: (?:".*" => )?"?([^"\n]*)"?$', run.out, re.MULTILINE)
    return match[1] if match else ""


@pytest.mark.parametrize("service", TYPES.values(), ids=TYPES)
def test_a_first_preview_says_what_it_cannot_know(cluster: ControlPlane, service: dict[str, Any]) -> None:
    with farm(cluster, "not-there-yet") as it:
        it.files.values["service"] = {"port": 80, **service}
        run = done(it, "preview")

    assert f"warning: {NOT_COMPARED}namespace not-there-yet does not exist yet" in run.text
    assert shown(run, "url") == "[unknown]"
    assert shown(run, "clusterIp") == "[unknown]"
    assert "+ 29 to create" in run.out


@pytest.mark.timeout(900)  # many commands, and a machine may be busy
def test_a_first_up_makes_the_farm_and_its_changes_are_previewed(cluster: ControlPlane) -> None:
    """One stack's life: made, its Service changed twice, moved to another namespace, destroyed."""
    with farm(cluster, "first-up") as it:
        first = done(it, "up", "--yes")
        made = outputs(it)
        live = cluster.api.read_namespaced_service("web", "first-up")
        assert f"{NOT_COMPARED}namespace first-up does not exist yet" in first.text
        assert made["clusterIp"] == live.spec.cluster_ip
        assert made["url"] == f"http://192.0.2.31:{live.spec.ports[0].node_port}/"
        again = done(it, "preview")
        assert "29 unchanged" in again.out
        assert NOT_COMPARED not in again.text

        inside = _changed(it, {"type": "ClusterIP", "port": 80})
        assert shown(inside, "url") == f"http://{made['clusterIp']}/", "it keeps its address"
        outside = _changed(it, {"type": "NodePort", "port": 8080})
        assert shown(outside, "url") == "", "the port is the update's to get"
        port = cluster.api.read_namespaced_service("web", "first-up").spec.ports[0].node_port
        assert outputs(it)["url"] == f"http://192.0.2.31:{port}/"
        it.files.values["service"] = {"type": "LoadBalancer", "port": 8080}
        assert shown(done(it, "preview"), "url") == "", "no load balancer has given an address"

        it.files.values["kubernetes"]["namespace"] = "second-up"
        moved = _changed(it, {"type": "NodePort", "port": 8080})
        assert f"{NOT_COMPARED}namespace second-up does not exist yet" in moved.text
        assert shown(moved, "clusterIp") == ""
        assert outputs(it)["clusterIp"] == cluster.api.read_namespaced_service("web", "second-up").spec.cluster_ip
        assert not exists(cluster.api.read_namespace, "first-up")

        done(it, "destroy", "--yes")
        assert not exists(cluster.api.read_namespace, "second-up")


def _changed(it: Program, service: dict[str, Any]) -> Done:
    """A plain `up` with another Service: its preview, which stands before its update."""
    it.files.values["service"] = service
    run = done(it, "up", "--yes")
    return replace(run, out=run.out.partition("\nUpdating (")[0])


@pytest.mark.parametrize(
    ("away", "service"),
    [("no-file", "node-port"), ("no-server", "node-port"), ("no-server", "load-balancer"), ("no-server", "cluster-ip")],
)
def test_a_preview_needs_no_cluster(cluster: ControlPlane, away: str, service: str) -> None:
    with farm(cluster, "away") as it:
        it.files.values["service"] = {"port": 80, **TYPES[service]}
        why = _take_away(it, away)
        run = done(it, "preview")
    assert f"{NOT_COMPARED}{why}" in run.text
    assert shown(run, "url") == "[unknown]"


def test_an_update_without_the_cluster_changes_nothing(cluster: ControlPlane) -> None:
    with farm(cluster, "away") as it:
        why = _take_away(it, "no-server")
        assert f"error: nothing was changed: {why}" in refused(it, "up", "--yes")
        assert resources(it) <= {"pulumi:pulumi:Stack", "pulumi:providers:command"}


def _take_away(it: Program, away: str) -> str:
    """The kubeconfig, or the server in it; what is said then."""
    path = it.files.directory / "kubeconfig"
    if away == "no-file":
        path.unlink()
        return "kubeconfig kubeconfig is not a file; correct kubernetes.kubeconfig"
    config = yaml.safe_load(path.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    path.write_text(yaml.safe_dump(config))
    return "the cluster of kubeconfig does not answer"


def test_changes_are_previewed_without_the_cluster(cluster: ControlPlane) -> None:
    """Of a stack that is up: the Service's type and port, then the namespace."""
    with farm(cluster, "left-behind") as it:
        done(it, "up", "--yes")
        _take_away(it, "no-server")
        unchanged = done(it, "preview")
        assert f"{NOT_COMPARED}the cluster of kubeconfig does not answer" in unchanged.text
        assert "29 unchanged" in unchanged.out

        it.files.values["service"] = {"type": "ClusterIP", "port": 8080}
        assert shown(done(it, "preview"), "url") == ""
        it.files.values["kubernetes"]["namespace"] = "elsewhere"
        assert changes(it)["Service web"] == "replace"


def test_credentials_that_may_only_read_can_preview(cluster: ControlPlane) -> None:
    bind(cluster, READER, "view")
    allow(cluster, READER, "read-nodes", [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list"]}])
    why = "these credentials may not do dry runs in namespace read-only; they lack the rights to: create configmaps"
    with farm(cluster, "read-only", kubeconfig=cluster.others[READER]) as it:
        absent = done(it, "preview")
        assert f"{NOT_COMPARED}namespace read-only does not exist yet" in absent.text
        new_namespace(cluster, "read-only")
        run = done(it, "preview")
        assert f"{NOT_COMPARED}{why}" in run.text
        assert shown(run, "url") == "[unknown]"


# --- a namespace that a platform team made ----------------------------------------------------------------------


def platform_namespace(
    cluster: ControlPlane, name: str, *, labels: dict[str, str] | None = None, quota: dict[str, str] | None = None
) -> None:
    """A namespace with the team's labels and quota, in which the deployer may work, and which it cannot make."""
    cluster.api.create_namespace({"metadata": {"name": name, "labels": {"team": "shop", **(labels or {})}}})
    bind(cluster, DEPLOYER, "admin", namespace=name)
    allow(cluster, DEPLOYER, "label-nodes", [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "patch"]}])
    if quota:
        cluster.api.create_namespaced_resource_quota(name, {"metadata": {"name": "team"}, "spec": {"hard": quota}})
        while not cluster.api.read_namespaced_resource_quota("team", name).status.hard:
            time.sleep(0.05)
    while not _may(cluster, name):
        time.sleep(0.05)


def _may(cluster: ControlPlane, namespace: str) -> bool:
    """Whether the API server knows of the deployer's rights by now."""
    from kubernetes.client import AuthorizationV1Api  # noqa: PLC0415

    api: Any = AuthorizationV1Api(cluster.api.api_client)
    attributes = {"namespace": namespace, "verb": "create", "resource": "services"}
    review = {"spec": {"user": DEPLOYER, "resourceAttributes": attributes}}
    return bool(api.create_subject_access_review(review).status.allowed)


def bind(cluster: ControlPlane, user: str, role: str, *, namespace: str = "") -> None:
    """Give ``user`` a ClusterRole, everywhere or in one namespace."""
    from kubernetes.client import RbacAuthorizationV1Api  # noqa: PLC0415

    api: Any = RbacAuthorizationV1Api(cluster.api.api_client)
    body: dict[str, Any] = {
        "metadata": {"name": f"{user}-{role}"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }
    if namespace:
        api.create_namespaced_role_binding(namespace, body)
    elif not exists(api.read_cluster_role_binding, body["metadata"]["name"]):
        api.create_cluster_role_binding(body)


def allow(cluster: ControlPlane, user: str, role: str, rules: list[dict[str, Any]]) -> None:
    """Give ``user`` these rights everywhere."""
    from kubernetes.client import RbacAuthorizationV1Api  # noqa: PLC0415

    api: Any = RbacAuthorizationV1Api(cluster.api.api_client)
    if not exists(api.read_cluster_role, role):
        api.create_cluster_role({"metadata": {"name": role}, "rules": rules})
    bind(cluster, user, role)


def test_a_namespace_of_a_platform_team_is_used_as_it_is_and_stays(cluster: ControlPlane) -> None:
    platform_namespace(cluster, "shop", quota={"pods": "10", "services.nodeports": "1"})
    before = cluster.api.read_namespace("shop").metadata
    with farm(cluster, "shop", kubeconfig=cluster.others[DEPLOYER]) as it:
        run = done(it, "up", "--yes")
        assert NOT_COMPARED not in run.text
        assert "kubernetes:core/v1:Namespace" not in resources(it)
        assert changes(it) == {}
        it.files.values["php"]["image"] = "glusterfarm.local/php:8.3"
        done(it, "up", "--yes")
        after = cluster.api.read_namespace("shop").metadata
        assert (after.labels, after.annotations) == (before.labels, before.annotations)

        done(it, "destroy", "--yes")
        assert exists(cluster.api.read_namespace, "shop")
        assert not cluster.api.list_namespaced_service("shop").items
        assert not cluster.api.list_namespaced_replication_controller("shop").items


@dataclass(frozen=True, kw_only=True)
class Forbids:
    """What a namespace has, and what is said then: every reason in the same run."""

    reasons: tuple[str, ...]
    labels: dict[str, str] = field(default_factory=dict)
    quota: dict[str, str] = field(default_factory=dict)
    service: str = "NodePort"


FORBIDS = {
    "pod-security": Forbids(
        labels={"pod-security.kubernetes.io/enforce": "baseline"},
        reasons=('violates PodSecurity "baseline:latest": hostPath volumes (volume "site")',),
    ),
    "room": Forbids(
        quota={"pods": "1", "requests.memory": "100Mi", "services.nodeports": "0"},
        reasons=(
            "quota team allows pods=1, of which 0 are used; the farm needs 2 more",
            "quota team allows requests.memory=100Mi",
            "exceeded quota: team, requested: services.nodeports=1",
        ),
    ),
    "kinds": Forbids(
        quota={"limits.cpu": "2", "services.loadbalancers": "0"},
        service="LoadBalancer",
        reasons=("failed quota: team: must specify limits.cpu for: php", "exceeded quota: team"),
    ),
}


@pytest.mark.parametrize("case", FORBIDS)
def test_what_a_namespace_forbids_is_an_error_before_anything_changes(cluster: ControlPlane, case: str) -> None:
    name, forbids = f"forbids-{case}", FORBIDS[case]
    platform_namespace(cluster, name, labels=forbids.labels, quota=forbids.quota)
    with farm(cluster, name, kubeconfig=cluster.others[DEPLOYER]) as it:
        it.files.values["service"]["type"] = forbids.service
        said = refused(it, "up", "--yes")
        assert f"glusterfarm:kubernetes.namespace: namespace {name} does not admit the farm" in said
        for reason in forbids.reasons:
            assert reason in said
        assert resources(it) <= {"pulumi:pulumi:Stack", "pulumi:providers:command"}


def test_a_roll_needs_room_beside_the_old_pods(cluster: ControlPlane) -> None:
    """What runs is left alone by a quota that is full; another template is not."""
    platform_namespace(cluster, "full", quota={"pods": "3"})
    with farm(cluster, "full", kubeconfig=cluster.others[DEPLOYER]) as it:
        done(it, "up", "--yes")
        assert changes(it) == {}
        it.files.values["php"]["image"] = "glusterfarm.local/php:8.3"
        said = refused(it, "preview")
        assert "quota team allows pods=3, of which 2 are used; the farm needs 2 more" in said
        assert "during a roll the new ones run beside the old ones" in said
        it.files.values["php"] |= {"image": "glusterfarm.local/php:8.2", "replicas": 3}
        assert changes(it)["ReplicationController php"] == "update"


def test_nodes_are_there(cluster: ControlPlane) -> None:
    """What the tests above rely on: the label of a mount goes to a Node that exists."""
    assert exists(cluster.api.read_node, NODE)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("virtual-environment", ".venv"),
        ("language-host", "failed to load language plugin python"),
        ("stack", "error: no stack named 'other' found"),
    ],
)
def test_a_preview_that_cannot_start_is_reported_with_pulumis_own_reason(
    cluster: ControlPlane, request: pytest.FixtureRequest, broken: str, reason: str
) -> None:
    if broken == "virtual-environment":  # the official language host makes one, and downloads into it
        request.getfixturevalue("own_programs")
    with farm(cluster, "never-started") as it:
        if broken == "virtual-environment":
            (it.files.directory / ".venv").unlink()
        if broken == "language-host":
            shutil.rmtree(next(Path(it.environment["PULUMI_HOME"]).glob("plugins/language-python-*")))
        stack = "other" if broken == "stack" else "dev"
        path = f"{builds.pulumi(lambda: pytest.fail('not built')).path}{os.pathsep}{it.environment['PATH']}"
        run = command(
            [sys.executable, "-m", "ops", "preview", "--stack", stack],
            cwd=it.files.directory,
            env={**it.environment, "PATH": path, "PYTHONPATH": str(CHECKOUT)},
        )
    assert run.status == 1
    assert run.out.startswith(f"## FAILED: the preview of stack `{stack}`\n\n### Why\n")
    assert reason in run.out
    assert "Traceback" not in run.text


def test_a_namespace_of_another_stack_is_refused(cluster: ControlPlane) -> None:
    mark = {"glusterfarm/stack": "glusterfarm/other"}
    cluster.api.create_namespace({"metadata": {"name": "others", "annotations": mark}})
    with farm(cluster, "others") as it:
        assert "it carries the annotation glusterfarm/stack=glusterfarm/other" in refused(it, "preview")
        cluster.api.patch_namespace("others", {"metadata": {"annotations": {"glusterfarm/stack": None}}})
        web = {"metadata": {"name": "web"}, "spec": {"selector": {"app": "shop"}, "ports": [{"port": 80}]}}
        cluster.api.create_namespaced_service("others", web)
        assert "it holds a Service web that is not this stack's" in refused(it, "preview")
