"""A minion that loses its power under visitors' eyes: what each part of the farm makes of it, until it is back.

Each test goes on where the one before ended. One outage of a minute serves them all.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from lab.context import Lab
from publisher.confirmation import unready_nodes
from tests.lab.conftest import deploy, eventually
from tests.lab.farm import all_serve, client, endpoints, fault, owners, pod_on, pods, report, visitors
from tests.lab.publishes import numbered
from tests.lab.trial import Trial, outcome
from tests.support.project import Done, Project, command, copy_of_project
from tests.support.visitor import Visitor

pytestmark = pytest.mark.timeout(420)

#: The minion's name in the inventory once it is renamed; its Node keeps its own.
RENAMED = "web-1"


@dataclass(frozen=True, kw_only=True)
class Minion:
    """The minion that is going to be off, which is the first; ``up`` renamed it."""

    project: Project
    name: str
    pod: dict[str, str]
    clients: dict[str, str]
    up: Done

    @property
    def lab(self) -> Lab:
        return self.project.lab

    @property
    def others(self) -> list[str]:
        return [minion.name for minion in self.lab.minions() if minion.name != self.name]

    def inventory(self) -> dict[str, Any]:
        return dict(yaml.safe_load((self.project.directory / "inventory.yaml").read_text()))

    def write(self, inventory: dict[str, Any]) -> None:
        self.project.write("inventory.yaml", yaml.safe_dump(inventory))

    def clients_of_others(self) -> dict[str, str]:
        return {name: client(self.lab, name) for name in self.others}


@pytest.fixture(scope="module")
def renamed(made: Done, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Minion]:
    """The last test deploys this checkout's farm again; if one fails, that is done here."""
    lab, failed = Lab.current(), request.session.testsfailed
    name = lab.minions()[0].name
    project = copy_of_project(lab, tmp_path_factory.mktemp("gone") / "project")
    path = project.own_inventory()
    clients = {minion.name: client(lab, minion.name) for minion in lab.minions()}
    inventory = yaml.safe_load(path.read_text())
    (entry,) = [entry for entry in inventory["minions"] if entry["name"] == name]
    entry |= {"name": RENAMED, "node": name}
    path.write_text(yaml.safe_dump(inventory))
    up = project.pulumi("up", "--yes")
    try:
        yield Minion(project=project, name=name, pod=pod_on(lab, name), clients=clients, up=up)
    finally:
        fault("start", name)
        if request.session.testsfailed > failed or owners(lab, name) != [f"dev/{name}"]:
            deploy()


def test_a_renamed_minion_keeps_its_mount(lab: Lab, renamed: Minion) -> None:
    assert renamed.up.status == 0, renamed.up.text
    assert owners(lab, renamed.name) == [f"dev/{RENAMED}"]
    assert {minion.name: client(lab, minion.name) for minion in lab.minions()} == renamed.clients
    path = r"jsonpath={.metadata.labels.glusterfarm/mounted\.dev}"
    assert lab.kubectl("get", "node", renamed.name, "-o", path).stdout == "true"


@dataclass(frozen=True, kw_only=True)
class Outage:
    """What was seen while the minion was off. ``known`` and ``whole`` are seconds after ``begun``."""

    state: str
    trial: Trial
    new: str
    missed: Done
    drift: Done
    excused: Done
    sees: set[str]
    seen: Visitor
    begun: float
    known: float
    whole: float


@pytest.fixture(scope="module")
def outage(renamed: Minion, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outage]:
    """It is off; those who visit, publish and look for drift find out by themselves."""
    lab = renamed.lab
    trial = Trial(lab=lab, name="trial-outage", directory=tmp_path_factory.mktemp("outage"))
    cluster = ("--kubeconfig", str(lab.paths.kubeconfig), "--namespace", "glusterfarm")
    argv = trial.argv("publish", "--source", str(trial.source), *cluster)
    new = trial.content(numbered(1))

    def replaced() -> bool:
        serving = [pod["node"] for pod in pods(lab) if pod["ready"] == "True"]
        return len(serving) == 2 and renamed.name not in serving

    with visitors(lab, renamed.others[0]) as seen, ThreadPoolExecutor() as background:
        begun = time.monotonic()
        fault("stop", renamed.name)
        state = lab.state(renamed.name)
        missing = background.submit(command, argv, env=lab.environment(), timeout=200)
        drifting = background.submit(renamed.project.ops, "drift", "--json")
        eventually(lambda: renamed.pod["ip"] not in endpoints(lab), seconds=90, what="the endpoints are updated")
        known = time.monotonic() - begun
        eventually(
            lambda: renamed.name in unready_nodes(lab.paths.kubeconfig, None, None), seconds=90, what="it is NotReady"
        )
        excused = command(argv, env=lab.environment(), timeout=200)
        eventually(replaced, seconds=90, what="another pod serves in its place")
        whole = time.monotonic() - begun
        time.sleep(5)
    yield Outage(
        state=state,
        trial=trial,
        new=new,
        missed=missing.result(),
        drift=drifting.result(),
        excused=excused,
        sees={trial.seen(minion) for minion in renamed.others},
        seen=seen,
        begun=begun,
        known=known,
        whole=whole,
    )
    fault("start", renamed.name)
    trial.remove()


