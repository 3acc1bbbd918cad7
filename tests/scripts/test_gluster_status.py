"""gluster_mount.sh status: tells, and changes nothing."""

from __future__ import annotations

from tests.support.gluster_mount import OWNER, PATH, mount, mounted_by_hand, status
from tests.support.minion import Machine


def test_nothing_there(machine: Machine) -> None:
    assert status(machine).json == {
        "minion": "minion-1",
        "path": PATH,
        "mounted": False,
        "fstype": "",
        "source": "",
        "options": "",
        "settled": "",
        "alive": False,
        "answer": "",
        "client": None,
        "unit": "inactive",
        "enabled": "disabled",
        "owners": [],
        "guard": "none",
    }


def test_a_mount_of_ours(machine: Machine) -> None:
    pid = mount(machine, options="acl").json["client"]
    seen = status(machine).json
    assert seen.pop("options").startswith("rw,relatime,")
    assert seen == {
        "minion": "minion-1",
        "path": PATH,
        "mounted": True,
        "fstype": "fuse.glusterfs",
        "source": "gluster-1:/MyVolume",
        "settled": "MyVolume acl",
        "alive": True,
        "answer": "ok",
        "client": pid,
        "unit": "active",
        "enabled": "enabled",
        "owners": [OWNER],
        "guard": "immutable",
    }


def test_another_volume_is_not_ours(machine: Machine) -> None:
    mounted_by_hand(machine, "gluster-1:/Other")
    seen = status(machine).json
    assert (seen["mounted"], seen["alive"], seen["source"]) == (False, False, "gluster-1:/Other")


def test_whatever_is_mounted_is_told_in_valid_json(machine: Machine) -> None:
    source = 'a "b" \\040 c\td\u00e9'
    machine.command("sh", "-c", 'mkdir "$1" && mount -t tmpfs "$2" "$1"', "sh", PATH, source)
    assert status(machine).json["source"] == source


def test_status_changes_nothing(machine: Machine) -> None:
    mount(machine)
    before = machine.changes()
    status(machine)
    assert machine.changes() == before
    assert {call[0] for call in machine.calls("systemctl")[-2:]} == {"is-active", "is-enabled"}
