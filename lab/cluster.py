"""The Kubernetes cluster while it comes up: API server, images, nodes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from lab.context import Lab, write_yaml
from lab.errors import LabError
from lab.kubernetes_files import IMAGES, kubeconfig
from lab.pki import Pair
from lab.processes import wait_until
from lab.topology import Machine

TIMEOUT_SECONDS = 120.0


def write_kubeconfig(lab: Lab) -> None:
    """Write the administrator's kubeconfig."""
    authority = Pair.load(lab.paths.pki, "ca").certificate
    value = kubeconfig(lab.topology, authority, Pair.load(lab.paths.pki, "admin"))
    write_yaml(lab.paths.kubeconfig, value, mode=0o600)


def wait_apiserver(lab: Lab) -> None:
    """Wait until the API server is ready. Raises LabError with its log's tail."""
    if not wait_until(lambda: _api_ready(lab), timeout=TIMEOUT_SECONDS, interval=0.3):
        raise LabError(
            f"the API server is not ready after {TIMEOUT_SECONDS:g} s\n{_log(lab, lab.control(), 'kube-apiserver')}",
            f"python -m lab ssh {lab.control().name} sudo journalctl -u kube-apiserver -u etcd",
        )


def import_images(lab: Lab, minion: Machine) -> None:
    """Put the pause and PHP images into a minion's containerd, once it answers."""
    ready = wait_until(
        lambda: lab.exec(minion.name, ["ctr", "version"], check=False).returncode == 0,
        timeout=60,
        interval=0.3,
    )
    if not ready:
        raise LabError(f"{minion.name}: containerd does not answer\n{_log(lab, minion, 'containerd')}")
    for archive in IMAGES:
        lab.exec(minion.name, ["ctr", "--namespace", "k8s.io", "images", "import", archive], timeout=300)


def wait_nodes(lab: Lab, minions: Sequence[Machine], *, since: datetime | None = None) -> None:
    """Wait until these minions are Ready nodes, with a sign of life after `since`: a node that has just gone
    is called Ready for 50 s more. Raises LabError that names those that are not, with the first one's
    kubelet log."""
    wanted = {minion.name for minion in minions}
    if not wait_until(lambda: not wanted - _ready(lab, since), timeout=TIMEOUT_SECONDS, interval=0.4):
        missing = sorted(wanted - _ready(lab, since)) or sorted(wanted)
        raise LabError(
            f"not Ready after {TIMEOUT_SECONDS:g} s: {', '.join(missing)}\n"
            f"{_log(lab, lab.machine(missing[0]), 'kubelet')}",
            f"python -m lab ssh {missing[0]} sudo journalctl -u kubelet -u containerd",
        )


def _ready(lab: Lab, since: datetime | None) -> set[str]:
    ready = lab.nodes_ready()
    return ready & _renewed(lab, since) if since and ready else ready


def _renewed(lab: Lab, since: datetime) -> set[str]:
    """The nodes whose kubelet has renewed its lease after that moment."""
    answer = lab.kubectl("get", "leases", "--namespace=kube-node-lease", "-o", "json", check=False)
    if answer.returncode != 0:
        return set()
    return {
        lease["metadata"]["name"]
        for lease in json.loads(answer.stdout)["items"]
        if datetime.fromisoformat(lease["spec"]["renewTime"]) > since
    }


def _api_ready(lab: Lab) -> bool:
    answer = lab.kubectl("get", "--raw=/readyz", "--request-timeout=5s", check=False)
    return answer.returncode == 0


def _log(lab: Lab, machine: Machine, unit: str) -> str:
    argv = ["journalctl", "--no-pager", "--lines=15", "--output=cat", f"--unit={unit}"]
    return lab.exec(machine.name, argv, check=False).stdout
