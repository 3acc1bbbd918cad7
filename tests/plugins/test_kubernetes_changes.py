"""kubernetes: what a changed program, and a changed cluster, come to in previews and in `up`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest

from tests.plugins.control_plane import ControlPlane, exists, new_namespace
from tests.plugins.harness import Planned, Project, Run, copy
from tests.plugins.programs import program

NAMESPACE = "changes"
PROGRAM = """
    # changed in place
    service = core.Service(
        "s",
        metadata={"namespace": space, "name": "s", "labels": {"kept": "1", "a.example/b": args["label"]}},
        spec={"selector": {"app": "x"}, "ports": [{"port": 80, "targetPort": args["port"]}], **args["more"]},
        opts=inside(),
    )
    pulumi.export("affinity", service.spec.apply(lambda spec: spec["sessionAffinity"]))
    # replaced
    core.ConfigMap("auto", metadata={"namespace": space}, data={"a": args["data"]}, opts=inside())
    core.ConfigMap("named", metadata={"namespace": space, "name": "named"}, data={"a": args["data"]}, opts=inside())
    core.Service("address", metadata={"namespace": space}, opts=inside(),
                 spec={"ports": [{"port": 80}], "clusterIP": args["address"]})
    core.ConfigMap("moved", metadata={"namespace": args["space"]}, opts=inside())
    controller("web", image=args["image"], replace_on_changes=["spec.template"])
    # changed by others
    pod = {"containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "0.5", "memory": "1000Mi"}},
                           "env": [], "stdin": False}]}
    core.ReplicationController("drifted", opts=inside(),
                               metadata={"namespace": space, "labels": {"a": "1", "kept": "1"},
                                         "annotations": {"pulumi.com/skipAwait": "true"}},
                               spec={"replicas": 2, "selector": {"app": "rc"},
                                     "template": {"metadata": {"labels": {"app": "rc"}}, "spec": pod}})
    core.ConfigMap("gone", metadata={"namespace": space}, opts=inside())
    """
BEFORE: dict[str, Any] = {
    "label": "old",
    "port": 80,
    "more": {"publishNotReadyAddresses": True},
    "data": "1",
    "address": "10.213.0.201",
    "space": NAMESPACE,
    "image": "site:1",
}
AFTER: dict[str, Any] = {
    "label": "new",
    "port": 81,
    "more": {"sessionAffinity": "ClientIP"},
    "data": "2",
    "address": "10.213.0.202",
    "space": "default",
    "image": "site:2",
}
State = dict[str, dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Course:
    """What happened to one stack: made, changed by others, refreshed, then changed by its program."""

    before: State
    untouched: dict[str, Planned]
    """A preview with a refresh while nothing had changed."""
    refreshed: Run
    planned: dict[str, Planned]
    shown: str
    """The text of `preview --diff`."""
    changed: Run
    after: State

    def name(self, state: State, resource: str) -> str:
        """The name of a resource's object."""
        found: str = state[resource]["outputs"]["metadata"]["name"]
        return found


