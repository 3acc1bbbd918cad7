"""`up` fails, and says why, when the farm does not serve what it should; and nothing is written beside the volume."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab.context import Lab
from tests.lab.conftest import eventually, get
from tests.lab.farm import client, pods
from tests.support.project import Project, command

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


def test_the_gate_fails_up_when_a_pod_serves_another_release(lab: Lab, project: Project) -> None:
    """One pod's web server answers with an old release, as one with a cache of its own might."""
    victim = pods(lab)[0]
    project.edit("content/helloworld.html", "Hello, world!", "Hello, gate!")
    try:
        with web_server_that_lies(lab, victim["node"]):
            done = project.pulumi("up", "--yes")
        assert done.status != 0
        assert victim["name"] in done.text
        assert "000000000000" in done.text, "what it served is told"
        assert "Traceback" not in done.text
    finally:
        project.edit("content/helloworld.html", "Hello, gate!", "Hello, world!")
        healed = project.pulumi("up", "--yes")
    assert healed.status == 0, healed.text


def test_up_fails_when_the_page_is_not_served(lab: Lab, project: Project) -> None:
    page = (project.directory / "content" / "index.php").read_text()
    try:
        project.write("content/index.php", "<?php http_response_code(503);")
        done = project.pulumi("up", "--yes")
        assert done.status != 0
        assert pods(lab)[0]["name"] in done.text
        assert "HTTP 503" in done.text
        assert "Traceback" not in done.text
    finally:
        project.write("content/index.php", page)
        healed = project.pulumi("up", "--yes")
    assert healed.status == 0, healed.text


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


@pytest.mark.parametrize("kind", ["kill-client", "stop", "pause", "reboot"])
def test_faults_are_what_they_say(lab: Lab, kind: str) -> None:
    used = {pod["node"] for pod in pods(lab)}
    minion = next(minion.name for minion in lab.minions() if minion.name not in used)
    words = [".venv/bin/python", "-m", "lab", "fault"]
    before = lab.exec(minion, ["cat", "/proc/sys/kernel/random/boot_id", "/proc/1/stat"]).stdout
    process = client(lab, minion)
    done = command([*words, kind, minion])
    assert done.status == 0, done.text
    try:
        if kind == "kill-client":
            assert process not in lab.exec(minion, ["pgrep", "glusterfs"], check=False).stdout.split()
        if kind == "stop":
            assert lab.state(minion) == "stopped"
        if kind == "pause":
            assert lab.state(minion) == "paused"
            assert command(lab.ssh_argv(minion, ["true"])).status == 255
    finally:
        for back in {"stop": ["start"], "pause": ["resume"]}.get(kind, []):
            assert command([*words, back, minion]).status == 0
    eventually(lambda: minion in lab.nodes_ready(), seconds=90, what=f"{minion} is Ready again")
    if kind == "reboot":
        assert lab.exec(minion, ["cat", "/proc/sys/kernel/random/boot_id", "/proc/1/stat"]).stdout != before
    eventually(lambda: client(lab, minion), seconds=60, what=f"{minion} has the volume mounted")
    assert get(f"http://{lab.minions()[0].address}:30080/helloworld.html")
