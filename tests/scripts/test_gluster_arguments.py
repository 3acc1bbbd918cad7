"""gluster_mount.sh with hostile arguments: each is refused with a reason, and nothing of it is ever run."""

from __future__ import annotations

from typing import Any

import pytest

from components.remote_script import RemoteScript
from tests.support.gluster_mount import mount, mounts, status, unmount
from tests.support.minion import Machine

HOSTILE = [
    "two words",
    "a'quote",
    'a"quote',
    "a;touch /run/pwned",
    "$(touch /run/pwned)",
    "`touch /run/pwned`",
    "line\nbreak",
    "tab\there",
    "-o",
    "back\\slash",
    "star*",
    "[a]",
    "a#b",
    "a&b",
    "a|b",
    "é",
    "",
]


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("argument", ["owner", "primary", "backups", "volume", "path", "options", "minion"])
def test_hostile_arguments(shared_machine: Machine, argument: str, value: str) -> None:
    given: dict[str, Any] = {argument: value}
    if (argument, value) in (("backups", ""), ("options", ""), ("options", "star*")):
        assert mount(shared_machine, **given).status == 0
        assert unmount(shared_machine).json["action"] == "unmounted"
        return
    if argument == "path" and value:
        given[argument] = f"/mnt/{value}" if value != "-o" else value
    done = mount(shared_machine, **given)
    assert done.status == 1, done
    assert done.err.startswith("glusterfarm: ")
    assert "cannot be used" in done.err
    assert done.err.count("\n") == 1
    assert done.out == ""
    assert not shared_machine.path("/run/pwned").exists()
    assert not shared_machine.path("/etc/glusterfarm").exists()
    assert not any(shared_machine.path("/mnt").iterdir())


@pytest.mark.parametrize("path", ["/", "relative", "/mnt/", "//mnt", "/mnt//x", "/mnt/../etc", "/mnt/./x", "/mnt/.."])
def test_paths_that_are_not_what_they_seem(shared_machine: Machine, path: str) -> None:
    done = mount(shared_machine, path=path)
    assert done.status == 1
    assert f"the mount path '{path}' cannot be used: give an absolute path" in done.err


@pytest.mark.parametrize("path", ["/mnt/50%full", "/mnt/a@b", "/mnt/a+b=c", "/mnt/a:b", "/mnt/.hidden", "/mnt/a/b/c"])
def test_unusual_paths_work(machine: Machine, path: str) -> None:
    done = mount(machine, path=path).json
    assert done["path"] == path
    assert mounts(machine, path) == [("fuse.glusterfs", "gluster-1:/MyVolume")]
    assert status(machine, path=path).json["alive"] is True
    assert mount(machine, path=path, verb="update").json["action"] == "unchanged"
    assert unmount(machine, path=path).json["action"] == "unmounted"
    assert mounts(machine, path) == []


@pytest.mark.every_shell
def test_a_percent_sign_is_escaped_for_systemd(machine: Machine) -> None:
    mount(machine, path="/mnt/50%full")
    unit = machine.path("/etc/systemd/system/mnt-50\\x25full.mount").read_text()
    assert "Where=/mnt/50%%full\n" in unit
    assert "log-file=/var/log/glusterfs/glusterfarm/mnt-50%%full.log" in unit


@pytest.mark.every_shell
@pytest.mark.parametrize(
    "arguments", [[], ["mount"], ["mount", "a"], ["unmount", "a", "b", "c"], ["--help"], ["x"] * 9]
)
def test_a_wrong_call_says_how(machine: Machine, arguments: list[str]) -> None:
    done = machine.command("sh", "-s", "--", *arguments, stdin=RemoteScript(name="gluster_mount").text)
    assert done.status == 2
    assert "usage: mount|update OWNER PRIMARY BACKUPS VOLUME MOUNTPATH OPTIONS MINION GENERATION" in done.err


@pytest.mark.every_shell
def test_only_root_may(machine: Machine) -> None:
    machine.stub("id", "echo 1000")
    done = mount(machine)
    assert done.status == 1
    assert "not running as root: connect as root, or as a user who may run sudo without a password" in done.err


@pytest.mark.every_shell
def test_the_rest_of_the_script_is_not_eaten_by_what_it_starts(machine: Machine) -> None:
    machine.install_client(f"cat >/run/eaten\n{machine.client_body}")
    mount(machine)
    assert machine.path("/run/eaten").read_text() == ""
    assert RemoteScript(name="gluster_mount").text.endswith('\nmain "$@" </dev/null\n')
