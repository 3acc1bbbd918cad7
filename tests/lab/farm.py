"""The farm in the lab as tests look at it: its pods, its mounts, its visitors; and what they do to it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lab.context import CHECKOUT, Lab
from tests.lab.conftest import eventually, get
from tests.support.project import Project, command
from tests.support.visitor import Visitor

MOUNT = "/mnt/glusterfs"
PAGE = (CHECKOUT / "content" / "helloworld.html").read_text()


def pods(lab: Lab, namespace: str = "glusterfarm") -> list[dict[str, str]]:
    """``{"name", "node", "ip", "ready"}`` of each pod of a farm that nobody is deleting."""
    items = json.loads(lab.kubectl("get", "pods", "-n", namespace, "-o", "json").stdout)["items"]
    return [
        {
            "name": item["metadata"]["name"],
            "node": item["spec"].get("nodeName", ""),
            "ip": item["status"].get("podIP", ""),
            "ready": str(all(one["ready"] for one in item["status"].get("containerStatuses", [{"ready": False}]))),
            "restarts": str(sum(one["restartCount"] for one in item["status"].get("containerStatuses", []))),
        }
        for item in items
        if "deletionTimestamp" not in item["metadata"]
    ]


def endpoints(lab: Lab) -> set[str]:
    """The addresses of the pods that the Service sends visitors to."""
    slices = json.loads(lab.kubectl("get", "endpointslices", "-n", "glusterfarm", "-o", "json").stdout)["items"]
    every = [endpoint for one in slices for endpoint in one.get("endpoints") or []]
    return {address for one in every if one["conditions"].get("ready") for address in one["addresses"]}


def a_fresh_pod(lab: Lab) -> dict[str, str]:
    """A pod to do something to: one that was never restarted, for the kubelet makes one wait that was."""
    victim = min(pods(lab), key=lambda pod: pod["node"])
    if victim["restarts"] != "0":
        lab.kubectl("delete", "pod", "-n", "glusterfarm", victim["name"])
        eventually(lambda: all_serve(lab), seconds=60, what="a pod in its place serves")
        return a_fresh_pod(lab)
    return victim


_WEB_SERVER = r"""
for process in $(pgrep apache2); do
    if tr '\0' '\n' <"/proc/$process/environ" | grep -qx "HOSTNAME=$1"; then echo "$process"; exit; fi
done
exit 1
"""


def web_server(lab: Lab, pod: dict[str, str]) -> str:
    """The first process of that pod's web server: there may be other farms' pods beside it."""
    return lab.exec(pod["node"], ["sh", "-c", _WEB_SERVER, "sh", pod["name"]]).stdout.strip()


def client(lab: Lab, minion: str, path: str = MOUNT) -> str:
    """The process that serves the mount on ``minion``; '' when there is none."""
    return lab.exec(minion, ["pgrep", "-f", f"^/usr/sbin/glusterfs .*{path}$"], check=False).stdout.strip()


def mounted(lab: Lab, minion: str, path: str = MOUNT) -> bool:
    """Whether a Gluster volume is mounted at ``path`` on ``minion``."""
    return bool(source(lab, minion, path))


def source(lab: Lab, minion: str, path: str = MOUNT) -> str:
    """``SERVER:VOLUME`` of the Gluster mount at ``path`` on ``minion``; '' when there is none."""
    for line in reversed(lab.exec(minion, ["cat", "/proc/self/mountinfo"]).stdout.splitlines()):
        if line.split()[4] == path:
            fstype, name = line.split(" - ")[1].split()[:2]
            return name.replace(":/", ":") if fstype == "fuse.glusterfs" else ""
    return ""


def serves(lab: Lab, minion: str) -> bool:
    """Whether a ready pod on ``minion``, asked by its own address, gives the page."""
    here = [pod for pod in pods(lab) if pod["node"] == minion]
    return bool(here) and all(
        pod["ready"] == "True" and get(f"http://{pod['ip']}/helloworld.html", timeout=2) == PAGE for pod in here
    )


def every_pod_serves(lab: Lab) -> bool:
    """Whether there are pods and each, asked by its own address, gives the page."""
    there = pods(lab)
    return bool(there) and all(serves(lab, pod["node"]) for pod in there)


def all_serve(lab: Lab) -> bool:
    """The same, for the two pods of this checkout's farm."""
    return len(pods(lab)) == 2 and every_pod_serves(lab)


