"""A mount that is replaced, moved to another path or given another volume: under a visitor who notices nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from lab.context import Lab
from tests.lab.conftest import eventually, make
from tests.lab.farm import MOUNT, client, mounted, pods, report, source, visitor
from tests.support.project import Project
from tests.support.visitor import Visitor

ELSEWHERE = "/mnt/elsewhere"
OTHER = "OtherVolume"


pytestmark = pytest.mark.usefixtures("serving")


@pytest.fixture
def other_volume(lab: Lab) -> Iterator[str]:
    """Another volume of the same servers, for as long as the test takes."""
    bricks = [f"{server.name}:/bricks/{OTHER}" for server in lab.gluster_servers()]
    lab.exec(
        "gluster-1",
        ["gluster", "--mode=script", "volume", "create", OTHER, "replica", "3", "arbiter", "1", *bricks, "force"],
    )
    lab.exec("gluster-1", ["gluster", "--mode=script", "volume", "start", OTHER])
    yield OTHER
    lab.exec("gluster-1", ["gluster", "--mode=script", "volume", "stop", OTHER, "force"])
    lab.exec("gluster-1", ["gluster", "--mode=script", "volume", "delete", OTHER])


def told(record: Callable[[str, object], None], **seen: Visitor) -> None:
    for name, one in seen.items():
        report(
            record,
            **{f"{name}_visits": len(one.visits), f"{name}_faults": dict(Counter(it.fault for it in one.faults))},
        )


@pytest.mark.timeout(600)
def test_another_path(lab: Lab, project: Project, record_property: Callable[[str, object], None]) -> None:
    minions = [minion.name for minion in lab.minions()]
    project.edit("Pulumi.dev.yaml", f"mountPath: {MOUNT}", f"mountPath: {ELSEWHERE}")
    with visitor(lab) as there:
        done = project.pulumi("up", "--yes", "--skip-preview")
    try:
        assert done.status == 0, done.text
        assert {minion for minion in minions if mounted(lab, minion, ELSEWHERE)} == set(minions)
        assert not [minion for minion in minions if mounted(lab, minion)]
        for minion in minions:
            assert lab.exec(minion, ["test", "-e", MOUNT], check=False).returncode == 1, (
                "nothing of the old one is left"
            )
            units = lab.exec(minion, ["systemctl", "list-unit-files", "--no-legend", "*mnt-glusterfs*"], check=False)
            assert units.stdout == ""
        again = project.pulumi("up", "--yes", "--skip-preview")
        assert "updated" not in again.out, again.text
    finally:
        with visitor(lab) as back:
            make("up")
    told(record_property, there=there, back=back)
    assert not there.faults, "the visitor notices nothing"
    assert not back.faults
    assert all(mounted(lab, minion) and not mounted(lab, minion, ELSEWHERE) for minion in minions)


@pytest.mark.timeout(600)
def test_another_volume(
    lab: Lab, project: Project, other_volume: str, record_property: Callable[[str, object], None]
) -> None:
    """At the same path: pods keep the old volume until they are rolled."""
    minions = [minion.name for minion in lab.minions()]
    project.edit("Pulumi.dev.yaml", "volume: MyVolume", f"volume: {other_volume}")
    with visitor(lab) as there:
        done = project.pulumi("up", "--yes", "--skip-preview")
    try:
        assert done.status == 0, done.text
        assert {source(lab, minion).partition(":")[2] for minion in minions} == {other_volume}
        eventually(
            lambda: all("\n" not in client(lab, minion) for minion in minions),
            seconds=60,
            what="the clients of the old volume have ended with the last pods that held it",
        )
    finally:
        with visitor(lab) as back:
            make("up")
    told(record_property, there=there, back=back)
    assert not there.faults, "the visitor notices nothing"
    assert not back.faults
    assert {source(lab, minion).partition(":")[2] for minion in minions} == {"MyVolume"}


def test_a_replaced_mount_is_not_taken_away(lab: Lab, project: Project) -> None:
    minions = [minion.name for minion in lab.minions()]
    before = {minion: client(lab, minion) for minion in minions}
    state = project.pulumi("stack", "--show-urns")
    urns = [word for word in state.out.split() if "$command:remote:Command::mount-" in word]
    assert len(urns) == len(minions), state.text
    with visitor(lab) as seen:
        done = project.pulumi("up", "--yes", "--skip-preview", *(word for urn in urns for word in ("--replace", urn)))

    assert done.status == 0, done.text
    assert f"{len(minions)} replaced" in done.out, done.text
    assert {minion: client(lab, minion) for minion in minions} == before
    assert not seen.faults
    assert len(pods(lab)) == 2