def test_a_minion_that_is_gone_costs_no_request_once_that_is_known(
    outage: Outage, record_property: Callable[[str, object], None]
) -> None:
    """Until then requests may fail: nobody can know sooner that a machine is gone without a word."""
    report(
        record_property,
        known=round(outage.known, 1),
        whole=round(outage.whole, 1),
        faults=dict(Counter(visit.fault for visit in outage.seen.faults)),
        visits=len(outage.seen.visits),
    )
    assert outage.state == "stopped", "as `lab fault stop` says"
    assert not outage.seen.lies
    assert not [visit for visit in outage.seen.faults if visit.at > outage.begun + outage.known + 1]


def test_a_minion_that_is_off_is_missed_until_the_cluster_says_so_too(
    renamed: Minion, outage: Outage, record_property: Callable[[str, object], None]
) -> None:
    """The first one, who would publish: the next does it then, and the others confirm."""
    assert outage.missed.status == 1, outage.missed.text
    assert f"minion {renamed.name}: " in outage.missed.err
    assert "state: down" in outage.missed.err, "the remedy for planned work"
    assert f"its node {renamed.name} is NotReady" in outage.excused.err
    told = outcome(outage.excused)
    assert told["publisher"] == renamed.others[0]
    assert told["verifiedBy"] == renamed.others[1:]
    assert outage.sees == {outage.new}
    report(record_property, missed=round(outage.missed.seconds, 1), excused=round(outage.excused.seconds, 1))


def test_drift_names_a_minion_that_cannot_be_reached_which_delays_no_other(outage: Outage) -> None:
    done = outage.drift
    told = json.loads(done.out)
    assert done.status == 1
    assert [(finding["minion"], finding["what"]) for finding in told["findings"]] == [(RENAMED, "connection")]
    assert "cannot be reached: " in told["findings"][0]["found"]
    assert done.seconds < 60, "it waits for one connection's time-out of 15 s, and not once for each question"


def test_one_that_is_gone_for_good_is_dropped(lab: Lab, renamed: Minion, outage: Outage) -> None:
    del outage  # only to be under way
    project, inventory = renamed.project, renamed.inventory()
    inventory["minions"] = [entry for entry in inventory["minions"] if entry["name"] != RENAMED]
    renamed.write(inventory)
    lab.kubectl("delete", "node", renamed.name)
    gone = project.pulumi("up", "--yes")
    assert gone.status != 0
    assert f"mount-{RENAMED}" in gone.text
    its = "urn:pulumi:dev::glusterfarm::glusterfarm:index:GlusterMount$command:"
    urns = [f"{its}{kind}:Command::mount-{RENAMED}{role}" for kind, role in (("local", "-drain"), ("remote", ""))]
    left = json.loads(project.pulumi("stack", "export").out)["deployment"]["resources"]
    known = [one["urn"] for one in left if RENAMED in one["urn"] and not one["urn"].endswith("-reach")]
    assert sorted(known) == sorted(urns), "everything else of it is done"
    for urn in urns:
        dropped = project.pulumi("state", "delete", "--yes", urn)
        assert dropped.status == 0, dropped.text
    again = project.pulumi("up", "--yes")
    assert again.status == 0, again.text
    assert RENAMED not in project.pulumi("stack", "--show-urns").out, "nothing of it is left in the state"
    assert "NotFound" in lab.kubectl("get", "node", renamed.name, check=False).stderr, "no empty Node is made"
    assert renamed.clients_of_others() == {name: renamed.clients[name] for name in renamed.others}


def test_one_that_comes_back_sees_what_went_live_meanwhile(lab: Lab, renamed: Minion, outage: Outage) -> None:
    fault("start", renamed.name)
    deploy()
    eventually(lambda: all_serve(lab), seconds=120, what="both pods serve")
    assert outage.trial.seen(renamed.name) == outage.new
    where = "/etc/glusterfarm/mounts/*/owners/*"
    assert owners(lab, renamed.name) == [f"dev/{renamed.name}", f"dev/{RENAMED}"], "nobody could ask it to forget that"
    lab.exec(renamed.name, ["sh", "-c", f"rm $(grep -l '^dev/{RENAMED} ' {where})"])
    assert owners(lab, renamed.name) == [f"dev/{renamed.name}"]
    drift = command([".venv/bin/python", "-m", "ops", "drift"], env=lab.environment())
    assert drift.status == 0, drift.text