def pod_on(lab: Lab, minion: str) -> dict[str, str]:
    """A serving pod on ``minion``, which is given one where it has none."""
    if minion not in {pod["node"] for pod in pods(lab)}:
        others = [other.name for other in lab.minions() if other.name != minion]
        for other in others:
            lab.kubectl("cordon", other)
        try:
            lab.kubectl("delete", "pod", "-n", "glusterfarm", "--wait=false", pods(lab)[0]["name"])
            eventually(lambda: minion in {pod["node"] for pod in pods(lab)}, seconds=30, what=f"a pod on {minion}")
        finally:
            for other in others:
                lab.kubectl("uncordon", other)
    eventually(lambda: all_serve(lab), seconds=60, what="both pods serve")
    return next(pod for pod in pods(lab) if pod["node"] == minion)


def live(lab: Lab) -> str:
    """The release that the first minion sees; '' for none."""
    return lab.exec(lab.minions()[0].name, ["cat", f"{MOUNT}/php/html/glusterfarm-release"], check=False).stdout.strip()


def visitor(lab: Lab, *, timeout: float = 5, port: int = 30080, per_second: float = 25) -> Visitor:
    """Comes in through the second minion, whose network the tests here leave alone."""
    url = f"http://{lab.minions()[1].address}:{port}/helloworld.html"
    return Visitor(url, PAGE, timeout=timeout, per_second=per_second)


@contextmanager
def visitors(lab: Lab, through: str) -> Iterator[Visitor]:
    """Fifty requests a second in all, each a connection of its own, through that minion's node port."""
    url = f"http://{lab.machine(through).address}:30080/helloworld.html"
    with Visitor(url, PAGE, per_second=6.25, side_by_side=8) as seen:
        time.sleep(1)
        yield seen
        time.sleep(2)


def owners(lab: Lab, minion: str, path: str = MOUNT) -> list[str]:
    """``STACK/NAME`` of each that has the mount at ``path`` on ``minion``."""
    key = path.lstrip("/").replace("-", "_-").replace("/", "-")
    where = f"/etc/glusterfarm/mounts/{key}/owners"
    said = lab.exec(minion, ["sh", "-c", 'cat "$1"/* 2>/dev/null', "sh", where], check=False).stdout
    return sorted(line.split()[0] for line in said.splitlines())


@contextmanager
def some_nodes(lab: Lab, *names: str) -> Iterator[None]:
    """Nodes that the cluster has and that no kubelet reports, so nothing is scheduled there."""
    items = [{"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}} for name in names]
    lab.kubectl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    try:
        yield
    finally:
        lab.kubectl("delete", "node", *names)


def fault(kind: str, name: str) -> None:
    done = command([".venv/bin/python", "-m", "lab", "fault", kind, name])
    assert done.status == 0, done.text


def publisher_in(project: Project) -> int:
    """The process that publishes for ``project``; 0 when there is none."""
    for pid in command(["pgrep", "--full", "--", "-m publisher publish"]).out.split():
        with suppress(OSError):  # it has just ended
            if Path(f"/proc/{pid}/cwd").resolve(strict=True) == project.directory:
                return int(pid)
    return 0


def started(project: Project) -> subprocess.Popen[bytes]:
    """An `up` in a process group of its own, so that all of it can be ended as a machine that loses power ends it."""
    with (project.directory / "started.log").open("wb") as output:
        return subprocess.Popen(
            ["pulumi", "up", "--yes", "--non-interactive", "--color", "never"],
            cwd=project.directory,
            env={**os.environ, **project.lab.environment()},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def appeared(project: Project, up: subprocess.Popen[bytes]) -> int:
    """The publisher that ``up`` starts, as soon as it does; 0 when it ends without one."""
    while up.poll() is None:
        if publisher := publisher_in(project):
            return publisher
        time.sleep(0.05)
    return 0


def report(record: Callable[[str, object], None], **measured: object) -> None:
    for name, value in measured.items():
        record(name, value)
        print(f"{name}: {value}")
