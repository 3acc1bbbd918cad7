"""A minion without its mount takes no write and no pod; and one more minion disturbs no other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab.context import Lab
from tests.lab.conftest import eventually
from tests.lab.farm import client, pods
from tests.support.project import Project, command

#: What mounts again what is gone: it must not do so while a test looks at a bare mountpoint.
HEALER = "glusterfarm-heal-mnt-glusterfs"


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
