"""A first deployment on a cluster that has nothing of it, by the two plain commands; then elsewhere, then destroyed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from lab.context import Lab
from tests.lab.conftest import get
from tests.lab.farm import MOUNT, PAGE
from tests.support.project import Done, Project
from tests.support.stacks import init

STACK = ("--stack", "first")
CONFIG = "Pulumi.first.yaml"
OWN, TEAMS = "first", "first-team"

pytestmark = [pytest.mark.uses("machines")]


@pytest.fixture
def first(project: Project) -> Iterator[Project]:
    """A stack that was never deployed: a namespace that is not there, a site of its own, a port that nobody chose."""
    config = yaml.safe_load((project.directory / "Pulumi.dev.yaml").read_text())["config"]
    config["glusterfarm:content"] |= {"site": "first", "deleteOnDestroy": True}
    config["glusterfarm:kubernetes"]["namespace"] = OWN
    del config["glusterfarm:service"]["nodePort"]
    init(project, "first", config)
    yield project
    done = project.pulumi("destroy", "--yes", *STACK)
    project.lab.kubectl("delete", "namespace", OWN, TEAMS, "--ignore-not-found")
    assert done.status == 0, done.text
    project.pulumi("stack", "rm", "--yes", "--force", *STACK)


def change(project: Project, section: str, **values: object) -> None:
    config = yaml.safe_load((project.directory / CONFIG).read_text())
    config["config"][f"glusterfarm:{section}"] |= values
    project.write(CONFIG, yaml.safe_dump(config))


def succeeded(done: Done) -> Done:
    assert done.status == 0, done.text
    assert "Traceback" not in done.text
    return done


def outputs(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(succeeded(project.pulumi("stack", "output", "--json", *STACK)).out)
    return found


def namespaces(lab: Lab) -> set[str]:
    return set(lab.kubectl("get", "namespaces", "-o", "name").stdout.replace("namespace/", "").split())


def test_a_first_deployment_then_a_namespace_of_a_platform_team(first: Project, lab: Lab) -> None:
    preview = succeeded(first.pulumi("preview", *STACK))
    assert f"not compared with the cluster: namespace {OWN} does not exist yet" in preview.text
    assert re.search(r"^ +url *: \[unknown\]$", preview.out, re.MULTILINE)
    assert OWN not in namespaces(lab)

    succeeded(first.pulumi("up", "--yes", *STACK))
    made = outputs(first)
    assert get(f"{made['url']}helloworld.html") == PAGE
    assert sum(made["servedBy"].values()) == 20

    lab.kubectl("create", "namespace", TEAMS)
    lab.kubectl("create", "quota", "team", "--hard=pods=4,services=1", "-n", TEAMS)
    change(first, "kubernetes", namespace=TEAMS)
    change(first, "service", type="ClusterIP", port=8080)
    moved = succeeded(first.pulumi("up", "--yes", *STACK))
    assert "not compared with the cluster" not in moved.text
    now = outputs(first)
    service = json.loads(lab.kubectl("get", "service", "web", "-n", TEAMS, "-o", "json").stdout)
    assert now["url"] == f"http://{service['spec']['clusterIP']}:8080/"
    assert sum(now["servedBy"].values()) == 20
    assert namespaces(lab) & {OWN, TEAMS} == {TEAMS}, "what the stack made goes with it"

    succeeded(first.pulumi("destroy", "--yes", *STACK))
    team = json.loads(lab.kubectl("get", "namespace", TEAMS, "-o", "json").stdout)
    assert not set(team["metadata"].get("annotations") or {}), "it is as the team made it"
    left = lab.kubectl("get", "all,networkpolicies", "-n", TEAMS, "-o", "name").stdout
    assert left == ""
    assert lab.exec(lab.minions()[0].name, ["ls", MOUNT]).stdout.split().count("first") == 0
