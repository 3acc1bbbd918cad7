"""gluster_mount.sh mount: what it makes, what it leaves alone, what it refuses, what it believes."""

from __future__ import annotations

import pytest

from tests.support.gluster_mount import (
    OWNER,
    PATH,
    UNIT,
    clients,
    mount,
    mounted_by_hand,
    mounts,
    status,
    unmount,
)
from tests.support.minion import Machine

HEALER = "/etc/systemd/system/glusterfarm-heal-mnt-glusterfs"
#: What the owners of a mount have in common.
SHARED = (
    UNIT,
    f"{HEALER}.service",
    f"{HEALER}.timer",
    "/etc/glusterfarm/mounts/mnt-glusterfs/servers",
    "/etc/glusterfarm/mounts/mnt-glusterfs/heal.sh",
)
LOG = "/var/log/glusterfs/glusterfarm/mnt-glusterfs.log"


@pytest.mark.every_shell
def test_a_fresh_mount(machine: Machine) -> None:
    done = mount(machine, options="acl").json
    assert (done["action"], done["source"], done["guard"]) == ("mounted", "gluster-1:/MyVolume", "immutable")
    assert done["client"] == clients(machine)[0]
    assert mounts(machine) == [("fuse.glusterfs", "gluster-1:/MyVolume")]
    assert (machine.path(UNIT)).read_text() == (
        "# Written by glusterfarm; owners and settings are in /etc/glusterfarm/mounts.\n"
        "[Unit]\n"
        "Description=GlusterFS volume MyVolume on /mnt/glusterfs\n"
        "Wants=network-online.target\n"
        "After=network-online.target\n"
        "Before=kubelet.service snap.microk8s.daemon-kubelite.service k0sworker.service k0scontroller.service"
        " k3s.service k3s-agent.service rke2-server.service rke2-agent.service\n"
        "StartLimitIntervalSec=0\n"
        "\n"
        "[Mount]\n"
        "What=gluster-1:/MyVolume\n"
        "Where=/mnt/glusterfs\n"
        "Type=glusterfs\n"
        f"Options=acl,_netdev,log-file={LOG},backup-volfile-servers=gluster-2:gluster-3\n"
        "TimeoutSec=30\n"
        "OOMScoreAdjust=-999\n"
        "\n"
        "[Install]\n"
        "WantedBy=multi-user.target\n"
    )
    assert LOG in (machine.path("/etc/logrotate.d/glusterfarm-mnt-glusterfs")).read_text()
    assert ["enable", "--", "mnt-glusterfs.mount"] in machine.calls("systemctl")
    assert status(machine).json["owners"] == [OWNER]


def test_what_the_mount_helper_is_given(machine: Machine) -> None:
    mount(machine, options="acl,log-file=/elsewhere")
    ((source, path, flag, options),) = machine.calls("mount.glusterfs")
    assert (source, path, flag) == ("gluster-1:/MyVolume", PATH, "-o")
    # of an option that is given twice the helper takes the last
    assert options.split(",").index(f"log-file={LOG}") > options.split(",").index("log-file=/elsewhere")
    assert "backup-volfile-servers=gluster-2:gluster-3" in options


def test_a_single_server_has_no_backups(machine: Machine) -> None:
    mount(machine, backups="")
    assert "backup-volfile-servers" not in machine.path(UNIT).read_text()


@pytest.mark.every_shell
def test_a_second_mount_touches_nothing(machine: Machine) -> None:
    first = mount(machine).json
    calls = len(machine.calls("systemctl"))
    second = mount(machine).json
    assert (second["action"], second["client"]) == ("unchanged", first["client"])
    assert machine.calls("systemctl")[calls:] == [["is-enabled", "--quiet", "--", "mnt-glusterfs.mount"]]
    assert len(machine.calls("mount.glusterfs")) == 1


def test_another_primary_server_is_written_down_and_the_mount_left_alone(machine: Machine) -> None:
    first = mount(machine).json
    second = mount(machine, primary="gluster-2", backups="gluster-3:gluster-1").json
    assert (second["action"], second["client"]) == ("unchanged", first["client"])
    assert "What=gluster-2:/MyVolume\n" in machine.path(UNIT).read_text()


