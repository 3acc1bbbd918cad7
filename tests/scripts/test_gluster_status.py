"""gluster_mount.sh status: tells, and changes nothing."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.support.gluster_mount import OWNER, PATH, mount, mounted_by_hand, status
from tests.support.minion import Machine

# The beginning of what the real one prints.
VERSION = "echo 'glusterfs 10.3'; echo 'Repository revision: git://git.gluster.org/glusterfs.git'"


@pytest.mark.every_shell
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
        "version": "",
        "stale": False,
    }


@pytest.mark.every_shell
def test_a_mount_of_ours(machine: Machine) -> None:
    machine.stub("glusterfs", VERSION)
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
        "version": "10.3",
        "stale": False,
    }


def test_a_client_whose_program_was_replaced_while_it_ran(machine: Machine) -> None:
    machine.install_client(machine.client_body.replace(sys.executable, "/mnt/client"))
    program = machine.path("/mnt/client")
    shutil.copy(Path(sys.executable).resolve(), program)
    pid = mount(machine).json["client"]
    assert (status(machine).json["stale"], status(machine).json["client"]) == (False, pid)

    # As a package manager does it.
    shutil.copy(program, f"{program}.new")
    Path(f"{program}.new").rename(program)
    assert (status(machine).json["stale"], status(machine).json["client"]) == (True, pid)


def test_a_client_that_does_not_tell_its_version_is_not_waited_for(one_machine: Machine) -> None:
    one_machine.stub("glusterfs", "exec sleep 60")
    done = status(one_machine)
    assert done.json["version"] == ""
    assert done.seconds < 30


def test_another_volume_is_not_ours(machine: Machine) -> None:
    mounted_by_hand(machine, "gluster-1:/Other")
    seen = status(machine).json
    assert (seen["mounted"], seen["alive"], seen["source"]) == (False, False, "gluster-1:/Other")


@pytest.mark.every_shell
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
