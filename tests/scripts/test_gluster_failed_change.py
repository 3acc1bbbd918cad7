"""gluster_mount.sh: a change that fails, or is killed, leaves the minion as it was."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from components.remote_script import RemoteScript
from tests.support.gluster_mount import OWNER, PATH, UNIT, clients, mount, mounts, settled_clients, unmount
from tests.support.minion import Machine, Result

STATE = "/etc/glusterfarm/mounts/mnt-glusterfs"
#: The client that cannot do what the configuration newly asks for.
PICKY = 'case "$1 $4" in {}) echo "E [MSGID: 1] unknown option" >&2; exit 1 ;; esac\n'


@pytest.fixture
def mounted(machine: Machine) -> Machine:
    mount(machine, resident=True)
    return machine


def as_it_is(machine: Machine) -> Mapping[str, object]:
    """All that a change may touch: the mount, who serves it, and every file of ours."""
    files = machine.command(
        "sh", "-c", "cd /etc && find glusterfarm systemd logrotate.d fstab -type f -exec cksum {} +"
    )
    units = machine.command("find", "/run/systemd/system", "/run/glusterfarm/beside", "-mindepth", "1")
    return {
        "files": sorted(files.out.splitlines()),
        "units": sorted(units.out.splitlines()),
        "mounts": mounts(machine),
        "everywhere": machine.path("/proc/1/mountinfo").read_text().count("fuse.glusterfs"),
    }


def refuse(machine: Machine, pattern: str) -> None:
    machine.install_client(PICKY.format(pattern) + machine.client_body)


@pytest.mark.every_shell
@pytest.mark.parametrize(
    ("pattern", "changed"),
    [
        ("*inet6*", {"options": "xlator-option=transport.address-family=inet6"}),
        ("*:/OtherVolume*", {"volume": "OtherVolume"}),
        ("new-1:*", {"primary": "new-1", "backups": ""}),
    ],
    ids=["option", "volume", "servers"],
)
def test_what_cannot_be_mounted_is_tried_beside_and_changes_nothing(
    mounted: Machine, pattern: str, changed: dict[str, Any]
) -> None:
    before, client = as_it_is(mounted), clients(mounted)
    refuse(mounted, pattern)
    done = mount(mounted, verb="update", resident=True, **changed)
    assert done.status == 1
    (first, *_) = done.err.splitlines()
    assert first.startswith("glusterfarm: minion-1: ")
    assert first.endswith("; nothing was changed, and /mnt/glusterfs stays mounted as it was")
    assert as_it_is(mounted) == before
    assert clients(mounted) == client
    assert settled_clients(mounted, "/run/glusterfarm/beside/mnt-glusterfs") == []
    assert mount(mounted, verb="update", resident=True).json["action"] == "unchanged"


def test_the_evidence_of_a_trial_is_reported(mounted: Machine) -> None:
    mounted.install_client(
        'log=${4#*log-file=}; log=${log%%,*}; echo "E [MSGID: 1] option not recognized" >>"$log"; exit 0\n'
    )
    done = mount(mounted, verb="update", options="acl")
    assert done.err.splitlines()[-1] == "E [MSGID: 1] option not recognized"


@pytest.mark.every_shell
def test_a_swap_that_fails_gives_back_the_mount_of_before(mounted: Machine) -> None:
    """The trial passed, and then the servers refuse: only the second mount with the new option fails."""
    before = as_it_is(mounted)
    mounted.install_client(
        'case "$4" in *acl*) [ ! -e /run/tried ] || exit 1; : >/run/tried ;; esac\n' + mounted.client_body
    )
    done = mount(mounted, verb="update", options="acl", resident=True)
    assert done.status == 1
    assert done.err.splitlines()[0].endswith("; the mount of before is back")
    assert as_it_is(mounted) == before
    assert mount(mounted, verb="update", resident=True).json["action"] == "unchanged"


def test_when_even_the_mount_of_before_fails_heal_goes_on_with_it(mounted: Machine) -> None:
    before = as_it_is(mounted)
    mounted.install_client("[ ! -e /run/tried ] || exit 1; : >/run/tried\n" + mounted.client_body)
    done = mount(mounted, verb="update", options="acl", resident=True)
    assert done.status == 1
    assert "the mount of before does not come back either" in done.err.splitlines()[0]
    mounted.install_client()
    assert heal(mounted).json["action"] == "mounted"
    assert as_it_is(mounted) == before


@pytest.mark.parametrize("resident", [True, False], ids=["with-healing", "without"])
def test_a_file_that_cannot_be_written_changes_nothing(mounted: Machine, resident: bool) -> None:
    """As on a full disk."""
    before, client = as_it_is(mounted), clients(mounted)
    mounted.stub("mv", 'case $* in *"/etc/systemd/system/mnt-glusterfs.mount"*) exit 1 ;; esac; exec /bin/mv "$@"')
    done = mount(mounted, verb="update", options="acl", resident=resident)
    mounted.stub("mv", 'exec /bin/mv "$@"')
    assert done.status == 1
    assert "cannot write /etc/systemd/system/mnt-glusterfs.mount: see whether the disk is full" in done.err
    assert recovered(mounted) == before
    assert clients(mounted) == client


def test_one_that_is_held_is_left_as_it_is(mounted: Machine) -> None:
    before, client = as_it_is(mounted), clients(mounted)
    mounted.background("sh", "-c", f"cd {PATH} && exec sleep 300")
    done = mount(mounted, verb="update", options="acl", resident=True)
    assert f"{PATH} cannot be unmounted (" in done.err
    assert as_it_is(mounted) == before
    assert clients(mounted) == client


def test_without_systemd_it_is_the_same(machine: Machine) -> None:
    machine.command("rmdir", "/run/systemd/system")
    mount(machine)
    before, fstab = mounts(machine), machine.path("/etc/fstab").read_text()
    refuse(machine, "*acl*")
    done = mount(machine, verb="update", options="acl")
    assert "nothing was changed" in done.err
    machine.install_client(
        'case "$4" in *acl*) [ ! -e /run/tried ] || exit 1; : >/run/tried ;; esac\n' + machine.client_body
    )
    done = mount(machine, verb="update", options="acl")
    assert "the mount of before is back" in done.err
    assert (mounts(machine), machine.path("/etc/fstab").read_text()) == (before, fstab)


def test_a_package_that_cannot_be_installed_changes_nothing(mounted: Machine) -> None:
    before, client = as_it_is(mounted), clients(mounted)
    mounted.remove_client()
    mounted.stub("apt-get", "echo 'E: no mirror' >&2; exit 100")
    assert mount(mounted, verb="update", options="acl", resident=True).status == 1
    assert as_it_is(mounted) == before
    assert clients(mounted) == client


@pytest.mark.parametrize("at", ["trial", "files", "swap", "mounted"])
def test_a_run_that_is_killed_is_given_back_by_heal(mounted: Machine, at: str) -> None:
    before = as_it_is(mounted)
    hang = "echo $$ >/run/hangs; exec sleep 300"
    match at:
        case "trial":
            mounted.install_client(f'case "$4" in *acl*) {hang} ;; esac\n' + mounted.client_body)
        case "files":
            mounted.stub("mv", f'case $* in *mnt-glusterfs.mount*) {hang} ;; esac; exec /bin/mv "$@"')
        case "swap":
            mounted.install_client(
                f'case "$4" in *acl*) [ ! -e /run/tried ] || {{ {hang}; }}; : >/run/tried ;; esac\n'
                + mounted.client_body
            )
        case "mounted":
            mounted.stub("rm", f'case $* in */mnt-glusterfs/change) {hang} ;; esac; exec /bin/rm "$@"')
    kill_when(mounted, lambda: mounted.path("/run/hangs").exists())
    mounted.install_client()
    for tool in ("mv", "rm"):
        mounted.stub(tool, f'exec /bin/{tool} "$@"')
    assert recovered(mounted) == before
    assert mount(mounted, verb="update", resident=True).json["action"] == "unchanged"


def test_a_killed_create_is_taken_away_by_heal(machine: Machine) -> None:
    machine.stub(
        "rm", 'case $* in */mnt-glusterfs/change) echo $$ >/run/hangs; exec sleep 300 ;; esac; exec /bin/rm "$@"'
    )
    kill_when(machine, lambda: machine.path("/run/hangs").exists(), verb="mount")
    machine.stub("rm", 'exec /bin/rm "$@"')
    assert heal(machine).status == 0
    assert mounts(machine) == []
    assert not machine.path(UNIT).exists()
    assert mount(machine, resident=True).json["action"] == "mounted"


def test_an_update_whose_deployer_is_gone_is_taken_back(mounted: Machine) -> None:
    """Its sshd ends while the script works: nobody would hear of the success, and Pulumi has the inputs of before."""
    before = as_it_is(mounted)
    mounted.install_client(
        'case "$4" in *acl*) [ ! -e /run/tried ] || pkill -x sshd; : >/run/tried ;; esac\n' + mounted.client_body
    )
    mounted.programs.joinpath("pkill").symlink_to("/usr/bin/pkill")
    mounted.command("cp", "/bin/sh", "/run/sshd")
    line = RemoteScript(name="gluster_mount").over_stdin(*arguments("update", "acl"), sudo=False)
    mounted.path("/run/script").write_text(RemoteScript(name="gluster_mount").text)
    mounted.command("/run/sshd", "-c", f"{line} </run/script >/run/out 2>/run/err; :")
    deadline = time.monotonic() + 30
    while not mounted.path("/run/err").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert (
        "whoever started this change is gone: run pulumi up again; the mount of before is back"
        in mounted.path("/run/err").read_text()
    )
    assert as_it_is(mounted) == before


def test_unmount_after_a_killed_update_leaves_nothing(mounted: Machine) -> None:
    mounted.stub(
        "rm", 'case $* in */mnt-glusterfs/change) echo $$ >/run/hangs; exec sleep 300 ;; esac; exec /bin/rm "$@"'
    )
    kill_when(mounted, lambda: mounted.path("/run/hangs").exists())
    mounted.stub("rm", 'exec /bin/rm "$@"')
    assert unmount(mounted).json["action"] == "unmounted"
    assert mounts(mounted) == []
    assert not mounted.path(STATE).exists()
    assert not mounted.path(UNIT).exists()


def arguments(verb: str, options: str) -> list[str]:
    return [verb, OWNER, "gluster-1", "gluster-2:gluster-3", "MyVolume", PATH, options, "minion-1", "1"]


def kill_when(machine: Machine, reached: Callable[[], bool], verb: str = "update") -> None:
    """Start a change, and kill it with all that it started once it has come so far."""
    script = RemoteScript(name="gluster_mount")
    run = subprocess.Popen(
        [*machine.enter, "sh", "-c", script.resident(*arguments(verb, "acl"), sudo=False)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        env={"PATH": str(machine.programs), "CALLS": str(machine.calls_file), "HOME": "/root"},
    )
    assert run.stdin is not None
    run.stdin.write(script.text)
    run.stdin.close()
    deadline = time.monotonic() + 30
    while not reached():
        assert time.monotonic() < deadline, "it never came so far"
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait(timeout=10)


def heal(machine: Machine) -> Result:
    return machine.run("gluster_mount", "heal", "MyVolume", PATH)


def recovered(machine: Machine) -> Mapping[str, object]:
    """How it is once heal has run."""
    assert heal(machine).status == 0
    return as_it_is(machine)
