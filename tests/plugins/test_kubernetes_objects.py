"""kubernetes: objects are made, kept secret, refused, read and deleted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest

from tests.plugins.control_plane import ControlPlane, exists, new_namespace
from tests.plugins.harness import Project, Run, copy, is_secret
from tests.plugins.programs import program

NAMESPACE = "objects"


def test_every_known_type_lives_and_dies(project: Project, cluster: ControlPlane) -> None:
    program(
        project,
        cluster,
        "",
        """
    core = k8s.core.v1
    namespace = core.Namespace("space", metadata={"labels": {"a.example/b": "1"}}, opts=inside())
    inner = {"namespace": namespace.metadata["name"]}
    objects = [
        core.ConfigMap("map", metadata=inner, data={"a": "1"}, opts=inside()),
        core.Secret("secret", metadata=inner, string_data={"a": "hush-hush"}, opts=inside()),
        core.ServiceAccount("account", metadata=inner, opts=inside()),
        core.Pod("pod", metadata=inner, spec={"containers": [{"name": "c", "image": "site:1"}]}, opts=inside()),
        core.Service("service", metadata={**inner, "name": "service"}, opts=inside(),
                     spec={"selector": {"app": "nobody"}, "ports": [{"port": 80, "target_port": "http"}]}),
        k8s.networking.v1.NetworkPolicy("policy", metadata=inner, spec={"pod_selector": {}}, opts=inside()),
    ]
    pulumi.export("service", objects[4].spec.apply(lambda spec: spec.cluster_ip))
    pulumi.export("names", [o.metadata["name"] for o in [namespace, *objects]])
    pulumi.export("ids", [o.id for o in [namespace, *objects]])
    """,
    )
    run = project.up()
    assert run.summary == {"created": 9}
    assert "hush-hush" not in run.text
    outputs = project.outputs()
    space, *names = outputs["names"]
    for given, name in zip(("space", "map", "secret", "account", "pod"), [space, *names], strict=False):
        assert re.fullmatch(rf"{given}-[0-9a-f]{{8}}", name)
    assert names[4] == "service"
    assert outputs["ids"] == [space, *[f"{space}/{name}" for name in names]]
    assert outputs["service"].startswith("10.213.0.")
    api = cluster.api
    assert api.read_namespace(space).metadata.labels["a.example/b"] == "1"
    assert api.read_namespaced_config_map(names[0], space).data == {"a": "1"}
    assert api.read_namespaced_pod(names[3], space).status.phase == "Running"

    assert project.up().summary == {"unchanged": 9}
    assert project.destroy().summary == {"deleted": 9}
    assert not exists(api.read_namespace, space)


PROGRAM = """
    core.Secret("secret", metadata={"namespace": space}, stringData={"a": "hush-hush"}, opts=inside())
    core.ConfigMap("map", metadata={"namespace": space}, opts=inside(),
                   data={"open": "yes", "hidden": pulumi.Output.secret("hush-hush")})
    core.ConfigMap("taken", metadata={"namespace": space, "name": "theirs"}, data={"whose": "ours"}, opts=inside())
    core.Service("port", metadata={"namespace": space}, spec={"ports": [{"port": 99999}]}, opts=inside())
    core.Service("name", metadata={"namespace": space, "name": "Not_A_Name"}, spec={"ports": [{"port": 80}]},
                 opts=inside())
    k8s.core.v1.ConfigMap.get("read", f"{space}/theirs", opts=inside())
    """


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One `up` of objects, some of which cannot be had."""

    run: Run
    resources: dict[str, dict[str, Any]]
    state: str


@pytest.fixture(scope="module")
def scene(template: Project, cluster: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    new_namespace(cluster, NAMESPACE)
    theirs = {"metadata": {"name": "theirs", "labels": {"a": "1"}}, "data": {"whose": "theirs"}}
    cluster.api.create_namespaced_config_map(NAMESPACE, theirs)
    project = copy(template, tmp_path_factory.mktemp("objects") / "project")
    program(project, cluster, NAMESPACE, PROGRAM)
    # A preview finds some of these faults already: this is about the update.
    run = project.up("--skip-preview", "--continue-on-error", fails=True)
    return Scene(run=run, resources=project.resources(), state=project.state.read_text())


def test_secrets_are_encrypted_in_the_state(scene: Scene, cluster: ControlPlane) -> None:
    assert "hush-hush" not in scene.run.text
    assert "hush-hush" not in scene.state
    secret, mixed = scene.resources["secret"], scene.resources["map"]
    assert is_secret(secret["inputs"]["data"])
    assert is_secret(secret["outputs"]["data"])
    assert is_secret(mixed["outputs"]["data"]["hidden"])
    assert mixed["outputs"]["data"]["open"] == "yes"
    name = mixed["outputs"]["metadata"]["name"]
    assert cluster.api.read_namespaced_config_map(name, NAMESPACE).data["hidden"] == "hush-hush"


def test_existing_object_is_not_taken_over(scene: Scene, cluster: ControlPlane) -> None:
    assert '"theirs" already exists' in scene.run.diagnostics
    assert "taken" not in scene.resources
    assert cluster.api.read_namespaced_config_map("theirs", NAMESPACE).data == {"whose": "theirs"}


def test_object_of_somebody_else_can_be_read(scene: Scene) -> None:
    outputs = scene.resources["read"]["outputs"]
    assert outputs["data"] == {"whose": "theirs"}
    assert outputs["metadata"]["labels"] == {"a": "1"}


def test_what_the_server_refuses_is_shown(scene: Scene) -> None:
    assert "spec.ports[0].port" in scene.run.diagnostics
    assert "Not_A_Name" in scene.run.diagnostics
    assert "Traceback" not in scene.run.text
    assert not {"port", "name"} & set(scene.resources)