@pytest.mark.every_shell
@pytest.mark.parametrize(("options", "volume"), [("acl", "MyVolume"), ("", "OtherVolume")])
def test_other_options_or_another_volume_are_mounted_anew(machine: Machine, options: str, volume: str) -> None:
    first = mount(machine).json
    second = mount(machine, options=options, volume=volume).json
    assert second["action"] == "remounted"
    assert second["client"] != first["client"]
    assert mounts(machine) == [("fuse.glusterfs", f"gluster-1:/{volume}")]
    helper = machine.calls("mount.glusterfs")
    assert not any("remount" in word for call in helper for word in call)


def test_a_mount_from_a_server_that_is_no_longer_ours_is_mounted_anew(machine: Machine) -> None:
    mount(machine, primary="old-1", backups="")
    assert mount(machine).json["action"] == "remounted"
    assert mounts(machine) == [("fuse.glusterfs", "gluster-1:/MyVolume")]


@pytest.mark.every_shell
def test_a_mount_made_by_hand_is_adopted(machine: Machine) -> None:
    pid = mounted_by_hand(machine)
    done = mount(machine).json
    assert (done["action"], done["client"], done["source"]) == ("adopted", pid, "gluster-2:/MyVolume")
    assert done["guard"] == "immutable"  # of the directory below the mount
    assert machine.path(UNIT).exists()
    assert mount(machine, verb="update").json["action"] == "unchanged"
    assert unmount(machine).json["action"] == "unmounted"
    assert mounts(machine) == []


def test_a_read_only_mount_is_not_taken_for_one_to_write_to(machine: Machine) -> None:
    pid = mounted_by_hand(machine, options="ro")
    done = mount(machine).json
    assert done["action"] == "remounted"
    assert done["client"] != pid
    machine.command("mount", "-o", "remount,ro", PATH)
    assert "ro" in status(machine).json["options"].split(",")
    assert mount(machine, verb="update").json["action"] == "remounted"
    assert "ro" not in status(machine).json["options"].split(",")


def test_one_that_is_in_use_and_cannot_be_made_right_is_left_as_it_is(machine: Machine) -> None:
    pid = mounted_by_hand(machine, options="ro")
    machine.background("sh", "-c", f"cd {PATH} && exec sleep 300")
    done = mount(machine)
    assert done.status == 1
    assert f"{PATH} cannot be unmounted (" in done.err
    assert clients(machine) == [pid]
    assert mounts(machine) == [("fuse.glusterfs", "gluster-2:/MyVolume")]
    assert not machine.path(UNIT).exists()


@pytest.mark.every_shell
def test_a_unit_that_somebody_else_wrote_is_given_back(machine: Machine) -> None:
    mounted_by_hand(machine)
    theirs = f"[Mount]\nWhat=gluster-2:/MyVolume\nWhere={PATH}\nType=glusterfs\n"
    machine.path(UNIT).write_text(theirs)
    machine.command("systemctl", "enable", "mnt-glusterfs.mount")
    assert mount(machine).json["action"] == "adopted"
    assert machine.path(UNIT).read_text() != theirs
    assert mount(machine, verb="update").json["action"] == "unchanged"
    assert unmount(machine).json["action"] == "unmounted"
    assert machine.path(UNIT).read_text() == theirs
    assert machine.command("systemctl", "is-enabled", "mnt-glusterfs.mount").out == "enabled\n"


@pytest.mark.parametrize("source", ["gluster-1:MyVolume", "gluster-3,gluster-1:/MyVolume"])
def test_other_ways_to_write_the_same_source(machine: Machine, source: str) -> None:
    mounted_by_hand(machine, source)
    assert mount(machine).json["action"] == "adopted"


