"""`ops drift` and the minions' mounts: whatever is not as recorded is named, left alone, and mended when asked."""

from __future__ import annotations

import signal

import pytest

from tests.support.gluster_mount import clients, settled_clients
from tests.support.logins import noisy
from tests.unit.ops.conftest import NAMES, Deployed

UNIT = "/etc/systemd/system/mnt-glusterfs.mount"
HEALER = "glusterfarm-heal-mnt-glusterfs"
STATE = "/etc/glusterfarm/mounts/mnt-glusterfs"
BARE = "unshare --mount --propagation private sh -ec 'umount -n -l /mnt/glusterfs; %s'"


def test_nothing_drifted(deployed: Deployed) -> None:
    assert deployed.drift() == (0, "no drift: 2 minions and their nodes against the state of stack dev\n", "")
    assert [len(deployed.servers[name].commands) for name in NAMES] == [1, 2], "one command a minion, and one asks"


@pytest.mark.parametrize(
    ("spoil", "whats"),
    [
        ("umount /mnt/glusterfs", ["mount"]),
        (f"umount /mnt/glusterfs; systemctl stop {HEALER}.timer", ["mount", "healing timer"]),
        (
            f"""
            sed -i s/^Options=.*/Options=acl/ {UNIT}
            sed -i s/heal.sh/hell.sh/ /etc/systemd/system/{HEALER}.service
            echo exit >{STATE}/heal.sh
            echo nobody >{STATE}/servers
            rm {STATE}/owners/dev-minion_-1 /etc/logrotate.d/*
            """,
            ["owner", "servers", "log rotation", "unit", "healing script", "healing unit"],
        ),
        (f"rm {UNIT} /etc/systemd/system/{HEALER}.timer", ["unit", "healing timer"]),
        ("rm -r /etc/systemd/system/multi-user.target.wants", ["unit", "healing timer"]),
        (f"systemctl stop {HEALER}.timer", ["healing timer"]),
        (f"echo MyVolume acl >{STATE}/settled", ["options"]),
        (BARE % "chattr -i /mnt/glusterfs", ["guard"]),
        ("umount /mnt/glusterfs; mount -t glusterfs gluster-9:/MyVolume /mnt/glusterfs", ["mount"]),
    ],
    ids=["unmounted", "alone", "changed", "removed", "disabled", "stopped", "options", "guard", "server"],
)
def test_each_is_named_left_alone_and_mended(deployed: Deployed, spoil: str, whats: list[str]) -> None:
    machine, other = deployed.machines["minion-1"], deployed.machines["minion-2"]
    deployed.on(spoil)
    before, running = machine.changes(), (settled_clients(machine), clients(other))

    status, out, err = deployed.drift()
    assert (status, err) == (1, "")
    *lines, summary = out.splitlines()
    assert [line.split(": ")[:2] for line in lines] == [["minion-1", what] for what in whats]
    assert all("found " in line and ", wanted " in line and "--repair" in line for line in lines)
    assert summary.startswith(f"{len(whats)} finding")
    assert machine.changes() == before, "looking changes nothing"
    assert (clients(machine), clients(other)) == running

    status, out, err = deployed.drift("--repair")
    assert (status, err) == (0, "")
    assert out.splitlines()[0].startswith("minion-1: mount repaired: ")
    assert out.splitlines()[-1].startswith("no drift: ")
    assert clients(other) == running[1], "nothing was done on the other"
    assert len(deployed.servers["minion-2"].commands) == 3 + 2, "but looked at, twice by --repair, and asked"
    assert not any(call.startswith("up") for call in deployed.calls())


def test_what_was_found_and_what_is_wanted_are_shown(deployed: Deployed) -> None:
    deployed.on(f"sed -i s/^Options=.*/Options=acl/ {UNIT}")

    (finding,) = deployed.findings()
    assert finding["found"] == f"'Options=acl' in {UNIT}"
    assert finding["wanted"].startswith("'Options=_netdev,log-file=")


def test_a_read_only_mount_is_mounted_anew(deployed: Deployed) -> None:
    deployed.on("umount /mnt/glusterfs; mount -t glusterfs -o ro gluster-1:/MyVolume /mnt/glusterfs")
    for server in deployed.servers.values():
        server.login = noisy  # which is no part of what a script answers, nor of how a repair ended

    (finding,) = deployed.findings()
    assert (finding["what"], finding["found"]) == ("options", "a read-only one")
    status, out, _ = deployed.drift("--repair")
    assert (status, out.splitlines()[0]) == (0, "minion-1: mount repaired: remounted")


def test_a_machine_made_anew_is_one_finding(deployed: Deployed) -> None:
    deployed.on("umount /mnt/glusterfs; rm -r /etc/glusterfarm /etc/logrotate.d/* /etc/systemd/system/*")

    (finding,) = deployed.findings()
    assert (finding["minion"], finding["what"]) == ("minion-1", "everything")
    assert deployed.findings("--repair") == []


def test_a_dead_client_is_mended_and_a_volume_that_is_away_is_not_ours_to_mend(deployed: Deployed) -> None:
    machine = deployed.machines["minion-1"]
    (pid,) = clients(machine)
    machine.signal(pid, signal.SIGUSR2)
    (finding,) = deployed.findings("--repair")
    assert (finding["what"], finding["wanted"]) == ("mount", "a volume that answers")
    assert f"client {pid}" in finding["found"]
    assert "volume that is away" in finding["remedy"]
    assert clients(machine) == [pid], "nothing was done"

    machine.signal(pid, signal.SIGKILL)
    (finding,) = deployed.findings()
    assert "its client is dead" in finding["found"]
    assert deployed.findings("--repair") == []


def test_a_mount_that_hangs_is_bounded(deployed: Deployed) -> None:
    machine = deployed.machines["minion-2"]
    (pid,) = clients(machine)
    machine.signal(pid, signal.SIGUSR1)
    try:
        (finding,) = deployed.findings()
    finally:
        machine.signal(pid, signal.SIGHUP)

    assert finding["minion"] == "minion-2"
    assert "no answer in time" in finding["found"]


def test_a_foreign_mount_is_named_and_a_repair_that_fails_says_why(deployed: Deployed) -> None:
    deployed.on("umount /mnt/glusterfs; mount -t tmpfs 'of\033[31m \"others\"' /mnt/glusterfs")
    status, out, err = deployed.drift("--repair")

    assert status == 1
    assert "minion-1: mount: found 'of?[31m \"others\"' (tmpfs), wanted gluster-" in out
    assert err.startswith(
        "error: minion-1: mount not repaired: glusterfarm: minion-1: /mnt/glusterfs carries a foreign"
    )
    assert "Traceback" not in err


def test_an_owner_that_nobody_has_any_more(deployed: Deployed) -> None:
    deployed.on(f"echo dev/renamed MyVolume >{STATE}/owners/dev-renamed; echo prod/a b >{STATE}/owners/prod-a")

    (finding,) = deployed.findings()
    assert (finding["what"], finding["found"]) == ("owner", "'dev/renamed'")

    # What docs/operations.md says to do about it, and about one that is the last.
    deployed.on("rm $(grep -l '^dev/renamed ' /etc/glusterfarm/mounts/*/owners/*)")
    assert deployed.findings() == []
    deployed.on(f"rm {STATE}/owners/prod-a; sh {STATE}/heal.sh unmount dev/minion-1 MyVolume /mnt/glusterfs minion-1")
    assert deployed.whats() == [("minion-1", "everything")]
    assert clients(deployed.machines["minion-1"]) == []
