"""A farm that an older version made is updated, and destroyed, by this one.

farm_of_6a0ce25/ is what commit 6a0ce25 left in a lab: the state of its stack, its files on each minion, and its site on
the volume. Here it is laid out as it was, with the addresses and keys of this lab's minions.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.context import Lab
from tests.lab.conftest import eventually, get
from tests.lab.farm import MOUNT, mounted, pods
from tests.support.project import Project
from tests.support.stacks import pulumi

OLD = Path(__file__).with_name("farm_of_6a0ce25")
STACK = "aged"
AGED = "/mnt/aged"
PORT = 30077
PAGE = "the second release"
UNIT = "mnt-aged.mount"
#: What tells a machine from another, in the state and in the inventory.
OF_A_MACHINE = ("host", "hostKey", "generation")

pytestmark = [pytest.mark.uses("machines"), pytest.mark.timeout(600)]


@pytest.fixture
def old(lab: Lab, project: Project) -> Iterator[Project]:
    """The old farm, which serves; what a failed test leaves of it is removed."""
    try:
        lay_out(lab, project)
        eventually(lambda: served(lab) == PAGE, seconds=90, what="the old farm serves")
        yield project
    finally:
        for words in (("destroy", "--yes"), ("stack", "rm", "--yes")):
            project.pulumi(*words, "--stack", STACK)


def lay_out(lab: Lab, project: Project) -> None:
    """Put everything where the old version left it."""
    state = of_this_lab(lab, (OLD / "state.json").read_text())
    pulumi(project, "stack", "init", STACK, "--no-select")
    project.write(f"Pulumi.{STACK}.yaml", (OLD / f"Pulumi.{STACK}.yaml").read_text())
    project.write("old-state.json", state)
    pulumi(project, "stack", "import", "--stack", STACK, "--file", "old-state.json")
    shutil.rmtree(project.directory / "content")
    (project.directory / "content" / "assets").mkdir(parents=True)
    project.write("content/index.php", f"<?php echo '{PAGE}';\n")
    project.write("content/assets/site.css", "body {}\n")

    extract(lab, lab.minions()[0].name, MOUNT, "volume.tar.gz")
    for minion in lab.minions():
        extract(lab, minion.name, "/", f"{minion.name}.tar.gz")
        start = f"mkdir -p {AGED} && chattr +i {AGED} && systemctl daemon-reload && systemctl start {UNIT}"
        lab.exec(minion.name, ["sh", "-c", f"{start} glusterfarm-heal-mnt-aged.timer"])
    apply(lab, json.loads(state)["deployment"]["resources"])


def of_this_lab(lab: Lab, text: str) -> str:
    """The recorded text with the addresses, host keys and generations of this lab's minions."""
    recorded = yaml.safe_load((OLD / "inventory.yaml").read_text())["minions"]
    current = {it["name"]: it for it in yaml.safe_load(lab.paths.inventory.read_text())["minions"]}
    for minion in recorded:
        for key in OF_A_MACHINE:
            text = text.replace(minion[key], current[minion["name"]][key])
    return text


def extract(lab: Lab, machine: str, directory: str, archive: str) -> None:
    words = ["sh", "-c", 'base64 -d | tar -xzpC "$1"', "sh", directory]
    lab.exec(machine, words, stdin=base64.b64encode((OLD / archive).read_bytes()).decode())


def apply(lab: Lab, resources: list[Mapping[str, Any]]) -> None:
    """Make the objects of the state, each with the field manager that the provider had for it."""
    for resource in resources:
        if "__fieldManager" in resource.get("outputs", {}):
            inputs = resource["inputs"]
            body = {**inputs, "kind": inputs["kind"].removesuffix("Patch")}
            if address := resource["outputs"].get("spec", {}).get("clusterIP"):
                body["spec"] = {**inputs["spec"], "clusterIP": address}
            words = ("apply", "--server-side", "--field-manager", resource["outputs"]["__fieldManager"], "-f", "-")
            lab.kubectl(*words, stdin=json.dumps(body))


def served(lab: Lab) -> str:
    return get(f"http://{lab.minions()[0].address}:{PORT}/")


def is_gone(lab: Lab) -> None:
    """Nothing of the farm is left but the directories that others use."""
    for minion in lab.minions():
        assert not mounted(lab, minion.name, AGED)
        left = lab.exec(minion.name, ["find", "/etc", "-xdev", "-name", "*aged*"]).stdout
        assert left == "", minion.name
    assert lab.exec(lab.minions()[0].name, ["sh", "-c", f"ls {MOUNT} | grep aged"], check=False).stdout == ""
    assert "NotFound" in lab.kubectl("get", "namespace", STACK, check=False).stderr
    nodes = json.loads(lab.kubectl("get", "nodes", "-o", "json").stdout)["items"]
    for node in nodes:
        marks = {**node["metadata"]["labels"], **node["metadata"]["annotations"]}
        assert not [key for key in marks if key.startswith("glusterfarm/") and key.endswith(f".{STACK}")]


def test_an_old_farm_is_updated_without_a_roll_and_then_destroyed(lab: Lab, old: Project) -> None:
    before = {pod["name"] for pod in pods(lab, STACK)}
    up = old.pulumi("up", "--yes", "--stack", STACK)
    assert up.status == 0, up.text
    assert {pod["name"] for pod in pods(lab, STACK)} == before
    assert served(lab) == PAGE
    again = old.pulumi("preview", "--stack", STACK)
    assert re.search(r"Resources:\n +31 unchanged\n", again.out), again.text
    drift = old.ops("drift", "--stack", STACK)
    assert drift.status == 0, drift.text

    destroyed = old.pulumi("destroy", "--yes", "--stack", STACK)
    assert destroyed.status == 0, destroyed.text
    is_gone(lab)


def test_an_old_farm_that_was_never_updated_is_destroyed(lab: Lab, old: Project) -> None:
    """By the commands that its state holds."""
    destroyed = old.pulumi("destroy", "--yes", "--stack", STACK)
    assert destroyed.status == 0, destroyed.text
    is_gone(lab)
