"""gluster_mount.sh heal: mounts what is dead or gone, ends who holds a dead mount, waits for a volume that is away."""

from __future__ import annotations

import os
import re
import signal
import time
import uuid

import pytest

from tests.support.gluster_mount import OWNER, PATH, UNIT, clients, mount, mounts, status, unmount
from tests.support.minion import Machine, Result

SERVICE = "/etc/systemd/system/glusterfarm-heal-mnt-glusterfs.service"
TIMER = "/etc/systemd/system/glusterfarm-heal-mnt-glusterfs.timer"
NOTES = "/run/glusterfarm/mounts/mnt-glusterfs"


def mount_with_timer(machine: Machine, path: str = PATH) -> Result:
    """Run `mount` as the program does: the script is handed its own text."""
    arguments = (OWNER, "gluster-1", "gluster-2", "MyVolume", path, "", "minion-1", "1")
    return machine.run("gluster_mount", "mount", *arguments, resident=True)


def heal(machine: Machine) -> Result:
    """Run what the timer runs, without the pause."""
    return machine.command("sh", *timed(machine)[1])


def watch(machine: Machine) -> Result:
    """Run the pause before that."""
    return machine.command("sh", *timed(machine)[0])


def timed(machine: Machine) -> list[list[str]]:
    """Give the arguments of sh of the two commands that the timer runs, one after the other."""
    commands = re.findall("^ExecStart=/bin/sh (.*)$", machine.path(SERVICE).read_text(), re.MULTILINE)
    assert len(commands) == 2
    return [command.replace("%%", "%").split() for command in commands]


@pytest.fixture
def healing(machine: Machine) -> Machine:
    """A machine with a mount and its timer, where containers of a dead mount are ended at once."""
    machine.constants["UNREADY_SECONDS"] = 0
    done = mount_with_timer(machine).json
    assert (done["action"], done["healing"]) == ("mounted", True)
    return machine


@pytest.fixture
def impatient(one_machine: Machine) -> Machine:
    """A machine with a mount and its timer, where an answer is waited for 3 s only."""
    one_machine.constants |= {"UNREADY_SECONDS": 0, "PROBE_SECONDS": 3}
    mount_with_timer(one_machine)
    return one_machine


def with_pause(machine: Machine, seconds: int) -> None:
    """Let `watch` last so long from now on."""
    machine.constants["HEAL_SECONDS"] = seconds
    assert mount_with_timer(machine).json["action"] == "unchanged"


def test_mount_sets_up_the_timer_and_unmount_takes_it_away(healing: Machine) -> None:
    assert machine_started(healing) == [["start", "--", "glusterfarm-heal-mnt-glusterfs.timer"]]
    assert "OnUnitInactiveSec=100ms\n" in healing.path(TIMER).read_text(), "the pause is the service's own"
    unmount(healing)
    assert not healing.path(TIMER).exists()
    assert not healing.path(SERVICE).exists()
    assert ["disable", "--now", "--", "glusterfarm-heal-mnt-glusterfs.timer"] in healing.calls("systemctl")
    assert ["stop", "--", "glusterfarm-heal-mnt-glusterfs.service"] in healing.calls("systemctl")


def machine_started(machine: Machine) -> list[list[str]]:
    """Give the calls of systemctl start."""
    return [call for call in machine.calls("systemctl") if call[0] == "start"]


def test_a_script_that_was_not_handed_its_text_sets_up_no_timer(machine: Machine) -> None:
    assert mount(machine).json["healing"] is False
    assert not machine.path(TIMER).exists()


def test_a_percent_sign_in_the_path(machine: Machine) -> None:
    mount_with_timer(machine, "/mnt/50%full")
    unit = machine.path("/etc/systemd/system/glusterfarm-heal-mnt-50\\x25full.service").read_text()
    assert "heal.sh heal MyVolume /mnt/50%%full\n" in unit


@pytest.mark.every_shell
def test_a_mount_that_is_well_is_left_alone_without_a_word(healing: Machine) -> None:
    pid = clients(healing)[0]
    done = heal(healing)
    assert (done.json["action"], done.json["client"], done.err) == ("well", pid, "")
    assert clients(healing) == [pid]


def test_the_pause_before_a_heal(one_machine: Machine) -> None:
    """With the constants that a minion has."""
    mount_with_timer(one_machine)
    assert 4.5 < watch(one_machine).seconds < 8, "the client lives"


