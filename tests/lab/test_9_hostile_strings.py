"""Hostile text in every string that may be configured: refused before anything is touched, or harmless to the end."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lab.context import Lab
from tests.lab.conftest import deploy, eventually, get
from tests.lab.farm import all_serve
from tests.support.project import Done, Project

pytestmark = pytest.mark.uses("machines")

#: What any of these strings would leave behind if a shell, or anything else that expands, ever read it as text.
TRACE = "glusterfarm-was-here"
HOSTILE = f'it\'s; touch {TRACE}; $(touch {TRACE}) `touch {TRACE}` "${{HOME}}" %n * \\ & | > {TRACE}'
NEWLINE = f"\ntouch {TRACE}\n"

Tree = dict[str, "Tree | str | list[str]"]
CONFIG: Tree = {
    "inventory": ".lab/inventory.yaml",
    "gluster": {"servers": ["gluster-1"], "volume": "MyVolume", "mountPath": "/mnt/glusterfs", "options": ["acl"]},
    "content": {"source": "content", "site": "php"},
    "php": {"image": "glusterfarm.local/php:8.2", "env": {"NAME": "value"}, "probePath": "/"},
    "service": {"type": "NodePort"},
    "kubernetes": {"kubeconfig": ".lab/kubeconfig", "context": "lab", "namespace": "glusterfarm"},
}
REFUSED = (
    "gluster.servers[0]",
    "gluster.volume",
    "gluster.mountPath",
    "gluster.options[0]",
    "content.site",
    "php.image",
    "php.probePath",
    "service.type",
    "kubernetes.context",
    "kubernetes.namespace",
)


@pytest.fixture(scope="module", autouse=True)
def untouched(made: Done) -> Iterator[None]:
    """Whatever the tests did, nothing of it was ever run: not here, not on a machine, not in a pod."""
    lab = Lab.current()
    assert not traces(lab), "left by other tests"
    yield
    assert not traces(lab)


@pytest.fixture(autouse=True)
def untouched_project(project: Project) -> Iterator[None]:
    """Nor in the project itself."""
    yield
    assert not list(project.directory.glob(TRACE))


def traces(lab: Lab) -> list[str]:
    here = [str(path) for path in Path.home().glob(TRACE)]
    for machine in lab.machines():
        seen = lab.exec(machine.name, ["find", "/", "-xdev", "-name", TRACE], timeout=120).stdout.split("\n")
        here += [f"{machine.name}:{path}" for path in seen if path]
    return here


def everywhere(value: Tree | str | list[str], text: str) -> Tree | str | list[str]:
    match value:
        case dict():
            return {name: everywhere(inner, text) for name, inner in value.items()}
        case list():
            return [text for _ in value]
        case _:
            return text


def configure(project: Project, config: object) -> None:
    assert isinstance(config, dict)
    stack = yaml.safe_load((project.directory / "Pulumi.dev.yaml").read_text())
    stack["config"] = {f"glusterfarm:{name}": value for name, value in config.items()}
    project.write("Pulumi.dev.yaml", yaml.safe_dump(stack))


@pytest.mark.parametrize("text", [HOSTILE, NEWLINE, "--help", "$(reboot)"])
def test_what_is_not_plain_is_refused_by_name(lab: Lab, project: Project, text: str) -> None:
    configure(project, everywhere(CONFIG, text))
    done = project.pulumi("up", "--yes")

    assert done.status != 0
    for name in REFUSED:
        assert f"glusterfarm:{name}: " in done.text, done.text
    assert "Traceback" not in done.text
    counted = done.out.partition("Resources:")[2].partition("Duration")[0].split()
    assert counted == ["1", "unchanged", "1", "errored"], "nothing but the stack itself was looked at"


@pytest.mark.parametrize("text", [HOSTILE, NEWLINE])
def test_what_is_not_plain_in_the_inventory_is_refused_by_name(project: Project, text: str) -> None:
    own = project.own_inventory()
    inventory = yaml.safe_load(own.read_text())
    names = [name for name in inventory["minions"][0] if name != "port"]
    inventory["minions"][0] = dict.fromkeys(names, text)
    own.write_text(yaml.safe_dump(inventory))
    done = project.pulumi("up", "--yes")

    assert done.status != 0
    for name in names:
        assert f"inventory.yaml: minions[0].{name}: " in done.text, done.text
    assert "Traceback" not in done.text


@pytest.mark.timeout(300)
def test_what_may_be_any_text_stays_that_text(lab: Lab, project: Project) -> None:
    """Paths on the deployer's side, the values of environment variables, and the names of published files."""
    hostile = HOSTILE.replace("/", "_")
    odd = project.directory / hostile
    odd.mkdir()
    shutil.copy(lab.paths.inventory, odd / "inventory.yaml")
    shutil.copy(lab.paths.lab / "kubeconfig", odd / "kubeconfig")
    shutil.copytree(project.directory / "content", odd / "content")
    names = [os.fsencode(hostile), os.fsencode(f"new{NEWLINE}line"), b"no \xff\xfe UTF-8", b"-rf", b"~", b"$HOME"]
    for name in names:
        (odd / "content" / os.fsdecode(name)).write_bytes(b"of " + name)
    stack = yaml.safe_load((project.directory / "Pulumi.dev.yaml").read_text())["config"]
    probe = "/index.php?a=$(touch)&b='c';d*(e)"
    configure(
        project,
        {
            **{name.partition(":")[2]: value for name, value in stack.items()},
            "inventory": f"{hostile}/inventory.yaml",
            "content": {"source": f"{hostile}/content", "site": "php"},
            "php": {**stack["glusterfarm:php"], "env": {"ODD": HOSTILE + NEWLINE}, "probePath": probe},
            "kubernetes": {"kubeconfig": f"{hostile}/kubeconfig", "namespace": "glusterfarm"},
        },
    )
    try:
        done = project.pulumi("up", "--yes")
        assert done.status == 0, done.text
        eventually(lambda: all_serve(lab), seconds=60, what="both pods serve")
        assert "Glusterfarm" in get(f"http://{lab.minions()[0].address}:30080{probe}")
        for minion in lab.minions():
            listed = lab.exec(minion.name, ["find", "/mnt/glusterfs/php/html/", "-type", "f", "-print0"]).stdout
            for name in names:
                assert name.decode(errors="replace") in listed.replace("/mnt/glusterfs/php/html/", "").split("\0")
        pods = json.loads(lab.kubectl("get", "pods", "-n", "glusterfarm", "-o", "json").stdout)["items"]
        running = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        for pod in running:
            told = lab.kubectl("exec", "-n", "glusterfarm", pod["metadata"]["name"], "--", "printenv", "ODD").stdout
            assert told == HOSTILE + NEWLINE + "\n"
    finally:
        deploy()