@pytest.mark.every_shell
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        ("mkdir -p /mnt/real && ln -s real /mnt/glusterfs", "/mnt/glusterfs is a symbolic link: give the path"),
        ("mkdir -p /run/x/glusterfs && ln -s /run/x /mnt/x", None),
        ("touch /mnt/glusterfs", "/mnt/glusterfs is not a directory"),
        ("mkdir /mnt/glusterfs && touch /mnt/glusterfs/precious", "there are files in it: move them away"),
        ("mkdir /mnt/glusterfs && mount -t tmpfs 'a b' /mnt/glusterfs", "foreign mount (a b, tmpfs): unmount that"),
        (
            "mkdir /mnt/glusterfs && mount -t glusterfs elsewhere:/MyVolume /mnt/glusterfs",
            "foreign mount (elsewhere:/MyVolume, fuse.glusterfs)",
        ),
        (
            "mkdir /mnt/glusterfs && mount -t glusterfs gluster-1:/OtherVolume /mnt/glusterfs",
            "foreign mount (gluster-1:/OtherVolume, fuse.glusterfs)",
        ),
    ],
)
def test_what_is_in_the_way_is_refused_and_left_alone(machine: Machine, make: str, reason: str | None) -> None:
    path = PATH if reason else "/mnt/x/glusterfs"
    assert machine.command("sh", "-c", make).status == 0
    before = mounts(machine)
    done = mount(machine, path=path)
    assert done.status == 1
    assert done.err.startswith("glusterfarm: minion-1: ")
    assert (reason or "/mnt/x is a symbolic link: give the path it leads to (/run/x/glusterfs)") in done.err
    assert mounts(machine) == before
    assert not machine.path("/etc/glusterfarm").exists()
    assert not machine.path(UNIT).exists()


def test_a_bind_of_a_directory_of_the_volume_is_a_foreign_mount(machine: Machine) -> None:
    mounted_by_hand(machine, "gluster-1:/MyVolume", "/mnt/other")
    machine.command("sh", "-c", "touch /mnt/other/file /run/file && mount --bind /mnt/other/file /run/file")
    done = mount(machine, path="/run/file")
    assert done.status == 1
    assert "foreign mount" in done.err


def test_the_bare_directory_cannot_be_written_to(machine: Machine) -> None:
    mount(machine)
    machine.command("umount", PATH)
    written = machine.command("sh", "-c", "echo stray >/mnt/glusterfs/stray")
    assert written.status != 0
    assert status(machine).json["guard"] == "immutable"


@pytest.mark.every_shell
def test_where_a_directory_cannot_be_immutable_its_mode_guards_it(machine: Machine) -> None:
    machine.stub("chattr", "echo 'chattr: Operation not supported while reading flags' >&2; exit 1")
    machine.command("mkdir", "-m", "0750", PATH)
    assert mount(machine).json["guard"] == "mode"
    assert status(machine).json["guard"] == "mode"
    unmount(machine)
    assert machine.command("stat", "-c", "%a", PATH).out == "750\n"


@pytest.mark.every_shell
def test_the_mount_helpers_success_is_not_believed(machine: Machine) -> None:
    machine.install_client("exit 0\n")
    done = mount(machine)
    assert done.status == 1
    first, *_ = done.err.splitlines()
    assert first == (
        "glusterfarm: minion-1: gluster-1:/MyVolume is not mounted on /mnt/glusterfs, whatever the mount helper said: "
        "see that the servers (gluster-1:gluster-2:gluster-3) answer on port 24007 and that the volume is started"
    )
    # nothing calls unmount after a create that failed: all of it is gone
    for path in (UNIT, PATH, "/etc/logrotate.d/glusterfarm-mnt-glusterfs", "/etc/glusterfarm/mounts/mnt-glusterfs"):
        assert not machine.path(path).exists(), path


@pytest.mark.every_shell
def test_a_failure_ends_with_what_the_client_logged(machine: Machine) -> None:
    machine.install_client(
        'log=${4#*log-file=}; log=${log%%,*}; echo "E [MSGID: 1] failed to fetch volume file" >>"$log"; exit 0\n'
    )
    done = mount(machine)
    assert done.status == 1
    assert done.err.splitlines()[-1] == "E [MSGID: 1] failed to fetch volume file"