@pytest.mark.every_shell
def test_the_pause_before_a_heal_ends_when_the_client_does(healing: Machine) -> None:
    with_pause(healing, 60)
    healing.stub("tail", 'touch /run/watched; exec /usr/bin/tail "$@"')
    client = "until [ -e /run/watched ]; do sleep 0.1; done; sleep 0.5"
    # One that somebody reaps, as on a real machine the first process does.
    healing.background("sh", "-c", f"sh -c '{client}' & echo $! >/run/client; wait")
    pid = healing.path("/run/client").read_text().strip()
    started = healing.command("sed", "s/.*) //", f"/proc/{pid}/stat").out.split()[19]
    noted = f"0:99 {pid} {started}\n"
    healing.path(f"{NOTES}/client").write_text(noted)
    assert watch(healing).seconds < 30
    with_pause(healing, 1)
    healing.path(f"{NOTES}/client").write_text(noted)
    assert watch(healing).seconds > 0.9, "it is gone already: a mount that cannot be mended is not tried at once"


@pytest.mark.every_shell
def test_the_pause_needs_no_gnu_tail(healing: Machine) -> None:
    with_pause(healing, 1)
    healing.stub("tail", "exit 1\n")
    assert watch(healing).seconds > 0.9


@pytest.mark.every_shell
def test_a_dead_mount_is_mounted_anew(healing: Machine) -> None:
    healing.signal(clients(healing)[0], signal.SIGKILL)
    done = heal(healing)
    assert done.json["action"] == "mounted"
    assert done.err == "glusterfarm: minion-1: /mnt/glusterfs is mounted: its client was dead\n"
    assert mounts(healing) == [("fuse.glusterfs", "gluster-1:/MyVolume")]
    again = heal(healing)
    assert (again.json["action"], again.err) == ("well", "")


def test_a_mount_that_somebody_unmounted_is_mounted_anew(healing: Machine) -> None:
    healing.command("umount", PATH)
    done = heal(healing)
    assert done.json["action"] == "mounted"
    assert done.err == "glusterfarm: minion-1: /mnt/glusterfs is mounted: nothing was mounted\n"


@pytest.mark.every_shell
def test_containers_that_hold_a_dead_mount_are_ended_and_no_others(healing: Machine) -> None:
    client = clients(healing)[0]
    holder, other = healing.container(PATH), healing.container("/etc")
    no_pod = healing.container(PATH, cgroup="system.slice")
    healing.background("sh", "-c", f"cd {PATH} && exec sleep 300")  # on the host, not in a container
    healing.signal(client, signal.SIGKILL)
    done = heal(healing)
    assert done.json["ended"] == [holder]
    assert (healing.runs(holder), healing.runs(other), healing.runs(no_pod)) == (False, True, True)
    assert done.err == (
        "glusterfarm: minion-1: /mnt/glusterfs is mounted: its client was dead; "
        f"ended the containers that held a dead mount ({holder})\n"
    )


def test_containers_of_the_new_mount_are_left_alone(healing: Machine) -> None:
    healing.signal(clients(healing)[0], signal.SIGKILL)
    heal(healing)
    container = healing.container(PATH)
    assert heal(healing).json["ended"] == []
    assert healing.runs(container)


def test_who_holds_a_dead_mount_is_ended_though_somebody_else_remounted(healing: Machine) -> None:
    client = clients(healing)[0]
    container = healing.container(PATH)
    healing.signal(client, signal.SIGKILL)
    healing.command("sh", "-c", f"umount -l {PATH}; mount -t glusterfs gluster-1:/MyVolume {PATH}")
    done = heal(healing)
    assert (done.json["action"], done.json["ended"]) == ("well", [container])


def test_mount_ends_them_too(healing: Machine) -> None:
    healing.constants.clear()
    client = clients(healing)[0]
    container = healing.container(PATH)
    healing.signal(client, signal.SIGKILL)
    done = mount_with_timer(healing).json
    assert (done["action"], done["ended"]) == ("revived", [container])


@pytest.mark.every_shell
def test_containers_of_a_remount_whose_old_client_lives_are_left_alone(healing: Machine) -> None:
    container = healing.container(PATH)
    assert mount(healing, options="acl").json["action"] == "remounted"
    assert heal(healing).json["ended"] == []
    assert healing.runs(container)
    old, new = sorted(clients(healing))

    healing.signal(old, signal.SIGKILL)
    done = heal(healing).json
    assert (done["action"], done["ended"]) == ("well", [container]), "and are ended when that one ends"
    assert clients(healing) == [new]
    assert heal(healing).json["ended"] == []


@pytest.mark.every_shell
def test_a_pod_that_was_ended_is_left_alone_for_a_while(healing: Machine) -> None:
    pod = str(uuid.uuid4())
    old = clients(healing)[0]
    first, second = healing.container(PATH, pod=pod), healing.container(PATH, pod=pod)
    healing.signal(old, signal.SIGKILL)
    assert heal(healing).json["ended"] == [min(first, second)]
    assert heal(healing).json["ended"] == []
    healing.path(f"{NOTES}/ended-pod{pod}").write_text(f"1 {int(time.time()) - 11}\n")
    assert heal(healing).json["ended"] == [max(first, second)]
    assert healing.path(f"{NOTES}/ended-pod{pod}").read_text().startswith("2 ")


