"""One fault after another under a visitor's eyes: each is healed in its time, and nothing wrong is ever served."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from lab.context import Lab
from tests.lab.conftest import eventually
from tests.lab.farm import MOUNT, all_serve, client, fault, mounted, pods, report, serves, visitor
from tests.support.project import command

AWAY_SECONDS = int(os.environ.get("GLUSTERFARM_SOAK_AWAY_SECONDS", "600"))

pytestmark = pytest.mark.timeout(0)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that happens to a machine; ``seconds`` after its end the farm is whole again."""

    name: str
    strike: Callable[[Lab, random.Random], str]
    seconds: float


def a_minion(lab: Lab, chance: random.Random) -> str:
    """Any but the second, through which the visitor comes in."""
    second = lab.minions()[1].name
    return chance.choice([minion.name for minion in lab.minions() if minion.name != second])


def kill_client(lab: Lab, chance: random.Random) -> str:
    minion = a_minion(lab, chance)
    fault("kill-client", minion)
    return minion


def unmount(lab: Lab, chance: random.Random) -> str:
    minion = a_minion(lab, chance)
    lab.exec(minion, ["umount", "--lazy", MOUNT])
    return minion


def cut_minion(lab: Lab, chance: random.Random) -> str:
    return cut(a_minion(lab, chance), chance.uniform(2, 30))


def cut_server(lab: Lab, chance: random.Random) -> str:
    return cut(chance.choice(lab.gluster_servers()).name, chance.uniform(2, 30))


def cut(machine: str, seconds: float) -> str:
    fault("pause", machine)
    time.sleep(seconds)
    fault("resume", machine)
    return f"{machine} for {seconds:.0f} s"


def reboot(lab: Lab, chance: random.Random) -> str:
    machine = a_minion(lab, chance)
    fault("reboot", machine)
    return machine


def switch_server_off(lab: Lab, chance: random.Random) -> str:
    server = chance.choice(lab.gluster_servers()).name
    fault("stop", server)
    time.sleep(chance.uniform(1, 20))
    fault("start", server)
    return server


FAULTS = (
    Fault(name="its client is killed", strike=kill_client, seconds=30),
    Fault(name="it is unmounted by hand", strike=unmount, seconds=30),
    Fault(name="it is cut off", strike=cut_minion, seconds=90),  # its node's leases and endpoints come first
    Fault(name="a brick's server is cut off", strike=cut_server, seconds=30),
    Fault(name="a brick's server is switched off", strike=switch_server_off, seconds=30),
    Fault(name="it is rebooted", strike=reboot, seconds=90),
)


def whole(lab: Lab) -> bool:
    """Every minion has the volume mounted, every pod is ready and serves the page."""
    return all(mounted(lab, minion.name) and client(lab, minion.name) for minion in lab.minions()) and all_serve(lab)


def test_faults_in_any_order_are_healed(
    lab: Lab, chance: random.Random, rounds: Iterator[int], record_property: Callable[[str, object], None]
) -> None:
    eventually(lambda: whole(lab), seconds=90, what="the farm is whole")
    took: dict[str, list[float]] = {one.name: [] for one in FAULTS}
    for _ in rounds:
        one = chance.choice(FAULTS)
        with visitor(lab) as seen:
            what = one.strike(lab, chance)
            begun = time.monotonic()
            eventually(lambda: whole(lab), seconds=one.seconds, what=f"healed after {one.name} ({what})")
            took[one.name].append(time.monotonic() - begun)
        faults = dict(Counter(visit.fault for visit in seen.faults))
        print(f"{one.name} ({what}): whole after {took[one.name][-1]:.1f} s; {len(seen.visits)} visits, {faults}")
        assert not seen.lies, "an empty or wrong page was given for a right one"
    report(record_property, healed={name: [round(each, 1) for each in times] for name, times in took.items() if times})
    drift = command([".venv/bin/python", "-m", "ops", "drift"], env=lab.environment())
    assert drift.status == 0, drift.text


@contextmanager
def without_volume(lab: Lab) -> Iterator[None]:
    servers = [server.name for server in lab.gluster_servers()]
    for server in servers:
        fault("pause", server)
    try:
        yield
    finally:
        for server in servers:
            fault("resume", server)


def test_a_volume_that_is_long_away_costs_no_client_and_no_container(
    lab: Lab, record_property: Callable[[str, object], None]
) -> None:
    eventually(lambda: whole(lab), seconds=90, what="the farm is whole")
    clients = {minion.name: client(lab, minion.name) for minion in lab.minions()}
    containers = {pod["name"]: pod["restarts"] for pod in pods(lab)}
    with visitor(lab, timeout=2) as seen:
        with without_volume(lab):
            time.sleep(AWAY_SECONDS)
            assert not any(serves_quickly(lab, pod["node"]) for pod in pods(lab))
            assert {pod["ready"] for pod in pods(lab)} == {"False"}
        back = time.monotonic()
        eventually(lambda: all_serve(lab), seconds=15, what="every pod serves again")
        report(record_property, served=round(time.monotonic() - back, 1))
    assert not seen.lies
    assert {minion.name: client(lab, minion.name) for minion in lab.minions()} == clients
    assert {pod["name"]: pod["restarts"] for pod in pods(lab)} == containers


def serves_quickly(lab: Lab, minion: str) -> bool:
    try:
        return serves(lab, minion)
    except OSError:
        return False
