"""A secret of the pods: where it is in plain, and what another value comes to, with the engine and the providers."""

from __future__ import annotations

import base64
from typing import Any

from components.php_controller import MADE
from tests.plugins.control_plane import ControlPlane
from tests.plugins.harness import Planned, Project
from tests.plugins.programs import program

PROGRAM = """
    import hashlib
    kept = core.Secret("env", metadata={"namespace": space}, immutable=True, opts=inside(),
                       stringData={"DB_PASSWORD": pulumi.Output.secret(args["password"])})
    def spec(name):
        reference = {"secretKeyRef": {"name": name, "key": "DB_PASSWORD"}}
        container = {"name": "php", "image": "site:1", "env": [{"name": "DB_PASSWORD", "valueFrom": reference}]}
        labels = {"app": "php", "template": hashlib.sha256(name.encode()).hexdigest()[:10]}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        return {"replicas": 1, "selector": labels, "template": template}
    core.ReplicationController("php", spec=kept.metadata["name"].apply(spec),
                               metadata={"namespace": space, "annotations": {"pulumi.com/waitFor": args["waitFor"]}},
                               opts=inside(replace_on_changes=["spec.template", "spec.selector"]))
    """


def test_another_value_is_another_secret_and_rolls_the_pods(
    project: Project, cluster: ControlPlane, namespace: str
) -> None:
    program(project, cluster, namespace, PROGRAM)
    project.up(password="correct horse", waitFor=MADE)
    (before,) = secrets(cluster, namespace)

    assert project.preview(password="correct horse", waitFor=MADE) == {}, (
        "the same value is no change, and all is known"
    )
    planned = project.preview(password="battery staple", waitFor=MADE)
    assert {name: it.op for name, it in planned.items()} == {"env": "replace", "php": "replace"}
    shown = project.run("preview", "--diff", password="battery staple", waitFor=MADE)
    changed = project.up(password="battery staple", waitFor=MADE)
    (after,) = secrets(cluster, namespace)

    assert after != before
    assert referenced(cluster, namespace) == {after}
    for value in ("correct horse", "battery staple"):
        for plain in (value, base64.b64encode(value.encode()).decode()):
            for text in (shown.text, changed.text, project.state.read_text()):
                assert plain not in text
    assert project.preview(password="battery staple", waitFor=MADE) == dict[str, Planned]()


def secrets(cluster: ControlPlane, namespace: str) -> list[str]:
    """The names of the namespace's Secrets."""
    return [it.metadata.name for it in cluster.api.list_namespaced_secret(namespace).items]


def referenced(cluster: ControlPlane, namespace: str) -> set[str]:
    """The Secrets that the controllers' pods are made with."""
    found: list[Any] = cluster.api.list_namespaced_replication_controller(namespace).items
    environments = [it.spec.template.spec.containers[0].env for it in found]
    return {entry.value_from.secret_key_ref.name for environment in environments for entry in environment}