def test_a_mount_that_cannot_be_written_to_fails_and_is_taken_away(machine: Machine) -> None:
    machine.stub("rm", 'case $* in */.glusterfarm-probe-*) exit 1 ;; esac; exec /bin/rm "$@"')
    done = mount(machine)
    assert done.status == 1
    assert "a file cannot be written to /mnt/glusterfs and read back" in done.err
    assert mounts(machine) == []
    assert not machine.path(UNIT).exists()


def test_the_probe_leaves_nothing_on_the_volume(machine: Machine) -> None:
    mount(machine)
    assert machine.command("ls", "-A", PATH).out == ""


def test_a_read_only_mount_is_not_written_to(machine: Machine) -> None:
    assert mount(machine, options="ro").json["action"] == "mounted"


@pytest.mark.parametrize(("machine_id", "first"), [("9", "gluster-1"), ("5", "gluster-3"), ("1", "gluster-2")])
def test_which_server_is_first_depends_on_the_machine_and_not_on_its_name(
    machine: Machine, machine_id: str, first: str
) -> None:
    """Two stacks may have two names for one machine, and share its mount."""
    machine.path("/etc/machine-id").write_text(f"{machine_id:0>32}\n")
    mount(machine, resident=True)
    written = {path: machine.path(path).read_text() for path in SHARED}
    assert f"What={first}:/MyVolume\n" in written[UNIT]
    assert mount(machine, owner="prod/other-name", minion="other-name", resident=True).json["action"] == "unchanged"
    assert {path: machine.path(path).read_text() for path in SHARED} == written


def test_a_failed_second_owner_leaves_the_first_ones_mount(machine: Machine) -> None:
    first = mount(machine).json
    done = mount(machine, owner="prod/minion-1", options="acl")
    assert done.status == 1
    assert "also belongs to dev/minion-1" in done.err
    after = status(machine).json
    assert (after["owners"], after["client"]) == ([OWNER], first["client"])


@pytest.mark.every_shell
def test_a_stack_whose_name_ends_alike_is_another_one(machine: Machine) -> None:
    first = mount(machine, owner="nonprod/minion-1").json
    done = mount(machine, owner="prod/minion-1", options="acl")
    assert done.status == 1
    assert "also belongs to nonprod/minion-1" in done.err
    assert status(machine).json["client"] == first["client"]


def test_selinux_that_forbids_it_is_named(machine: Machine) -> None:
    machine.stub("getenforce", "echo Enforcing")
    machine.stub("getsebool", 'echo "$1 --> off"')
    done = mount(machine)
    assert done.status == 1
    assert "run: setsebool -P virt_sandbox_use_fusefs on" in done.err
    machine.stub("getsebool", 'echo "$1 --> on"')
    assert mount(machine).json["action"] == "mounted"


@pytest.mark.every_shell
def test_a_machine_without_systemd_gets_an_fstab_line(machine: Machine) -> None:
    machine.command("rmdir", "/run/systemd/system")
    fstab = machine.path("/etc/fstab")
    done = mount(machine, options="acl").json
    assert done["kept"] == "fstab"
    line = (
        "# glusterfarm: the next line mounts /mnt/glusterfs\n"
        f"gluster-1:/MyVolume /mnt/glusterfs glusterfs acl,_netdev,log-file={LOG},"
        "backup-volfile-servers=gluster-2:gluster-3 0 0\n"
    )
    assert fstab.read_text() == "# static\n" + line
    assert machine.calls("systemctl") == []
    assert mount(machine, options="acl", verb="update").json["action"] == "unchanged"
    assert fstab.read_text() == "# static\n" + line
    mount(machine, path="/mnt/second")
    unmount(machine)
    assert "/mnt/glusterfs " not in fstab.read_text()
    assert " /mnt/second " in fstab.read_text()
    unmount(machine, path="/mnt/second")
    assert fstab.read_text() == "# static\n"


def test_without_systemd_the_client_outlives_the_session(machine: Machine) -> None:
    machine.command("rmdir", "/run/systemd/system")
    pid = mount(machine).json["client"]
    ours = machine.command("sh", "-c", 'cut -d " " -f 6 "/proc/$$/stat"').out
    assert machine.command("cut", "-d", " ", "-f", "6", f"/proc/{pid}/stat").out != ours