@pytest.fixture(scope="module")
def course(template: Project, cluster: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Course:
    api = cluster.api
    new_namespace(cluster, NAMESPACE)
    project = copy(template, tmp_path_factory.mktemp("changes") / "project")
    program(project, cluster, NAMESPACE, PROGRAM)
    project.up(**BEFORE)
    before = project.resources()
    untouched = project.preview("--refresh", **BEFORE)

    drifted, gone = (before[name]["id"].split("/")[1] for name in ("drifted", "gone"))
    labels = {"metadata": {"labels": {"a": None, "other": "x"}}}
    api.patch_namespaced_replication_controller(drifted, NAMESPACE, labels)
    api.delete_namespaced_config_map(gone, NAMESPACE)
    refreshed = project.refresh(**BEFORE)
    planned = project.preview(**AFTER)
    shown = project.run("preview", "--diff", **AFTER).text
    changed = project.up(**AFTER)
    return Course(
        before=before,
        untouched=untouched,
        refreshed=refreshed,
        planned=planned,
        shown=shown,
        changed=changed,
        after=project.resources(),
    )


def test_change_updates_in_place_with_property_paths(course: Course, cluster: ControlPlane) -> None:
    assert course.planned["s"].op == "update"
    assert course.planned["s"].diff == {
        'metadata.labels["a.example/b"]': "update",
        "spec.ports[0].targetPort": "update",
        "spec.sessionAffinity": "add",
        "spec.publishNotReadyAddresses": "delete",
    }
    assert re.search(r'~ a\.example/b\s*: "old" => "new"', course.shown)
    assert re.search(r"~ targetPort\s*: 80 => 81", course.shown)
    live = cluster.api.read_namespaced_service("s", NAMESPACE)
    assert live.spec.ports[0].target_port == 81
    assert live.spec.session_affinity == "ClientIP"
    assert live.metadata.labels == {"kept": "1", "a.example/b": "new"}
    assert not live.spec.publish_not_ready_addresses, "what the program stops asking for goes"
    assert course.after["s"]["outputs"]["spec"]["clusterIP"] == live.spec.cluster_ip


def test_preview_knows_what_the_server_makes_of_it(course: Course) -> None:
    assert re.search(r'~ affinity: "None" => "ClientIP"', course.shown)


def test_immutable_fields_replace(course: Course, cluster: ControlPlane) -> None:
    replaced = {name: course.planned[name].op for name in ("auto", "named", "address", "moved", "web")}
    assert replaced == dict.fromkeys(replaced, "replace")
    assert course.planned["address"].diff == {"spec.clusterIP": "update-replace"}
    assert course.planned["moved"].diff == {"metadata.namespace": "update-replace"}
    assert course.changed.summary["replaced"] == 5
    reasons = {name: course.planned[name].reasons for name in replaced}
    assert reasons == {
        "auto": ["data.a"],
        "named": ["data.a"],
        "address": ["spec.clusterIP"],
        "moved": ["metadata.namespace"],
        "web": [],  # the program's own wish, replace_on_changes
    }

    read = cluster.api.read_namespaced_config_map
    old, new = (course.name(state, "auto") for state in (course.before, course.after))
    assert new != old, "an automatic name is new, so that the new object can come first"
    assert not exists(read, old, NAMESPACE)
    assert course.after["named"]["id"] == course.before["named"]["id"]
    assert read("named", NAMESPACE).data == {"a": "2"}
    assert course.after["moved"]["id"].startswith("default/")


def test_replace_on_changes_rolls_a_controller(course: Course, cluster: ControlPlane) -> None:
    old, new = (course.name(state, "web") for state in (course.before, course.after))
    assert new != old
    assert course.after["web"]["outputs"]["status"]["availableReplicas"] == 2
    assert not exists(cluster.api.read_namespaced_replication_controller, old, NAMESPACE)


def test_what_the_server_writes_in_its_own_way_is_no_drift(course: Course) -> None:
    assert course.untouched == {}


def test_refresh_sees_drift_and_up_repairs_it(course: Course, cluster: ControlPlane) -> None:
    assert course.refreshed.summary["updated"] >= 1
    assert course.planned["drifted"].diff == {"metadata.labels.a": "add"}
    assert course.planned["gone"].op == "create"
    labels = cluster.api.read_namespaced_replication_controller(course.name(course.after, "drifted"), NAMESPACE)
    assert labels.metadata.labels == {"a": "1", "kept": "1", "other": "x"}
    assert exists(cluster.api.read_namespaced_config_map, course.name(course.after, "gone"), NAMESPACE)


def test_conflicting_managers_are_named_and_can_be_forced(
    project: Project, cluster: ControlPlane, namespace: str
) -> None:
    program(
        project,
        cluster,
        namespace,
        """
    force = {"annotations": {"pulumi.com/patchForce": "true"}} if args.get("force") else {}
    core.Service("s", metadata={"namespace": space, "name": "s", **force}, opts=inside(),
                 spec={"ports": [{"port": 80}], "sessionAffinity": "None"})
    """,
    )
    project.up()
    theirs = {"spec": {"sessionAffinity": "ClientIP"}}
    cluster.api.patch_namespaced_service("s", namespace, theirs, field_manager="somebody")
    run = project.up("--refresh", fails=True)
    assert "somebody" in run.diagnostics
    assert "spec.sessionAffinity" in run.diagnostics
    assert "server-side apply field conflict detected" in run.diagnostics
    project.up(force=True)
    assert cluster.api.read_namespaced_service("s", namespace).spec.session_affinity == "None"


def test_a_refused_update_is_tried_again_whatever_the_program_says_then(
    project: Project, cluster: ControlPlane, namespace: str
) -> None:
    program(
        project,
        cluster,
        namespace,
        """
    core.Service("s", metadata={"namespace": space, "name": "s"}, spec={"ports": [{"port": args["port"]}]},
                 opts=inside())
    """,
    )
    project.up(port=80)
    run = project.up("--skip-preview", port=99999, fails=True)
    assert "failed to fully initialize or become live" in run.diagnostics
    assert "spec.ports[0].port" in run.diagnostics
    assert project.resources()["s"]["initErrors"]
    assert project.up(port=80).summary == {"updated": 1, "unchanged": 2}
    assert "initErrors" not in project.resources()["s"]
