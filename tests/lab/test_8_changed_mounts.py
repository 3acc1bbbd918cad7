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
def test_another_path_then_another_volume_there_then_both_as_before(
    lab: Lab, project: Project, other_volume: str, record_property: Callable[[str, object], None]
) -> None:
    minions = [minion.name for minion in lab.minions()]
    seen: dict[str, Visitor] = {}

    def up(name: str, old: str, new: str) -> None:
        project.edit("Pulumi.dev.yaml", old, new)
        with visitor(lab) as seen[name]:
            done = project.pulumi("up", "--yes")
        assert done.status == 0, done.text

    try:
        up("path", f"mountPath: {MOUNT}", f"mountPath: {ELSEWHERE}")
        assert {minion for minion in minions if mounted(lab, minion, ELSEWHERE)} == set(minions)
        for minion in minions:
            assert not mounted(lab, minion)
            assert lab.exec(minion, ["test", "-e", MOUNT], check=False).returncode == 1, (
                "nothing is left of the old one"
            )
            units = lab.exec(minion, ["systemctl", "list-unit-files", "--no-legend", "*mnt-glusterfs*"], check=False)
            assert units.stdout == ""
        up("volume", "volume: MyVolume", f"volume: {other_volume}")
        assert {source(lab, minion, ELSEWHERE).partition(":")[2] for minion in minions} == {other_volume}
        eventually(
            lambda: all("\n" not in client(lab, minion, ELSEWHERE) for minion in minions),
            seconds=60,
            what="the clients of the old volume have ended with the last pods that held it",
        )
        again = project.pulumi("up", "--yes")
        assert "updated" not in again.out, again.text
    finally:
        with visitor(lab) as seen["back"]:
            make("up")
    told(record_property, **seen)
    for name, one in seen.items():
        assert not one.faults, f"{name}: the visitor notices nothing"
    assert {source(lab, minion).partition(":")[2] for minion in minions} == {"MyVolume"}
    assert not [minion for minion in minions if mounted(lab, minion, ELSEWHERE)]


def test_a_replaced_mount_is_not_taken_away(lab: Lab, project: Project) -> None:
    minions = [minion.name for minion in lab.minions()]
    before = {minion: client(lab, minion) for minion in minions}
    state = project.pulumi("stack", "--show-urns")
    urns = [word for word in state.out.split() if "$command:remote:Command::mount-" in word]
    assert len(urns) == len(minions), state.text
    with visitor(lab) as seen:
        done = project.pulumi("up", "--yes", *(word for urn in urns for word in ("--replace", urn)))

    assert done.status == 0, done.text
    assert f"{len(minions)} replaced" in done.out, done.text
    assert {minion: client(lab, minion) for minion in minions} == before
    assert not seen.faults
    assert len(pods(lab)) == 2
