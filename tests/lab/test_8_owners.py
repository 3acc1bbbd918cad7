"""Who has a mount: two stacks on a machine, a mount made by hand, a renamed minion, one that is gone for good."""

from __future__ import annotations

import json

import pytest
import yaml

from lab.context import Lab
from tests.lab.conftest import OTHER_PORT, get, make
from tests.lab.farm import MOUNT, PAGE, client, fault, mounted, visitor
from tests.support.project import Project

BY_HAND = "/mnt/by-hand"


pytestmark = pytest.mark.usefixtures("serving")


def owners(lab: Lab, minion: str, path: str = MOUNT) -> list[str]:
    key = path.lstrip("/").replace("-", "_-").replace("/", "-")
    where = f"/etc/glusterfarm/mounts/{key}/owners"
    said = lab.exec(minion, ["sh", "-c", 'cat "$1"/* 2>/dev/null', "sh", where], check=False).stdout
    return sorted(line.split()[0] for line in said.splitlines())


@pytest.mark.timeout(420)
def test_two_stacks_share_a_mount_and_one_takes_over_what_was_mounted_by_hand(lab: Lab, two: Project) -> None:
    minions = [minion.name for minion in lab.minions()]
    before = {minion: client(lab, minion) for minion in minions}
    page = f"http://{lab.minions()[0].address}:{OTHER_PORT}/helloworld.html"
    with visitor(lab) as seen:
        up = two.pulumi("up", "--yes", "--stack", "two")
        assert up.status == 0, up.text
        assert get(page) == PAGE
        for minion in minions:
            assert owners(lab, minion) == [f"dev/{minion}", f"two/{minion}"]

        for minion in minions:
            lab.exec(minion, ["mkdir", BY_HAND])
            lab.exec(minion, ["mount", "-t", "glusterfs", "gluster-2:/MyVolume", BY_HAND])
        by_hand = {minion: client(lab, minion, BY_HAND) for minion in minions}
        two.edit("Pulumi.two.yaml", f"mountPath: {MOUNT}", f"mountPath: {BY_HAND}")
        moved = two.pulumi("up", "--yes", "--stack", "two")
        assert moved.status == 0, moved.text
        assert get(page) == PAGE
        for minion in minions:
            assert client(lab, minion, BY_HAND) == by_hand[minion] != "", "it was taken over as it was"
            assert owners(lab, minion, BY_HAND) == [f"two/{minion}"]
            assert owners(lab, minion) == [f"dev/{minion}"], "the other stack's remains"

        gone = two.pulumi("destroy", "--yes", "--stack", "two")
        assert gone.status == 0, gone.text
    assert {minion: client(lab, minion) for minion in minions} == before
    for minion in minions:
        assert not mounted(lab, minion, BY_HAND)
        lab.exec(minion, ["rmdir", BY_HAND])  # which somebody else made, so it stays
    sites = lab.exec(minions[0], ["ls", MOUNT]).stdout.split()
    assert "php" in sites
    assert "two" not in sites, "its content goes, as it was asked to"
    assert not seen.faults, "the first stack's visitor notices nothing"


@pytest.mark.timeout(420)
def test_a_renamed_minion_keeps_its_mount_and_one_that_is_gone_for_good_is_dropped(lab: Lab, project: Project) -> None:
    minion = lab.minions()[2].name
    path = project.own_inventory()
    before = {one.name: client(lab, one.name) for one in lab.minions()}
    inventory = yaml.safe_load(path.read_text())
    (entry,) = [one for one in inventory["minions"] if one["name"] == minion]
    entry |= {"name": "web-3", "node": minion}
    path.write_text(yaml.safe_dump(inventory))
    renamed = project.pulumi("up", "--yes")
    try:
        assert renamed.status == 0, renamed.text
        assert owners(lab, minion) == ["dev/web-3"]
        assert {one.name: client(lab, one.name) for one in lab.minions()} == before
        label = lab.kubectl("get", "node", minion, "-o", r"jsonpath={.metadata.labels.glusterfarm/mounted\.dev}").stdout
        assert label == "true"

        fault("stop", minion)
        inventory["minions"].remove(entry)
        path.write_text(yaml.safe_dump(inventory))
        lab.kubectl("delete", "node", minion)
        gone = project.pulumi("up", "--yes")
        assert gone.status != 0
        assert "mount-web-3" in gone.text
        its = "urn:pulumi:dev::glusterfarm::glusterfarm:index:GlusterMount$command:"
        urns = [f"{its}{kind}:Command::mount-web-3{role}" for kind, role in (("local", "-drain"), ("remote", ""))]
        left = json.loads(project.pulumi("stack", "export").out)["deployment"]["resources"]
        known = [one["urn"] for one in left if "web-3" in one["urn"] and not one["urn"].endswith("-reach")]
        assert sorted(known) == sorted(urns), "everything else of it is done"
        for urn in urns:
            dropped = project.pulumi("state", "delete", "--yes", urn)
            assert dropped.status == 0, dropped.text
        again = project.pulumi("up", "--yes")
        assert again.status == 0, again.text
        assert "web-3" not in project.pulumi("stack", "--show-urns").out, "nothing of it is left in the state"
        assert {one.name: client(lab, one.name) for one in lab.minions() if one.name != minion} == {
            name: pid for name, pid in before.items() if name != minion
        }
    finally:
        fault("start", minion)
        make("up")
    stray = "rm $(grep -l '^dev/web-3 ' /etc/glusterfarm/mounts/*/owners/*)"
    assert owners(lab, minion) == [f"dev/{minion}", "dev/web-3"], "nobody could ask it to forget that one"
    lab.exec(minion, ["sh", "-c", stray])
    assert owners(lab, minion) == [f"dev/{minion}"]
