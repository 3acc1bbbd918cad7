"""`python -m ops drift`: what is not as the state says is named, and nothing is changed unless that was asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from lab.context import CHECKOUT, Lab
from tests.lab.conftest import eventually
from tests.lab.farm import MOUNT, all_serve, client, pods
from tests.support.project import Done, Project, command

MINION = "minion-3"
SITE = f"{MOUNT}/php"
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

    def live_slot(self) -> str:
        return self.on(f"basename $(readlink {SITE}/html)")

    def on(self, script: str, minion: str = MINION) -> str:
        return self.lab.exec(minion, ["sh", "-ec", script]).stdout.strip()

    def clients(self) -> dict[str, str]:
        """The pids of the FUSE clients of each minion."""
        return {
            minion.name: self.lab.exec(minion.name, ["pgrep", "--exact", "glusterfs"], check=False).stdout
            for minion in self.lab.minions()
        }

    def unmount(self, minion: str = MINION) -> None:
        # The service too: a heal that is under way would mount it again.
        self.on(f"systemctl stop {TIMER} {TIMER.replace('timer', 'service')}", minion)
        self.on("umount -l /mnt/glusterfs", minion)

    def change_unit(self, minion: str = MINION) -> None:
        self.on(f"sed -i s/^TimeoutSec=.*/TimeoutSec=1/ {UNIT}", minion)

    def take_label(self, minion: str = MINION) -> None:
        self.lab.kubectl("label", "node", minion, f"{LABEL}-")


@pytest.fixture(scope="module")
def whole(made: Done) -> Iterator[Farm]:
    """A farm without drift, before the first test and after the last one."""
    farm = Farm(lab=Lab.current())
    assert farm.drift().status == 0, "the farm under test must be as its state says"
    yield farm
    eventually(
        lambda: farm.drift("--repair", "--yes").status == 0, seconds=120, what="the farm is as its state says again"
    )


@pytest.fixture
def farm(whole: Farm, request: pytest.FixtureRequest) -> Iterator[Farm]:
    """The same; what a failed test left is repaired before the next one."""
    failed = request.session.testsfailed
    yield whole
    if request.session.testsfailed > failed:
        eventually(
            lambda: whole.drift("--repair", "--yes").status == 0, seconds=120, what="it is as its state says again"
        )


def test_none(farm: Farm) -> None:
    done = farm.drift()

    assert (done.status, done.err) == (0, "")
    uncompared, summary = done.out.splitlines()
    assert summary == f"no drift: {len(farm.lab.minions())} minions and their nodes against the state of stack dev"
    assert uncompared.startswith("not compared: the servers' versions: no minion has the gluster command; install ")
    assert farm.findings("--deep") == []


def test_each_is_named_left_alone_and_mended(farm: Farm) -> None:
    """One fault on each minion: without its mount, with another unit, without its label."""
    changed, bare, unmounted, *_ = (minion.name for minion in farm.lab.minions())
    wanted = {(unmounted, "mount"), (unmounted, "healing timer"), (changed, "unit"), (bare, "label")}
    before = farm.clients()
    farm.unmount(unmounted)
    farm.change_unit(changed)
    farm.take_label(bare)
    clients, unit = farm.clients(), farm.on(f"cat {UNIT}", changed)
    findings = farm.findings()

    assert {(it["minion"], it["what"]) for it in findings} == wanted
    assert len(findings) == len(wanted)
    assert all(it["wanted"] and it["found"] and it["remedy"] for it in findings)
    told = farm.drift()
    assert told.status == 1
    lines = [line.partition(": ")[0] for line in told.out.splitlines()]
    assert sorted(line for line in lines if line in before) == sorted(minion for minion, _ in wanted)
    assert (farm.clients(), farm.on(f"cat {UNIT}", changed)) == (clients, unit), "drift only reports"
    assert {(it["minion"], it["what"]) for it in farm.findings()} == wanted

    mended = farm.drift("--repair", "--yes")
    assert mended.status == 0, mended.text
    for minion, _ in wanted:
        assert f"{minion}: " in mended.out
    assert farm.findings() == []
    after = farm.clients()
    assert {name: after[name] for name in (changed, bare)} == {name: before[name] for name in (changed, bare)}, (
        "the others' mounts are untouched"
    )
    assert farm.on("stat -f -c %T /mnt/glusterfs", unmounted) == "fuseblk"


def test_all_at_once_are_mended_by_one_command(farm: Farm) -> None:
    for spoil in (farm.unmount, farm.change_unit, farm.take_label):
        spoil()
    assert {it["what"] for it in farm.findings()} == {"mount", "unit", "healing timer", "label"}
    done = farm.drift("--repair", "--yes", "--json")

    said = json.loads(done.out)
    assert (done.status, said["findings"]) == (0, []), done.text
    assert [(it["minion"], it["what"], it["did"]) for it in said["repairs"]] == [
        (MINION, "mount", "mounted"),
        (MINION, "label", "written"),
    ]
    assert farm.findings() == []


@pytest.mark.timeout(420)
def test_a_file_edited_on_the_volume_is_seen_deep_and_published_again(farm: Farm, project: Project) -> None:
    serving, slot = {pod["name"] for pod in pods(farm.lab)}, farm.live_slot()
    farm.on(f"echo edited >>{SITE}/html/helloworld.html && touch {SITE}/html/assets/by-hand")
    assert farm.findings() == [], "that takes reading every file"

    def seen() -> list[dict[str, Any]]:
        found = farm.findings("--deep")
        return found if [it["minion"] for it in found] == [""] else []

    (finding,) = eventually(seen, seconds=60, what="every minion sees it")
    assert (finding["what"], finding["slot"]) == ("content", slot)
    assert finding["found"] == f"slot {slot} where assets/by-hand is in no manifest (and 1 more)"
    assert farm.live_slot() == slot, "looking changes nothing"

    mended = farm.drift("--deep", "--repair", "--yes")
    assert mended.status == 0, mended.text
    assert mended.out.startswith(f"site: content repaired: slot {slot} marked as not whole, published again\n")
    assert farm.live_slot() != slot, "nobody writes to what is live"
    eventually(lambda: all_serve(farm.lab), seconds=60, what="both pods serve what was published")
    assert {pod["name"] for pod in pods(farm.lab)} == serving, "nothing but the publish was run"
    assert project.preview() == {}


@pytest.fixture
def asking(farm: Farm) -> Iterator[Farm]:
    """A farm with the servers' own gluster command on a minion: the same package version as the client's there."""
    server = farm.lab.gluster_servers()[0].name
    program = farm.lab.exec(server, ["base64", "/usr/sbin/gluster"]).stdout
    farm.lab.exec(MINION, ["sh", "-ec", "base64 -d >/usr/sbin/gluster && chmod 755 /usr/sbin/gluster"], stdin=program)
    yield farm
    farm.on("rm /usr/sbin/gluster")


def test_the_versions_are_those_of_the_servers_where_a_minion_can_ask(asking: Farm) -> None:
    done = asking.drift()
    assert (done.status, done.err, "not compared" in done.out) == (0, "", False), done.text


def test_a_client_older_than_what_is_installed_is_named_and_left_alone(farm: Farm) -> None:
    running = client(farm.lab, MINION)  # and those of earlier mounts that a pod still holds
    # What any package manager does with a new version: beside the old file, then over its name.
    farm.on("cd /usr/sbin && cp -p glusterfsd glusterfsd.new && mv -T glusterfsd.new glusterfsd")
    try:
        (finding,) = farm.findings("--repair", "--yes")
    finally:
        left = client(farm.lab, MINION)
        farm.unmount()
        mended = farm.drift("--repair", "--yes")
    assert (finding["minion"], finding["what"]) == (MINION, "client")
    told = re.fullmatch("client ([0-9]+), started before its package was upgraded", finding["found"])
    assert told, finding["found"]
    assert told[1] == running.split()[-1], "the youngest serves the mount"
    assert "drain the node" in finding["remedy"]
    assert left == running, "pods rely on it"
    assert mended.status == 0, mended.text
