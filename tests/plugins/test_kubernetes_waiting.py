"""kubernetes: what is awaited, how long, and what is said and kept when it does not come."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.control_plane import ControlPlane, new_namespace
from tests.plugins.forwarder import forwarding
from tests.plugins.harness import Project, Run, copy
from tests.plugins.kubelet import BROKEN, MESSAGE, REASON
from tests.plugins.programs import program

NAMESPACE = "waiting"
PROGRAM = """
    def wait_for(text):
        return {"pulumi.com/waitFor": text}
    plain = controller("plain", replicas=args["replicas"])
    controller("annotated", annotations=wait_for(
        '["jsonpath={.status.availableReplicas}=2", "jsonpath={.status.replicas}=2"]'))
    controller("none", replicas=0, annotations=wait_for("jsonpath={.status.replicas}=0"))
    controller("skipped", image="broken:1", annotations={"pulumi.com/skipAwait": "true"})
    controller("late", image=args["image"], annotations=wait_for("jsonpath={.status.availableReplicas}=2"),
               custom_timeouts={"create": "3s"}, replace_on_changes=["spec.template"])
    core.Pod("pod", metadata={"namespace": space}, spec={"containers": [{"name": "site", "image": args["image"]}]},
             opts=inside(custom_timeouts={"create": "3s"}))
    def service(name, timeouts=None, **spec):
        core.Service(name, metadata={"namespace": space, "name": name}, spec={"ports": [{"port": 80}], **spec},
                     opts=inside(depends_on=[plain], custom_timeouts=timeouts))
    service("served", selector={"app": "plain"})
    service("empty", selector={"app": "nobody"})
    service("headless", selector={"app": "plain"}, clusterIP="None")
    service("own")
    service("balancer", {"create": "3s", "update": "60s"}, type="LoadBalancer")
    core.ConfigMap("held", metadata={"namespace": space, "name": "held", "finalizers": ["tests.example/hold"]},
                   opts=inside(custom_timeouts={"delete": "2s"}))
    """

State = dict[str, dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Course:
    """What happened to one stack: created with broken images, repaired, destroyed."""

    created: Run
    after_creation: State
    controllers: list[str]
    served_by: int
    """Addresses in the endpoints of the Service `served` when `up` was over."""
    repaired: Run
    after_repair: State
    destroyed: Run
    after_destruction: State
    pods_left: list[str]


@pytest.fixture(scope="module")
def course(template: Project, cluster: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Course]:
    api = cluster.api
    new_namespace(cluster, NAMESPACE)
    project = copy(template, tmp_path_factory.mktemp("waiting") / "project")
    program(project, cluster, NAMESPACE, PROGRAM)
    created = project.up("--continue-on-error", image=BROKEN, replicas=3, fails=True)
    after_creation = project.resources()
    endpoints = api.read_namespaced_endpoints("served", NAMESPACE)
    controllers = [rc.metadata.name for rc in api.list_namespaced_replication_controller(NAMESPACE).items]

    address = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}}
    api.patch_namespaced_service_status("balancer", NAMESPACE, address)
    repaired = project.up(image="site:1", replicas=1)
    after_repair = project.resources()

    destroyed = project.destroy("--continue-on-error", fails=True)
    yield Course(
        created=created,
        after_creation=after_creation,
        controllers=controllers,
        served_by=len(endpoints.subsets[0].addresses),
        repaired=repaired,
        after_repair=after_repair,
        destroyed=destroyed,
        after_destruction=project.resources(),
        pods_left=[pod.metadata.name for pod in api.list_namespaced_pod(NAMESPACE).items],
    )
    api.patch_namespaced_config_map("held", NAMESPACE, {"metadata": {"finalizers": None}})


def test_controller_is_awaited_until_its_replicas_are_available(course: Course) -> None:
    available = {name: course.after_creation[name]["outputs"]["status"] for name in ("plain", "annotated")}
    assert {name: status["availableReplicas"] for name, status in available.items()} == {"plain": 3, "annotated": 2}
    assert "none" in course.after_creation


def test_update_of_a_controller_waits_again(course: Course) -> None:
    assert course.after_repair["plain"]["outputs"]["status"]["availableReplicas"] == 1


def test_controller_that_never_gets_ready_is_kept_explained_and_repaired(course: Course) -> None:
    assert "failed to fully initialize or become live" in course.created.diagnostics
    assert "timed out waiting" in course.created.diagnostics
    kept, repaired = course.after_creation["late"], course.after_repair["late"]
    assert kept["initErrors"]
    assert kept["id"].split("/")[1] in course.controllers
    assert "initErrors" not in repaired
    assert repaired["outputs"]["status"]["availableReplicas"] == 2
    assert repaired["id"] != kept["id"]


def test_reasons_of_the_pods_are_shown(course: Course) -> None:
    assert REASON in course.created.diagnostics
    assert MESSAGE in course.created.diagnostics
    assert course.after_creation["pod"]["initErrors"]
    assert "initErrors" not in course.after_repair["pod"]


def test_awaiting_can_be_skipped(course: Course) -> None:
    assert "initErrors" not in course.after_creation["skipped"]
    assert not course.after_creation["skipped"]["outputs"]["status"].get("availableReplicas")


def test_service_waits_for_its_endpoints_and_passes_without_any(course: Course) -> None:
    for name in ("served", "empty", "headless", "own"):
        assert "initErrors" not in course.after_creation[name], name
    assert course.served_by == 3


def test_load_balancer_waits_for_an_address(course: Course) -> None:
    assert "address" in course.created.diagnostics
    assert course.after_creation["balancer"]["initErrors"]
    repaired = course.after_repair["balancer"]
    assert repaired["outputs"]["status"]["loadBalancer"]["ingress"][0]["ip"] == "192.0.2.7"
    assert "initErrors" not in repaired


def test_repair_makes_nothing_twice(course: Course) -> None:
    assert course.repaired.summary["replaced"] == 2  # the late controller and the pod
    assert "created" not in course.repaired.summary


def test_deletion_is_awaited(course: Course) -> None:
    assert "held" in course.destroyed.diagnostics
    left = {name for name in course.after_destruction if name not in ("tests-dev", "provider")}
    assert left == {"held"}
    assert course.pods_left == [], "the controllers counted as deleted before their pods were gone"


def test_object_is_kept_when_the_api_server_goes_away_while_it_is_awaited(
    project: Project, cluster: ControlPlane, namespace: str
) -> None:
    kubeconfig = cluster.kubeconfig.read_text()
    port = int(re.findall(r"https://127\.0\.0\.1:(\d+)", kubeconfig)[0])
    with forwarding(port) as forwarder:
        cut_off: Path = project.directory / "kubeconfig"
        cut_off.write_text(kubeconfig.replace(f":{port}", f":{forwarder.port}"))
        plane = ControlPlane(kubeconfig=cut_off, api=cluster.api)
        program(
            project,
            plane,
            namespace,
            f"""
    wait = {{"pulumi.com/waitFor": "jsonpath={{.status.availableReplicas}}=2"}}
    controller("web", image="{BROKEN}", annotations=wait, custom_timeouts={{"create": "5s"}})
    """,
        )
        with ThreadPoolExecutor() as threads:
            running = threads.submit(project.up, fails=True)
            while not cluster.api.list_namespaced_pod(namespace).items:
                assert not running.done()
                time.sleep(0.05)
            time.sleep(1)  # by now the answer to the creation has arrived
            forwarder.cut()
            running.result(timeout=60)
    assert project.resources()["web"]["initErrors"]
