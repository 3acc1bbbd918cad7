"""What a reviewer would see: previews against the real cluster, with real provider programs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from lab.context import Lab
from tests.lab.farm import some_nodes
from tests.support.project import Project

pytestmark = pytest.mark.uses("machines")

CONTROLLER = "ReplicationController php"
SERVICE = "Service web"


def test_an_edited_file(project: Project) -> None:
    project.edit("content/helloworld.html", "Hello, world!", "Hello, farm!")

    assert project.preview() == {
        "Command content-intent": "update",
        "Command content-publish": "update",
        "Command php-gate": "update",
        "Command web-smoke": "update",
    }
    shown = project.pulumi("preview", "--diff").out
    lines = [line.strip() for line in shown.splitlines() if "helloworld.html" in line]
    assert [line[0] for line in lines if line[0] in "+-"] in (["-", "+"], ["+", "-"]), shown
    assert not [line for line in shown.splitlines() if line.strip()[:1] in "+-" and "farm.css" in line], shown


def test_an_added_minion(project: Project, lab: Lab) -> None:
    path = project.own_inventory()
    inventory = yaml.safe_load(path.read_text())
    inventory["minions"].append(
        {**inventory["minions"][0], "name": "minion-9", "node": "minion-9", "host": "10.111.0.39"}
    )
    path.write_text(yaml.safe_dump(inventory))
    with some_nodes(lab, "minion-9"):
        operations = project.preview()

    assert operations["Command mount-minion-9"] == "create"
    assert operations["NodePatch mount-minion-9"] == "create"
    assert {name for name in operations if "minion-" in name} == {
        "Command mount-minion-9",
        "Command mount-minion-9-reach",
        "Command mount-minion-9-drain",
        "NodePatch mount-minion-9",
    }
    assert CONTROLLER not in operations
    assert SERVICE not in operations


def test_a_rotated_key(project: Project, lab: Lab, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True, timeout=30)
    secret = project.pulumi("config", "set", "--secret", "sshPrivateKey", "--", (tmp_path / "key").read_text())
    assert secret.status == 0, secret.text
    operations = project.preview()

    assert {f"Command mount-{minion.name}": "update" for minion in lab.minions()}.items() <= operations.items()
    assert set(operations.values()) == {"update"}
    assert all(name.startswith("Command ") for name in operations), operations
    assert "PRIVATE KEY" not in project.pulumi("preview", "--diff").text


def test_a_changed_image_replaces_the_controller_and_keeps_the_service(project: Project) -> None:
    project.edit("Pulumi.dev.yaml", "glusterfarm.local/php:8.2", "glusterfarm.local/php:8.3")
    operations = project.preview()

    assert "replace" in operations[CONTROLLER]
    assert SERVICE not in operations


def test_a_scaled_farm_is_an_update_in_place(project: Project) -> None:
    project.edit("Pulumi.dev.yaml", "replicas: 2", "replicas: 3")
    operations = project.preview()

    assert operations[CONTROLLER] == "update"
    assert SERVICE not in operations


@pytest.mark.parametrize("verb", [["preview"], ["up", "--yes"]])
def test_every_mistake_of_a_bad_configuration_is_told_at_once(project: Project, verb: list[str]) -> None:
    path = project.own_inventory()
    inventory = yaml.safe_load(path.read_text())
    inventory["minions"][1]["name"] = inventory["minions"][0]["name"]
    inventory["minions"][2]["hostKey"] = "trust me"
    path.write_text(yaml.safe_dump(inventory))
    project.edit("Pulumi.dev.yaml", "replicas: 2", 'replicas: "two"')
    project.edit("Pulumi.dev.yaml", "source: content", "source: no-such-directory")
    project.edit("Pulumi.dev.yaml", "glusterfarm:service:", "glusterfarm:sevrice: {}\n  glusterfarm:service:")
    done = project.pulumi(*verb)

    assert done.status != 0
    for name, value in {
        "glusterfarm:php.replicas": "two",
        "glusterfarm:content.source": "no-such-directory",
        "glusterfarm:sevrice": "did you mean service?",
        "minions[1].name": "minion-1",
        "minions[2].hostKey": "trust me",
    }.items():
        assert any(name in line and value in done.text for line in done.text.splitlines()), (name, done.text)
    assert "Traceback" not in done.text
    assert "pydantic" not in done.text