def test_nothing_is_ended_before_the_new_mount_is_verified(healing: Machine) -> None:
    client = clients(healing)[0]
    container = healing.container(PATH)
    healing.signal(client, signal.SIGKILL)
    healing.install_client("exit 0\n")
    done = heal(healing)
    assert done.status == 1
    assert (
        "/mnt/glusterfs is not mounted: its client was dead; glusterfarm: minion-1: gluster-1:/MyVolume is not"
        in done.err
    )
    assert healing.runs(container)
    assert heal(healing).err == ""  # told once
    assert healing.path(UNIT).exists()
    healing.install_client()
    assert heal(healing).json["ended"] == [container]


@pytest.mark.every_shell
def test_a_volume_that_is_away_is_waited_for(healing: Machine) -> None:
    client = clients(healing)[0]
    container = healing.container(PATH)
    healing.signal(client, signal.SIGUSR2)
    done = heal(healing)
    assert done.json["action"] == "waiting"
    assert done.err == (
        "glusterfarm: minion-1: /mnt/glusterfs is waiting: the volume is away: "
        f"its client (pid {client}) lives and gets no answer\n"
    )
    assert heal(healing).err == ""
    assert (clients(healing), healing.runs(container)) == ([client], True)
    healing.signal(client, signal.SIGHUP)
    back = heal(healing)
    assert (back.json["action"], back.json["client"]) == ("well", client)
    assert back.err == "glusterfarm: minion-1: /mnt/glusterfs is well\n"


@pytest.mark.every_shell
def test_no_mount_is_tried_while_no_server_answers(healing: Machine) -> None:
    healing.stub("bash", "exit 1")
    healing.signal(clients(healing)[0], signal.SIGKILL)
    tried = len(healing.calls("mount.glusterfs"))
    done = heal(healing).json
    assert done["action"] == "waiting"
    assert done["reason"] == "its client was dead, and no server (gluster-1:gluster-2) answers on port 24007"
    assert len(healing.calls("mount.glusterfs")) == tried
    assert [call[3:] for call in healing.calls("bash")] == [["gluster-1", "24007"], ["gluster-2", "24007"]]
    healing.stub("bash", "exit 0")
    assert heal(healing).json["action"] == "mounted"


@pytest.mark.every_shell
def test_a_foreign_mount_is_told_and_left(healing: Machine) -> None:
    healing.command("sh", "-c", f"umount {PATH}; mount -t tmpfs foreign {PATH}")
    done = heal(healing)
    assert done.status == 1
    assert "/mnt/glusterfs is foreign: it carries a mount (foreign, tmpfs)" in done.err
    assert mounts(healing) == [("tmpfs", "foreign")]


def test_a_mount_that_systemd_is_making_is_left_to_it(healing: Machine) -> None:
    healing.command("umount", PATH)
    healing.stub("systemctl", "echo activating")
    assert heal(healing).json["action"] == "waiting"


def test_after_unmount_the_timers_last_run_does_nothing(healing: Machine) -> None:
    script = healing.path("/etc/glusterfarm/mounts/mnt-glusterfs/heal.sh").read_text()
    unmount(healing)
    done = healing.command("sh", "-s", "--", "heal", "MyVolume", PATH, "minion-1", stdin=script)
    assert (done.status, done.out, done.err) == (0, "", "")
    assert mounts(healing) == []


def test_heal_keeps_out_of_another_runs_way(healing: Machine) -> None:
    healing.background("flock", "/run/glusterfarm/locks/mnt-glusterfs", "sleep", "60")
    healing.command("umount", PATH)
    done = heal(healing)
    assert (done.status, done.out, done.seconds < 30) == (0, "", True)


def test_a_stall_is_waited_out_and_costs_one_process(one_machine: Machine) -> None:
    mount_with_timer(one_machine)
    client = clients(one_machine)[0]
    one_machine.signal(client, signal.SIGUSR1)
    first = heal(one_machine)
    assert (first.json["action"], first.json["client"]) == ("waiting", client)
    assert first.seconds < 20
    second = heal(one_machine)
    assert (second.json["action"], second.seconds < 8) == ("waiting", True), "a probe takes 10 s"
    waiting = one_machine.command("sh", "-c", "grep -l '^State:.D' /proc/[0-9]*/status").out.splitlines()
    assert len(waiting) == 1
    one_machine.signal(client, signal.SIGHUP)
    assert heal(one_machine).json["action"] == "well"


