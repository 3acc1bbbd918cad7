"""gluster_mount.sh installs the client with what the distribution has, and only when it is missing."""

from __future__ import annotations

import pytest

from tests.support.gluster_mount import UNIT, mount
from tests.support.minion import Machine

APT = [
    "-y",
    "-o",
    "DPkg::Lock::Timeout=120",
    "-o",
    "Acquire::Retries=1",
    "-o",
    "Acquire::http::Timeout=20",
    "-o",
    "Acquire::https::Timeout=20",
]
APT_INSTALL = [*APT, "install", "--no-install-recommends", "glusterfs-client"]


@pytest.fixture
def bare(machine: Machine) -> Machine:
    """A machine without the Gluster client: what a package manager's stub does brings it."""
    machine.command("mv", "/usr/sbin/mount.glusterfs", "/run/client")
    return machine


INSTALLS = "mv /run/client /usr/sbin/mount.glusterfs\n"


def test_a_client_that_is_there_is_not_installed(machine: Machine) -> None:
    for manager in ("apt-get", "dnf", "yum", "zypper"):
        machine.stub(manager, "exit 1")
    assert mount(machine).json["installed"] is False
    assert all(machine.calls(manager) == [] for manager in ("apt-get", "dnf", "yum", "zypper"))


@pytest.mark.every_shell
@pytest.mark.parametrize(
    ("manager", "arguments"),
    [
        ("apt-get", APT_INSTALL),
        ("dnf", ["install", "-y", "glusterfs-fuse"]),
        ("yum", ["install", "-y", "glusterfs-fuse"]),
        ("zypper", ["--non-interactive", "install", "--no-recommends", "glusterfs-fuse"]),
    ],
)
def test_it_is_installed_with_what_there_is(bare: Machine, manager: str, arguments: list[str]) -> None:
    bare.stub(manager, INSTALLS)
    done = mount(bare).json
    assert (done["action"], done["installed"]) == ("mounted", True)
    assert bare.calls(manager) == [arguments]


def test_apt_asks_nothing_and_restarts_nothing(bare: Machine) -> None:
    bare.stub("apt-get", f'[ "$DEBIAN_FRONTEND,$NEEDRESTART_SUSPEND" = noninteractive,1 ] && {INSTALLS}')
    assert mount(bare).json["installed"] is True


@pytest.mark.every_shell
def test_stale_lists_are_renewed_once(bare: Machine) -> None:
    bare.stub(
        "apt-get",
        f"case $* in *update) touch /run/fresh;; *) [ -f /run/fresh ] || exit 100; {INSTALLS};; esac",
    )
    assert mount(bare).json["installed"] is True
    assert bare.calls("apt-get") == [APT_INSTALL, [*APT, "update"], APT_INSTALL]


@pytest.mark.every_shell
@pytest.mark.parametrize("manager", ["apt-get", "dnf", "yum", "zypper"])
def test_no_network_is_a_clear_error(bare: Machine, manager: str) -> None:
    bare.stub(manager, "for i in 1 2 3 4 5 6 7 8 9; do echo chatter; done; echo 'E: no such host' >&2; exit 100")
    done = mount(bare)
    assert done.status == 1
    lines = done.err.splitlines()
    assert lines[0].startswith("glusterfarm: minion-1: the Gluster client cannot be installed: ")
    assert "E: no such host" in lines
    assert not bare.path(UNIT).exists()


def test_a_package_manager_that_succeeds_without_bringing_it(bare: Machine) -> None:
    bare.stub("dnf", "exit 0")
    done = mount(bare)
    assert done.status == 1
    assert "the Gluster client cannot be installed" in done.err


#: What each says of a database that another run holds, and how it is called.
LOCKED = {
    "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 7": ("apt-get", APT_INSTALL),
    "E: Unable to acquire the dpkg frontend lock, is another process using it?": ("apt-get", APT_INSTALL),
    "error: can't create transaction lock on /var/lib/rpm/.rpm.lock": ("dnf", ["install", "-y", "glusterfs-fuse"]),
    "Existing lock /var/run/yum.pid: another copy is running as pid 7.": ("yum", ["install", "-y", "glusterfs-fuse"]),
    "System management is locked by the application with pid 7 (zypper).": (
        "zypper",
        ["--non-interactive", "install", "--no-recommends", "glusterfs-fuse"],
    ),
}


@pytest.mark.parametrize("said", LOCKED, ids=["apt", "dpkg", "rpm", "yum", "zypper"])
def test_a_locked_package_database_is_waited_for(bare: Machine, said: str) -> None:
    manager, arguments = LOCKED[said]
    bare.stub(manager, f'if [ -f /run/tried ]; then {INSTALLS}else touch /run/tried; echo "{said}" >&2; exit 100; fi')
    bare.stub("sleep", "")
    assert mount(bare).json["installed"] is True
    assert bare.calls(manager) == [arguments, arguments]
    assert bare.calls("sleep") == [["5"]]


def test_no_package_manager_is_a_clear_error(bare: Machine) -> None:
    done = mount(bare)
    assert done.status == 1
    assert "none of apt-get, dnf, yum and zypper to install it: install mount.glusterfs by hand" in done.err
