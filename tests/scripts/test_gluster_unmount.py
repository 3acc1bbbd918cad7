"""gluster_mount.sh unmount: owners, what it takes back, what it never touches."""

from __future__ import annotations

import signal
import time

import pytest

from tests.support.gluster_mount import OWNER, PATH, UNIT, clients, mount, mounted_by_hand, mounts, status, unmount
from tests.support.minion import Machine

WRITTEN = (
    UNIT,
    "/etc/systemd/system/multi-user.target.wants/mnt-glusterfs.mount",
    "/etc/logrotate.d/glusterfarm-mnt-glusterfs",
    "/etc/glusterfarm/mounts/mnt-glusterfs",
    PATH,
)


@pytest.mark.every_shell
def test_the_last_owner_takes_everything_back(machine: Machine) -> None:
    mount(machine)
    assert all(machine.path(path).exists() or machine.path(path).is_symlink() for path in WRITTEN)
    assert unmount(machine).json == {"minion": "minion-1", "action": "unmounted", "path": PATH, "owners": []}
    assert mounts(machine) == []
    assert not any(machine.path(path).exists() or machine.path(path).is_symlink() for path in WRITTEN)
    assert clients(machine) == []
    healer = "glusterfarm-heal-mnt-glusterfs"
    units = ("mnt-glusterfs.mount", f"{healer}.service", f"{healer}.timer")
    assert machine.calls("systemctl")[-4:] == [["daemon-reload"], *(["reset-failed", "--", unit] for unit in units)]


def test_what_is_gone_already_is_a_success(machine: Machine) -> None:
    assert unmount(machine).json["action"] == "absent"
    mount(machine)
    unmount(machine)
    assert unmount(machine).json["action"] == "absent"
    assert machine.calls("mount.glusterfs") != []


def test_a_mount_that_was_unmounted_by_hand_is_taken_back(machine: Machine) -> None:
    mount(machine)
    machine.command("umount", PATH)
    assert unmount(machine).json["action"] == "unmounted"
    assert not any(machine.path(path).exists() for path in WRITTEN)


@pytest.mark.every_shell
def test_a_mount_with_another_owner_stays(machine: Machine) -> None:
    pid = mount(machine).json["client"]
    assert mount(machine, owner="prod/minion-1").json["action"] == "unchanged"
    assert unmount(machine).json == {
        "minion": "minion-1",
        "action": "kept",
        "path": PATH,
        "owners": ["prod/minion-1"],
    }
    assert status(machine).json["client"] == pid
    assert unmount(machine).json["action"] == "kept"  # again, as after a lost connection
    assert unmount(machine, owner="prod/minion-1").json["action"] == "unmounted"
    assert mounts(machine) == []


def test_a_renamed_minion_keeps_its_mount(machine: Machine) -> None:
    """The new name's create runs before the old name's delete; other options may come with it."""
    mount(machine, owner="dev/old-name")
    done = mount(machine, owner="dev/new-name", options="acl").json
    assert done["action"] == "remounted"
    assert unmount(machine, owner="dev/old-name").json["owners"] == ["dev/new-name"]
    assert status(machine).json["client"] == done["client"]


def test_names_that_look_alike_are_different_owners(machine: Machine) -> None:
    mount(machine, owner="dev/a-b")
    mount(machine, owner="dev-a/b")
    mount(machine, owner="dev/a_-b")
    assert status(machine).json["owners"] == ["dev-a/b", "dev/a-b", "dev/a_-b"]
    unmount(machine, owner="dev/a-b")
    assert status(machine).json["owners"] == ["dev-a/b", "dev/a_-b"]


@pytest.mark.every_shell
def test_the_delete_of_a_former_volume_leaves_the_present_one(machine: Machine) -> None:
    mount(machine, volume="First")
    pid = mount(machine, volume="Second").json["client"]
    assert unmount(machine, volume="First").json["action"] == "kept"
    assert status(machine, volume="Second").json["client"] == pid
    assert unmount(machine, volume="Second").json["action"] == "unmounted"


@pytest.mark.every_shell
def test_the_delete_of_a_mount_that_was_made_anew_leaves_the_new_one(machine: Machine) -> None:
    """`pulumi up --replace`: the new create, then the old delete, in the very same words."""
    pid = mount(machine).json["client"]
    assert mount(machine).json["action"] == "unchanged"
    kept = unmount(machine)
    assert kept.json["action"] == "kept"
    assert f"glusterfarm: minion-1: warning: {PATH} stays mounted: it was mounted again " in kept.err
    assert f"heal.sh unmount {OWNER} MyVolume {PATH} minion-1" in kept.err
    assert status(machine).json["client"] == pid
    assert unmount(machine).json["action"] == "unmounted"
    assert mounts(machine) == []


def test_the_delete_of_a_mount_that_was_updated_takes_it_away(machine: Machine) -> None:
    mount(machine)
    mount(machine)  # its delete never came: the run was cut off
    assert mount(machine, verb="update").json["action"] == "unchanged"
    assert unmount(machine).json["action"] == "unmounted"


def test_a_replacement_of_long_ago_keeps_nothing(machine: Machine) -> None:
    mount(machine)
    mount(machine)
    (mark,) = machine.path("/run/glusterfarm/mounts/mnt-glusterfs").glob("replaced-*")
    mark.write_text(f"{int(time.time()) - 3601}\n")
    assert unmount(machine).json["action"] == "unmounted"


