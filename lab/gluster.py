"""The volume: Gluster servers made peers, a replicated volume over their bricks, started and online."""

from __future__ import annotations

import time
from itertools import chain
from xml.etree import ElementTree

from lab.context import Lab
from lab.errors import LabError
from lab.processes import wait_until

BRICKS = "/bricks"
TIMEOUT_SECONDS = 90.0
# What glusterd says while it, or a peer it has just met, is not ready yet.
_TRY_AGAIN = (
    "Another transaction is in progress",
    "Locking failed",
    "not in 'Peer in Cluster' state",
    "Connection failed",
)


def create_volume(lab: Lab) -> None:
    """Make the servers peers and create, set up and start the volume on them. Raises LabError."""
    first, *others = lab.gluster_servers()
    volume = lab.topology.volume
    for server in others:
        _gluster(lab, first.name, "peer", "probe", server.name)
    # As each of them sees it: a server that knows the first may not have met the third yet, and refuses the volume.
    servers = [server.name for server in lab.gluster_servers()]
    if not wait_until(
        lambda: all(_connected_peers(lab, server) == len(others) for server in servers),
        timeout=TIMEOUT_SECONDS,
        interval=0.2,
    ):
        raise LabError(
            "the Gluster servers do not become peers",
            f"python -m lab ssh {first.name} sudo gluster peer status",
        )
    kind = ["replica", "3", "arbiter", "1"] if volume.arbiter else ["replica", "3"]
    bricks = [f"{server.name}:{BRICKS}/{volume.name}" for server in (first, *others)]
    _gluster(lab, first.name, "volume", "create", volume.name, *kind, *bricks, "force")
    _gluster(lab, first.name, "volume", "set", volume.name, *chain.from_iterable(volume.options.items()))
    _gluster(lab, first.name, "volume", "start", volume.name)


def wait_online(lab: Lab) -> None:
    """Wait until every brick is online. Raises LabError that names those that are not."""
    names = {server.name for server in lab.gluster_servers()}
    if not wait_until(lambda: online(lab) == names, timeout=TIMEOUT_SECONDS, interval=0.3):
        missing = ", ".join(sorted(names - online(lab)))
        raise LabError(
            f"volume {lab.topology.volume.name}: no brick online on {missing}",
            f"python -m lab ssh {sorted(names)[0]} sudo gluster volume status; logs are in /var/log/glusterfs there",
        )


def online(lab: Lab) -> set[str]:
    """Names of the servers whose brick is online, according to the first server that answers."""
    for server in lab.gluster_servers():
        if lab.state(server.name) != "running":
            continue
        argv = ["gluster", "--xml", "volume", "status", lab.topology.volume.name]
        answer = lab.exec(server.name, argv, check=False, timeout=30)
        if answer.returncode == 0:
            return bricks_online(answer.stdout)
    return set()


def bricks_online(status: str) -> set[str]:
    """The servers with a brick online, from `gluster --xml volume status`. Its own daemons are listed as
    nodes too: bricks are those whose path is one."""
    servers = set()
    for node in ElementTree.fromstring(status).iter("node"):  # noqa: S314 (it comes from our own machine)
        if node.findtext("status") == "1" and (node.findtext("path") or "").startswith("/"):
            servers.add(node.findtext("hostname") or "")
    return servers


def _connected_peers(lab: Lab, name: str) -> int:
    answer = lab.exec(name, ["gluster", "--xml", "peer", "status"], check=False)
    if answer.returncode != 0:
        return 0
    peers = ElementTree.fromstring(answer.stdout).iter("peer")  # noqa: S314 (it comes from our own machine)
    return sum(peer.findtext("connected") == "1" and peer.findtext("state") == "3" for peer in peers)


def _gluster(lab: Lab, name: str, *words: str) -> None:
    """Run a gluster command, again while glusterd is busy or starting."""
    end = time.monotonic() + TIMEOUT_SECONDS
    while True:
        answer = lab.exec(name, ["gluster", "--mode=script", *words], check=False, timeout=TIMEOUT_SECONDS)
        if answer.returncode == 0:
            return
        said = (answer.stderr + answer.stdout).strip()
        if time.monotonic() > end or not any(reason in said for reason in _TRY_AGAIN):
            raise LabError(f"{name}: gluster {' '.join(words[:3])}: {said}", "see /var/log/glusterfs on that machine")
        time.sleep(0.3)
