"""`python -m ops drift`: what is not as the state says is named, and nothing is changed unless that was asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from lab import faults
from lab.context import CHECKOUT, Lab
from tests.lab.conftest import eventually
from tests.support.project import Done, command

MINION = "minion-3"
TIMER = "glusterfarm-heal-mnt-glusterfs.timer"
UNIT = "/etc/systemd/system/mnt-glusterfs.mount"
LABEL = "glusterfarm/mounted.dev"


@dataclass(frozen=True, kw_only=True)
class Farm:
    """The farm under test, of which one minion is broken, and the command that is to see it."""

    lab: Lab

    def drift(self, *words: str) -> Done:
        return command(
            [str(CHECKOUT / ".venv/bin/python"), "-m", "ops", "drift", *words], env=self.lab.environment(), timeout=200
        )

    def findings(self, *words: str) -> list[dict[str, Any]]:
        """What --json gives, which the exit status must agree with."""
        done = self.drift("--json", *words)
        assert done.out.count("\n") == 1, done.text
        findings = json.loads(done.out)["findings"]
        assert done.status == (1 if findings else 0), done.text
        return list(findings)

    def on(self, script: str) -> str:
        return self.lab.exec(MINION, ["sh", "-ec", script]).stdout.strip()

    def clients(self) -> dict[str, str]:
        """The pids of the FUSE clients of each minion."""
        return {
            minion.name: self.lab.exec(minion.name, ["pgrep", "--exact", "glusterfs"], check=False).stdout
            for minion in self.lab.minions()
        }

    def stop_healing(self) -> None:
        # The service too: a heal that is under way would mount it again.
        self.on(f"systemctl stop {TIMER} {TIMER.replace('timer', 'service')}")

    def unmount(self) -> None:
        self.stop_healing()
        self.on("umount -l /mnt/glusterfs")

    def change_unit(self) -> None:
        self.on(f"sed -i s/^TimeoutSec=.*/TimeoutSec=1/ {UNIT}")

    def take_label(self) -> None:
        self.lab.kubectl("label", "node", MINION, f"{LABEL}-")


@pytest.fixture
def farm(lab: Lab) -> Iterator[Farm]:
    """A farm without drift, before and after."""
    farm = Farm(lab=lab)
    assert farm.drift().status == 0, "the farm under test must be as its state says"
    yield farm
    eventually(lambda: farm.drift("--repair").status == 0, seconds=120, what="the farm is as its state says again")


def test_none(farm: Farm) -> None:
    done = farm.drift()

    assert (done.status, done.err) == (0, "")
    count = len(farm.lab.minions())
    assert done.out == f"no drift: {count} minions and their nodes against the state of stack dev\n"


@pytest.mark.parametrize(
    ("spoil", "whats"),
    [
        (Farm.unmount, {"mount", "healing timer"}),
        (Farm.change_unit, {"unit"}),
        (Farm.take_label, {"label"}),
    ],
    ids=["unmounted", "unit-changed", "label-removed"],
)
def test_each_is_named_left_alone_and_mended(farm: Farm, spoil: Callable[[Farm], None], whats: set[str]) -> None:
    others = {name: pids for name, pids in farm.clients().items() if name != MINION}
    spoil(farm)
    clients, unit = farm.clients(), farm.on(f"cat {UNIT}")
    findings = farm.findings()

    assert {(it["minion"], it["what"]) for it in findings} == {(MINION, what) for what in whats}
    assert all(it["wanted"] and it["found"] and it["remedy"] for it in findings)
    told = farm.drift()
    assert told.status == 1
    assert sum(line.startswith(f"{MINION}: ") for line in told.out.splitlines()) == len(findings)
    assert (farm.clients(), farm.on(f"cat {UNIT}")) == (clients, unit), "looking changes nothing"
    assert {it["what"] for it in farm.findings()} == whats

    mended = farm.drift("--repair")
    assert mended.status == 0, mended.text
    assert f"{MINION}: " in mended.out
    assert farm.findings() == []
    assert {name: pids for name, pids in farm.clients().items() if name != MINION} == others, "the others are untouched"
    assert farm.on("stat -f -c %T /mnt/glusterfs") == "fuseblk"


def test_all_at_once_are_mended_by_one_command(farm: Farm) -> None:
    for spoil in (farm.unmount, farm.change_unit, farm.take_label):
        spoil()
    assert {it["what"] for it in farm.findings()} == {"mount", "unit", "healing timer", "label"}
    done = farm.drift("--repair", "--json")

    said = json.loads(done.out)
    assert (done.status, said["findings"]) == (0, []), done.text
    assert [(it["minion"], it["what"], it["did"]) for it in said["repairs"]] == [
        (MINION, "mount", "mounted"),
        (MINION, "label", "written"),
    ]
    assert farm.findings() == []


def test_a_minion_that_cannot_be_reached_delays_no_other(farm: Farm) -> None:
    faults.pause(farm.lab, farm.lab.machine(MINION))
    try:
        done = farm.drift("--json")
    finally:
        faults.resume(farm.lab, farm.lab.machine(MINION))

    said = json.loads(done.out)
    assert done.status == 1
    assert [(it["minion"], it["what"]) for it in said["findings"]] == [(MINION, "connection")]
    assert "cannot be reached: " in said["findings"][0]["found"]
    assert done.seconds < 30, "its own time-out, and nobody else's"
    eventually(lambda: farm.findings() == [], seconds=60, what="it is reached again")
