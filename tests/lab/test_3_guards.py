"""`up` fails, and says why, when the farm does not serve what it should; and nothing is written beside the volume."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from lab.context import Lab
from tests.lab.conftest import eventually
from tests.lab.farm import client, pods
from tests.support.project import Done, Project, command, copy_of_project

#: What mounts again what is gone: it must not do so while a test looks at a bare mountpoint.
HEALER = "glusterfarm-heal-mnt-glusterfs"
CONFIGURATION = "/etc/apache2/conf-enabled"
ALIAS = f"""\
Alias /glusterfarm-release {CONFIGURATION}/release
<Directory {CONFIGURATION}>
Require all granted
</Directory>
"""


@contextmanager
def web_server_that_lies(lab: Lab, node: str) -> Iterator[None]:
    """The web server in the farm's pod on ``node`` answers with a release of its own making.

    Its files are read-only for it, so what it is told is mounted over them.
    """
    process = lab.exec(node, ["pgrep", "-o", "apache2"]).stdout.strip()
    assert process, f"no web server runs on {node}"
    where = ["--namespace", process]  # the image has no mount of its own
    there = f"/proc/{process}/root{CONFIGURATION}"
    lab.exec(node, ["mount", *where, "-t", "tmpfs", "deceit", CONFIGURATION])
    try:
        lab.exec(node, ["tee", f"{there}/release"], stdin="000000000000\n")
        lab.exec(node, ["tee", f"{there}/deceit.conf"], stdin=ALIAS)
        lab.exec(node, ["kill", "-USR1", process])
        yield
    finally:
        lab.exec(node, ["umount", *where, CONFIGURATION])
        lab.exec(node, ["kill", "-USR1", process])


@dataclass(frozen=True, kw_only=True)
class Refused:
    """Two updates of the farm that failed, each for its own reason, and the one that went through after them."""

    pods: list[dict[str, str]]
    liar: dict[str, str]
    lied: Done
    unserved: Done
    healed: Done


@pytest.fixture(scope="module")
def refused(made: Done, tmp_path_factory: pytest.TempPathFactory) -> Refused:
    """One pod's web server answers with an old release, as one with a cache of its own might; then the page fails."""
    lab = Lab.current()
    project = copy_of_project(lab, tmp_path_factory.mktemp("refused") / "project")
    page = (project.directory / "content" / "index.php").read_text()
    there = pods(lab)
    try:
        project.edit("content/index.php", "Reload: ", "Lied about: ")
        with web_server_that_lies(lab, there[0]["node"]):
            lied = project.pulumi("up", "--yes")
        project.write("content/index.php", "<?php http_response_code(503);")
        unserved = project.pulumi("up", "--yes")
    finally:
        project.write("content/index.php", page)
        healed = project.pulumi("up", "--yes")
    return Refused(pods=there, liar=there[0], lied=lied, unserved=unserved, healed=healed)


@pytest.mark.uses("machines")
@pytest.mark.timeout(420)
def test_the_gate_fails_up_when_a_pod_serves_another_release(refused: Refused) -> None:
    assert refused.lied.status != 0
    assert refused.liar["name"] in refused.lied.text
    assert "000000000000" in refused.lied.text, "what it served is told"
    assert "Traceback" not in refused.lied.text


@pytest.mark.uses("machines")
def test_up_fails_when_the_page_is_not_served(refused: Refused) -> None:
    assert refused.unserved.status != 0
    assert refused.pods[0]["name"] in refused.unserved.text
    assert "HTTP 503" in refused.unserved.text
    assert "Traceback" not in refused.unserved.text


@pytest.mark.uses("machines")
def test_up_goes_through_again_after_both(refused: Refused) -> None:
    assert refused.healed.status == 0, refused.healed.text


@contextmanager
def a_pod_on(lab: Lab, minion: str) -> Iterator[str]:
    """One made like the farm's own, which nothing counts as one of them; its name."""
    template = json.loads(lab.kubectl("get", "rc", "-n", "glusterfarm", "-o", "json").stdout)["items"][0]["spec"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "stray", "namespace": "glusterfarm"},
        "spec": {**template["template"]["spec"], "nodeName": minion},
    }
    lab.kubectl("apply", "-f", "-", stdin=json.dumps(pod))
    try:
        yield "stray"
    finally:
        lab.kubectl("delete", "pod", "-n", "glusterfarm", "stray", "--now")


def events_of(lab: Lab, pod: str) -> str:
    words = ("events", "-n", "glusterfarm", "--for", f"pod/{pod}")
    return lab.kubectl(*words).stdout


def test_a_bare_mountpoint_cannot_be_written_to(lab: Lab) -> None:
    used = {pod["node"] for pod in pods(lab)}
    minion = next(minion.name for minion in lab.minions() if minion.name not in used)
    lab.exec(minion, ["systemctl", "stop", f"{HEALER}.timer", f"{HEALER}.service", "mnt-glusterfs.mount"])
    try:
        assert "/mnt/glusterfs" not in lab.exec(minion, ["cat", "/proc/self/mountinfo"]).stdout
        for attempt in (["touch", "/mnt/glusterfs/file"], ["mkdir", "-p", "/mnt/glusterfs/php/html"]):
            refused = lab.exec(minion, attempt, check=False)
            assert refused.returncode != 0
            assert "Operation not permitted" in refused.stderr
        assert lab.exec(minion, ["ls", "-A", "/mnt/glusterfs"]).stdout == ""
        with a_pod_on(lab, minion) as stray:
            eventually(
                lambda: "hostPath type check failed: /mnt/glusterfs/php is not a directory" in events_of(lab, stray),
                seconds=60,
                what="no pod of ours starts there",
            )
    finally:
        lab.exec(minion, ["systemctl", "start", "mnt-glusterfs.mount", f"{HEALER}.timer"])
    assert "glusterfarm" in lab.exec(minion, ["ls", "/mnt/glusterfs/php/html/"]).stdout


@pytest.mark.timeout(420)
def test_an_added_minion_is_made_mounted_and_checked_and_touches_no_other(lab: Lab, project: Project) -> None:
    clients = {minion.name: client(lab, minion.name) for minion in lab.minions()}
    done = command([".venv/bin/python", "-m", "lab", "up", "--minions", "4"])
    assert done.status == 0, done.text
    grown = Lab.current()
    assert len(grown.minions()) == 4
    up = Project(directory=project.directory, lab=grown).pulumi("up", "--yes")
    assert up.status == 0, up.text

    assert client(grown, "minion-4")
    assert {name: client(grown, name) for name in clients} == clients
    labelled = grown.kubectl("get", "nodes", "-l", "glusterfarm/mounted.dev=true", "-o", "name").stdout.split()
    assert labelled == [f"node/minion-{number}" for number in (1, 2, 3, 4)]