def test_a_replacement_that_failed_is_followed_by_no_delete_of_the_old(machine: Machine) -> None:
    mount(machine)
    machine.signal(clients(machine)[0], signal.SIGUSR2)
    assert mount(machine).status == 1
    machine.signal(clients(machine)[0], signal.SIGHUP)
    assert unmount(machine).json["action"] == "unmounted"


@pytest.mark.every_shell
def test_containers_that_are_ending_are_waited_for(machine: Machine) -> None:
    mount(machine)
    container = machine.container(PATH)
    machine.background("sh", "-c", f"sleep 2; kill -KILL {container}")
    done = unmount(machine)
    assert done.json["action"] == "unmounted"
    assert done.seconds > 1.5
    assert mounts(machine) == []


@pytest.mark.every_shell
def test_a_mount_is_not_taken_from_under_a_container(machine: Machine) -> None:
    pid = mount(machine).json["client"]
    pod = "01234567-89ab-4cde-8f01-23456789abcd"
    container = machine.container(PATH, pod=pod)
    machine.constants["LEAVE_SECONDS"] = 1
    done = unmount(machine)
    assert done.status == 1
    assert done.err == (
        f"glusterfarm: minion-1: {PATH} is still in use after 1 s, by {container} (sleep in pod{pod}): "
        "end these pods, then run this again\n"
    )
    after = status(machine).json
    assert (after["client"], after["owners"], after["enabled"]) == (pid, [OWNER], "enabled")
    machine.signal(container, signal.SIGKILL)
    assert unmount(machine).json["action"] == "unmounted"


def test_a_container_that_holds_another_mount_is_not_waited_for(machine: Machine) -> None:
    mount(machine, path="/mnt/other")
    mount(machine)
    machine.container("/mnt/other")
    assert unmount(machine).json["action"] == "unmounted"


@pytest.mark.every_shell
def test_a_busy_mount_fails_and_names_who_holds_it(machine: Machine) -> None:
    mount(machine)
    machine.background("sh", "-c", f"cd {PATH} && exec sleep 300")
    machine.background("sh", "-c", f"exec 7>{PATH}/open && exec sleep 300")
    machine.command("sh", "-c", f"mkdir /mnt/glusterfarm; mount -t tmpfs below {PATH}/open 2>/dev/null")
    done = unmount(machine)
    assert done.status == 1
    first = done.err.splitlines()[0]
    assert first.startswith("glusterfarm: minion-1: /mnt/glusterfs cannot be unmounted (")
    assert "target is busy" in first
    assert first.count("(sleep)") == 2
    assert first.endswith(": end what holds it, then run this again")
    after = status(machine).json
    assert (after["alive"], after["owners"], after["enabled"]) == (True, [OWNER], "enabled")


def test_what_is_mounted_below_is_named(machine: Machine) -> None:
    mount(machine)
    machine.command("sh", "-c", f"touch {PATH}/file /run/file; mount --bind /run/file {PATH}/file")
    done = unmount(machine)
    assert done.status == 1
    assert f"it is held by the mount {PATH}/file" in done.err


def test_a_mount_that_hides_another_of_ours_goes_with_it(machine: Machine) -> None:
    mounted_by_hand(machine)
    mounted_by_hand(machine)
    mount(machine)
    assert len(mounts(machine)) == 2
    assert unmount(machine).json["action"] == "unmounted"
    assert mounts(machine) == []


def test_a_directory_that_was_there_before_stays(machine: Machine) -> None:
    machine.command("mkdir", PATH)
    mount(machine)
    unmount(machine)
    assert machine.path(PATH).is_dir()
    assert machine.command("touch", f"{PATH}/writable").status == 0


def test_a_directory_that_was_immutable_before_stays_so(machine: Machine) -> None:
    machine.command("sh", "-c", f"mkdir {PATH} && chattr +i {PATH}")
    mount(machine)
    unmount(machine)
    assert machine.command("touch", f"{PATH}/file").status != 0


def test_a_foreign_mount_that_came_later_is_left(machine: Machine) -> None:
    mount(machine)
    machine.command("sh", "-c", f"umount {PATH}; mount -t tmpfs foreign {PATH}")
    assert unmount(machine).json["action"] == "unmounted"
    assert mounts(machine) == [("tmpfs", "foreign")]
    assert not machine.path(UNIT).exists()


def test_a_mount_that_is_not_ours_is_left(machine: Machine) -> None:
    mounted_by_hand(machine)
    assert unmount(machine).json["action"] == "absent"
    assert mounts(machine) == [("fuse.glusterfs", "gluster-2:/MyVolume")]


def test_two_mount_paths_do_not_know_each_other(machine: Machine) -> None:
    mount(machine, path="/mnt/a-b")
    mount(machine, path="/mnt/a/b")
    unmount(machine, path="/mnt/a/b")
    assert mounts(machine, "/mnt/a-b") == [("fuse.glusterfs", "gluster-1:/MyVolume")]
    assert status(machine, path="/mnt/a-b").json["owners"] == [OWNER]
    assert machine.path("/etc/systemd/system/mnt-a\\x2db.mount").exists()
