"""A change that fails changes nothing: not the mounts, not the cluster, and not one request of a visitor."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pytest
import yaml

from lab.context import Lab
from tests.lab.farm import client, report, visitors
from tests.support.project import Done, Project

CONFIG = "Pulumi.dev.yaml"
SERVERS, VOLUME, PATH = "servers: [gluster-1, gluster-2, gluster-3]", "volume: MyVolume", "mountPath: /mnt/glusterfs"
KEPT = "nothing was changed, and /mnt/glusterfs stays mounted as it was"
STATE = "/etc/glusterfarm/mounts/mnt-glusterfs"
HELPER = "/usr/sbin/mount.glusterfs"

pytestmark = pytest.mark.usefixtures("serving")


FILES = """\
find /etc/glusterfarm /etc/logrotate.d /etc/systemd /run/systemd/system /run/glusterfarm/beside -type f 2>/dev/null |
grep glusterf | sort | xargs cksum"""


def as_it_is(lab: Lab) -> dict[str, list[str]]:
    """Of each minion: the client that serves its mount, and every file of ours."""
    return {
        minion.name: [client(lab, minion.name), *lab.exec(minion.name, ["sh", "-c", FILES]).stdout.splitlines()]
        for minion in lab.minions()
    }


@contextmanager
def everywhere(lab: Lab, do: str, undo: str) -> Iterator[None]:
    """A fault on every minion: nobody knows which one is changed first."""
    for minion in lab.minions():
        lab.exec(minion.name, ["sh", "-c", do])
    try:
        yield
    finally:
        for minion in lab.minions():
            lab.exec(minion.name, ["sh", "-c", undo])


FULL_DISK = """\
cp -a /etc/glusterfarm /run/before && mount -t tmpfs -o size=120k full /etc/glusterfarm &&
cp -a /run/before/. /etc/glusterfarm/ && rm -r /run/before
dd if=/dev/zero of=/etc/glusterfarm/fill bs=1k 2>/dev/null; true"""
#: Ends the script once it has begun to write: the mount is then changed, or about to be.
KILLER = f"""\
cat >/run/killer <<'END'
until [ -e {STATE}/change ]; do sleep 0.01; done
kill -KILL $(grep -l -a -s 'gluster_mount.update' /proc/[0-9]*/cmdline | cut -d / -f 3)
END
systemd-run --quiet --collect --unit=killer sh /run/killer"""


@pytest.mark.timeout(900)
def test_a_mount_that_cannot_be_changed_stays_as_it_was(
    lab: Lab, project: Project, record_property: Callable[[str, object], None]
) -> None:
    before = as_it_is(lab)
    cases: dict[str, Done] = {}

    def change(case: str, old: str, new: str) -> None:
        text = (project.directory / CONFIG).read_text()
        project.edit(CONFIG, old, new)
        cases[case] = project.pulumi("up", "--yes")
        project.write(CONFIG, text)

    option = f"{PATH}\n    options: [xlator-option=transport.address-family=inet6]"
    other = f"{PATH}\n    options: [attribute-timeout=2]"
    with visitors(lab, lab.minions()[0].name) as seen:
        change("option", PATH, option)
        change("volume", VOLUME, "volume: NoVolume")
        change("servers", SERVERS, "servers: [10.111.0.250]")
        with everywhere(lab, f"mv {HELPER} /root/", f"mv /root/mount.glusterfs {HELPER}"):
            change("package", PATH, other)
        with everywhere(lab, FULL_DISK, "umount -l /etc/glusterfarm"):
            change("disk", PATH, other)
        untouched = as_it_is(lab)
        with everywhere(lab, KILLER, "systemctl stop killer; sleep 2"):
            change("killed", PATH, other)
        back = project.pulumi("up", "--yes")
        drift = project.ops("drift")
    report(
        record_property,
        visits=len(seen.visits),
        **{case: round(done.seconds, 1) for case, done in cases.items()},
    )
    for case, done in cases.items():
        assert done.status != 0, case
        assert "Traceback" not in done.text
        names = {minion.name for minion in lab.minions()}
        firsts = set(re.findall(r"was not changed: (\S+) was changed first, and failed", done.text))
        assert len(firsts) == 1, f"{case}:\n{done.text}"
        (first,) = firsts
        assert set(re.findall(r"(\S+) was not changed: ", done.text)) == names - {first}
        assert {name for name in names if f"glusterfarm: {name}: " in done.text} <= {first}
    assert all(KEPT in cases[case].text for case in ("option", "volume", "servers"))
    assert "the Gluster client cannot be installed" in cases["package"].text
    assert "see whether the disk is full" in cases["disk"].text
    assert untouched == before
    assert back.status == 0, back.text
    assert "unchanged" in back.out
    assert drift.status == 0, drift.text
    assert [it[1:] for it in as_it_is(lab).values()] == [it[1:] for it in before.values()]
    assert not seen.faults


def test_a_minion_that_is_not_its_node_is_refused_before_anything_changes(lab: Lab, project: Project) -> None:
    """An address as a node's name, and two minions whose addresses are swapped."""
    before = as_it_is(lab)
    known = {node["metadata"]["name"] for node in nodes(lab)}
    inventory = yaml.safe_load(project.own_inventory().read_text())
    one, two, *_ = inventory["minions"]

    one["node"] = one["host"]
    write(project, inventory)
    for words in (("preview",), ("up", "--yes")):
        named = project.pulumi(*words)
        assert named.status != 0
        assert f"minion {one['name']}: the cluster has no node {one['host']}; its nodes are " in named.text
        assert one["name"] in named.text.partition("its nodes are ")[2]
        assert "`node:`" in named.text
        assert "Traceback" not in named.text

    del one["node"]
    place = ("host", "hostKey", "generation")
    one_at, two_at = ({key: it[key] for key in place if key in it} for it in (one, two))
    one |= two_at
    two |= one_at
    write(project, inventory)
    swapped = project.pulumi("up", "--yes")
    assert swapped.status != 0
    assert f"minion {one['name']}: this machine is not node {one['name']}" in swapped.text
    assert f"this machine is node {two['name']}: write `node: {two['name']}`" in swapped.text
    assert "Traceback" not in swapped.text

    assert as_it_is(lab) == before
    assert {node["metadata"]["name"] for node in nodes(lab)} == known
    project.edit(CONFIG, "inventory: inventory.yaml", "inventory: .lab/inventory.yaml")
    assert project.preview() == {}


def write(project: Project, inventory: Mapping[str, object]) -> None:
    project.write("inventory.yaml", yaml.safe_dump(inventory, sort_keys=False))


def nodes(lab: Lab) -> list[dict[str, dict[str, str]]]:
    found: list[dict[str, dict[str, str]]] = json.loads(lab.kubectl("get", "nodes", "-o", "json").stdout)["items"]
    return found