def test_a_client_that_stalls_for_too_long_is_given_up(impatient: Machine) -> None:
    client = clients(impatient)[0]
    container = impatient.container(PATH)
    impatient.signal(client, signal.SIGUSR1)
    assert heal(impatient).json["action"] == "waiting"
    since = impatient.path(f"{NOTES}/stalled")
    impatient.path(f"{NOTES}/ping").write_text("5\n")
    since.write_text(f"{int(time.time()) - 30}\n")
    assert heal(impatient).json["action"] == "waiting"  # twice 5 s and 30 s are not over
    since.write_text(f"{int(time.time()) - 50}\n")
    impatient.stub("bash", "exit 1")
    assert heal(impatient).json["action"] == "waiting"  # no server answers: it is not the client's fault
    impatient.stub("bash", "exit 0")
    done = heal(impatient)
    assert done.json["action"] == "mounted"
    assert f"its client (pid {client}) gave no answer for" in done.err
    assert done.json["ended"] == [container]
    assert status(impatient).json["alive"] is True


def test_only_a_brick_that_answers_makes_a_stall_the_clients_fault(impatient: Machine) -> None:
    """Not a volfile server: bricks may be out of reach on their own."""
    client = clients(impatient)[0]
    connections = [
        f'0 0 192.0.2.9:1018 192.0.2.1:24007 users:(("glusterfs",pid={client},fd=8))',
        f'0 0 192.0.2.9:1019 192.0.2.1:49152 users:(("glusterfs",pid={client},fd=9))',
        f'0 0 [2001:db8::9]:1020 [2001:db8::2]:49153 users:(("glusterfs",pid={client},fd=10))',
        f'0 0 192.0.2.9:1021 192.0.2.3:49154 users:(("glusterfs",pid={client}7,fd=9))',
    ]
    impatient.stub("ss", "cat <<'END'\n" + "\n".join(connections) + "\nEND")
    assert heal(impatient).json["action"] == "well"
    impatient.signal(client, signal.SIGUSR1)
    assert heal(impatient).json["action"] == "waiting"
    impatient.path(f"{NOTES}/ping").write_text("5\n")
    impatient.path(f"{NOTES}/stalled").write_text(f"{int(time.time()) - 50}\n")
    impatient.stub("bash", "exit 1")
    assert heal(impatient).json["action"] == "waiting"
    asked = [call[3:] for call in impatient.calls("bash")]
    assert asked == [["192.0.2.1", "49152"], ["2001:db8::2", "49153"]]
    impatient.stub("bash", "case $4 in 2001:* | gluster-*) exit 0 ;; esac; exit 1")
    done = heal(impatient)
    assert done.json["action"] == "mounted"
    assert "though a brick did" in done.err


def test_the_ping_timeout_of_a_mount_that_was_made_anew_is_asked_anew(one_machine: Machine) -> None:
    mount_with_timer(one_machine)
    one_machine.path(f"{NOTES}/ping").write_text("5\n")
    one_machine.path(f"{NOTES}/bricks").write_text("192.0.2.1 49152\n")
    assert mount(one_machine, options="acl").json["action"] == "remounted"
    assert not one_machine.path(f"{NOTES}/ping").exists()
    assert not one_machine.path(f"{NOTES}/bricks").exists()


def test_the_ping_timeout_is_asked_again_and_only_a_number_taken(one_machine: Machine) -> None:
    one_machine.stub("cat", 'case $1 in */.meta/*/ping-timeout) shift; exec /bin/cat /run/told ;; esac; /bin/cat "$@"')
    noted, told = one_machine.path(f"{NOTES}/ping"), one_machine.path("/run/told")
    told.write_text("7\n")
    mount_with_timer(one_machine)
    heal(one_machine)
    assert noted.read_text() == "7\n"
    told.write_text("9\n")
    heal(one_machine)
    assert noted.read_text() == "7\n", "a minute has not passed"
    for said in ("9", "1min"):
        told.write_text(f"{said}\n")
        os.utime(noted, (time.time() - 120,) * 2)
        heal(one_machine)
        assert noted.read_text() == "9\n", "what is no number is not taken"


def test_the_default_ping_timeout_is_glusters(impatient: Machine) -> None:
    impatient.signal(clients(impatient)[0], signal.SIGUSR1)
    heal(impatient)
    impatient.path(f"{NOTES}/stalled").write_text(f"{int(time.time()) - 108}\n")
    assert heal(impatient).json["action"] == "waiting"  # twice 42 s and 30 s are 114 s
    impatient.path(f"{NOTES}/stalled").write_text(f"{int(time.time()) - 120}\n")
    assert heal(impatient).json["action"] == "mounted"
