"""What a failed roll leaves, with the engine's own rules: who serves then, and what the next `up` does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from components.php_controller import MADE
from tests.plugins.control_plane import ControlPlane, new_namespace
from tests.plugins.harness import CHECKOUT, Project
from tests.plugins.kubelet import BROKEN
from tests.plugins.programs import program

PROGRAM = """
    import sys
    from pulumi_command import local
    sys.path.insert(0, args["checkout"])
    from components.failures import dependable, despite_failure, end_without
    parent = dependable(core.ConfigMap("parent", metadata={"namespace": space}, opts=inside()), None)
    def child(**options):
        return inside(parent=parent, **options)
    made_of = core.ConfigMap("ini", metadata={"namespace": space}, data={"of": args["image"]}, opts=child())
    settings = dependable(made_of, parent)
    pods = dependable(controller("php", image=args["image"], annotations={"pulumi.com/waitFor": args["waitFor"]},
                                 replace_on_changes=["spec.template"], depends_on=[settings], parent=parent,
                                 custom_timeouts={"create": "5s"}), parent)
    words = despite_failure(pods.metadata["name"].apply(lambda name: f"{args['verdict']} # {name}"), "")
    gate = dependable(local.Command("gate", create=words, update=words,
                                    opts=ResourceOptions(depends_on=[pods], parent=parent)), parent)
    web = local.Command("web", create="true", opts=ResourceOptions(depends_on=[gate], parent=parent))
    end_without(gate.stdout, "the old ones are kept", after=web.stdout)
    """


@pytest.mark.parametrize("goes_on", ["true", "false"])
def test_a_failed_roll_keeps_the_old_one(project: Project, cluster: ControlPlane, goes_on: str) -> None:
    """However often it fails, and also where a run goes on after an error, as in the lab and the workflows."""
    namespace = new_namespace(cluster, f"failed-roll-{goes_on}")
    project.environment["PULUMI_CONTINUE_ON_ERROR"] = goes_on
    program(project, cluster, namespace, PROGRAM)

    def up(image: str, *, verdict: str = "true") -> set[str]:
        run = project.up(fails=verdict != "true", image=image, verdict=verdict, waitFor=MADE, checkout=str(CHECKOUT))
        assert ("error: the old ones are kept" in run.diagnostics) is (verdict != "true" and goes_on == "true")
        assert "Traceback" not in run.text
        return images(cluster, namespace)

    assert up("site:1") == {"site:1"}
    assert "site:1" in up(BROKEN, verdict="false")
    assert "site:1" in up("broken:2", verdict="false"), "another bad one"
    assert "site:1" in up("broken:2", verdict="false"), "the same again"
    assert "site:1" in made_of(cluster, namespace), "what its pods are made of is kept, too"
    assert up("site:2") == {"site:2"}
    assert made_of(cluster, namespace) == {"site:2"}
    assert pending(project) == []


def images(cluster: ControlPlane, namespace: str) -> set[str]:
    """The images of the controllers that are there."""
    found = cluster.api.list_namespaced_replication_controller(namespace).items
    return {it.spec.template.spec.containers[0].image for it in found if not it.metadata.deletion_timestamp}


def made_of(cluster: ControlPlane, namespace: str) -> set[str]:
    """The images for which there are ConfigMaps."""
    found = cluster.api.list_namespaced_config_map(namespace).items
    return {it.data["of"] for it in found if "of" in (it.data or {})}


def pending(project: Project) -> list[Any]:
    """What the state would still have deleted."""
    resources = json.loads(project.state.read_text())["checkpoint"]["latest"]["resources"]
    return [it["urn"] for it in resources if it.get("delete")]
