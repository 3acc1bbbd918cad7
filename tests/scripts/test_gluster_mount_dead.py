"""Mounts whose client is dead, whose volume is away, whose server never answers: each verb comes back in time."""

from __future__ import annotations

import signal
import time

import pytest

from tests.support.examples import examples
from tests.support.gluster_mount import PATH, UNIT, clients, mount, mounted_by_hand, mounts, status, unmount
from tests.support.minion import Machine

BOUND = 30  # a probe of 10 s, a look below the mount of 10 s, and a slow host


@pytest.fixture
def stalled(one_machine: Machine) -> Machine:
    """A machine with a mount of ours whose server takes every request and answers none."""
    mount(one_machine)
    one_machine.signal(clients(one_machine)[0], signal.SIGUSR1)
    return one_machine


@pytest.fixture
def hung(stalled: Machine) -> Machine:
    """The same, but an answer is waited for a second only."""
    stalled.constants["PROBE_SECONDS"] = 1
    return stalled


@pytest.mark.every_shell
def test_a_dead_mount_is_seen_at_once(machine: Machine) -> None:
    pid = mount(machine).json["client"]
    machine.signal(pid, signal.SIGKILL)
    seen = status(machine)
    assert (seen.json["mounted"], seen.json["alive"], seen.json["client"]) == (True, False, None)
    assert seen.json["answer"] == "error"
    assert seen.seconds < 5


@pytest.mark.every_shell
def test_a_dead_mount_is_mounted_anew(machine: Machine) -> None:
    pid = mount(machine).json["client"]
    machine.signal(pid, signal.SIGKILL)
    done = mount(machine).json
    assert done["action"] == "revived"
    assert mounts(machine) == [("fuse.glusterfs", "gluster-1:/MyVolume")]
    assert status(machine).json["client"] == done["client"] != pid


def test_a_dead_mount_made_by_hand_is_mounted_anew(machine: Machine) -> None:
    machine.signal(mounted_by_hand(machine), signal.SIGKILL)
    assert mount(machine).json["action"] == "revived"


def test_a_dead_mount_that_a_process_works_in_is_mounted_anew(machine: Machine) -> None:
    pid = mount(machine).json["client"]
    machine.background("sh", "-c", f"cd {PATH} && exec sleep 300")
    machine.signal(pid, signal.SIGKILL)
    assert mount(machine).json["action"] == "revived"
    assert mounts(machine) == [("fuse.glusterfs", "gluster-1:/MyVolume")]


def test_a_client_that_old_holders_keep_does_not_pass_for_a_dead_ones(machine: Machine) -> None:
    old = mount(machine).json["client"]
    machine.background("sh", "-c", f"exec 8<{PATH} && exec sleep 300")
    machine.command("umount", "-l", PATH)  # as pods hold it on after a remount
    new = mount(machine).json["client"]
    assert clients(machine) == [old, new]
    machine.signal(new, signal.SIGKILL)
    assert status(machine).json["client"] is None
    assert mount(machine).json["action"] == "revived"


def test_a_dead_mount_is_unmounted(machine: Machine) -> None:
    machine.signal(mount(machine).json["client"], signal.SIGKILL)
    assert unmount(machine).json["action"] == "unmounted"
    assert mounts(machine) == []
    assert not machine.path(PATH).exists()


@pytest.mark.every_shell
def test_a_volume_that_is_away_is_reported_and_left_alone(machine: Machine) -> None:
    pid = mount(machine).json["client"]
    machine.signal(pid, signal.SIGUSR2)
    done = mount(machine)
    assert done.status == 1
    assert done.err.splitlines()[0] == (
        "glusterfarm: minion-1: the volume behind /mnt/glusterfs does not answer (error), "
        f"though its client (pid {pid}) lives: "
        "see to the Gluster servers (gluster-1:gluster-2:gluster-3) and bricks, then run this again"
    )
    assert machine.path(UNIT).exists()
    machine.signal(pid, signal.SIGHUP)
    again = mount(machine).json
    assert (again["action"], again["client"]) == ("unchanged", pid)


def test_status_of_a_mount_that_never_answers(stalled: Machine) -> None:
    """With the constants that a minion has."""
    seen = status(stalled)
    assert (seen.json["mounted"], seen.json["alive"], seen.json["answer"]) == (True, False, "stalled")
    assert seen.json["client"] == clients(stalled)[0]
    assert seen.json["guard"] == "immutable"
    assert seen.seconds < BOUND


def test_mount_over_a_mount_that_never_answers(hung: Machine) -> None:
    done = mount(hung)
    assert done.status == 1
    assert "does not answer (stalled)" in done.err
    assert done.seconds < BOUND


def test_unmount_of_a_mount_that_never_answers(hung: Machine) -> None:
    done = unmount(hung)
    assert done.json["action"] == "unmounted"
    assert done.seconds < BOUND
    assert mounts(hung) == []
    assert not hung.path(PATH).exists()


def test_a_volume_that_stops_answering_while_it_is_mounted(one_machine: Machine) -> None:
    one_machine.constants["PROBE_SECONDS"] = 1
    one_machine.install_client(one_machine.client_body + "kill -USR1 $(cat /run/fusefs.pid)\n")
    done = mount(one_machine)
    assert done.status == 1
    assert "is mounted on /mnt/glusterfs but does not answer (stalled)" in done.err
    assert done.seconds < BOUND
    assert mounts(one_machine) == []
    assert not one_machine.path(UNIT).exists()


@pytest.mark.parametrize("seconds", examples([30, -13], -13))  # systemd is given 15 s more
def test_a_mount_helper_that_never_returns(one_machine: Machine, seconds: int) -> None:
    one_machine.constants["MOUNT_SECONDS"] = seconds
    one_machine.install_client("exec sleep 300\n")
    begun = time.monotonic()
    done = mount(one_machine)
    assert done.status == 1
    assert "is not mounted on /mnt/glusterfs" in done.err
    assert time.monotonic() - begun < 60
