"""Minions that reboot: while they publish, while they serve, and as docs/operations.md says to do it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from lab.context import CHECKOUT, Lab
from tests.lab.conftest import eventually
from tests.lab.farm import all_serve, fault, mounted, pod_on, pods, report, serves, visitors
from tests.lab.publishes import large
from tests.lab.trial import Trial, outcome, said
from tests.support.project import Done

Record = Callable[[str, object], None]

pytestmark = [pytest.mark.usefixtures("serving"), pytest.mark.timeout(400)]


def boot(lab: Lab, minion: str) -> str:
    return lab.exec(minion, ["cat", "/proc/sys/kernel/random/boot_id", "/proc/1/stat"]).stdout


@dataclass(frozen=True, kw_only=True)
class Rebooted:
    """A minion with a pod was rebooted while it published; ``noticed`` and ``served`` in seconds."""

    minion: str
    publisher: object
    before: str
    trial: Trial
    status: int
    told: str
    noticed: float
    served: float
    seen: set[str]
    live: str
    new: str


@pytest.fixture(scope="module")
def rebooted(made: Done, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rebooted]:
    lab = Lab.current()
    minion, *others = [minion.name for minion in lab.minions()]
    pod_on(lab, minion)
    trial = Trial(lab=lab, name="trial-reboot", directory=tmp_path_factory.mktemp("reboot"))
    live = trial.content(large("before"))
    publisher = outcome(trial.publish())["publisher"]
    new = trial.content(large("after") | {"huge": os.urandom(1 << 28)})
    before = boot(lab, minion)
    running = trial.started()
    said(running, lambda line: "writing" in line)
    begun = time.monotonic()
    rebooting = subprocess.Popen([".venv/bin/python", "-m", "lab", "fault", "reboot", minion], cwd=CHECKOUT)
    _, told = running.communicate(timeout=200)
    noticed = time.monotonic() - begun
    seen = {trial.seen(other) for other in others}
    assert rebooting.wait(200) == 0
    back = time.monotonic()
    eventually(lambda: serves(lab, minion), seconds=60, what=f"the pod on {minion} serves again")
    yield Rebooted(
        minion=minion,
        publisher=publisher,
        before=before,
        trial=trial,
        status=running.returncode,
        told=told,
        noticed=noticed,
        served=time.monotonic() - back,
        seen=seen,
        live=live,
        new=new,
    )
    trial.remove()


def test_a_rebooted_minion_mounts_before_its_kubelet_starts_a_pod(
    lab: Lab, rebooted: Rebooted, record_property: Record
) -> None:
    minion = rebooted.minion

    def started(unit: str, what: str) -> int:
        shown = lab.exec(minion, ["systemctl", "show", "--value", "-p", what, unit]).stdout.strip()
        return int(shown)

    mount = started("mnt-glusterfs.mount", "ActiveEnterTimestampMonotonic")
    kubelet = started("kubelet.service", "ExecMainStartTimestampMonotonic")
    assert 0 < mount < kubelet, "in microseconds since the boot"
    assert boot(lab, minion) != rebooted.before, "as `lab fault reboot` says"
    assert mounted(lab, minion)
    report(record_property, mounted_before_kubelet=(kubelet - mount) / 1e6, served=round(rebooted.served, 1))


def test_a_publisher_that_reboots_in_the_middle_is_taken_over_from(rebooted: Rebooted, record_property: Record) -> None:
    trial = rebooted.trial
    report(record_property, noticed=round(rebooted.noticed, 1))
    assert rebooted.publisher == rebooted.minion
    assert rebooted.status == 1, rebooted.told
    assert f"minion {rebooted.minion}: " in rebooted.told
    assert "Traceback" not in rebooted.told
    assert rebooted.seen == {rebooted.live}
    done = trial.publish()
    assert json.loads(done.out)["action"] == "written", done.text
    assert trial.seen_by_all() == {rebooted.new}


def test_a_minion_that_is_drained_and_rebooted_costs_no_request(lab: Lab, record_property: Record) -> None:
    """As docs/operations.md says to do it."""
    door = lab.minions()[0].name
    victim = next(pod["node"] for pod in pods(lab) if pod["node"] != door)
    with visitors(lab, door) as seen:
        begun = time.monotonic()
        try:
            lab.kubectl("drain", victim, "--ignore-daemonsets", "--delete-emptydir-data", timeout=90)
            drained = time.monotonic()
            fault("reboot", victim)
        finally:
            lab.kubectl("uncordon", victim)
        eventually(lambda: all_serve(lab), seconds=60, what="every pod serves")
    faults = dict(Counter(visit.fault for visit in seen.faults))
    report(record_property, drained=round(drained - begun, 1), faults=faults, visits=len(seen.visits))
    assert not seen.faults
