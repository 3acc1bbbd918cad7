"""gluster_mount.sh's verbs with the arguments that most tests want."""

from __future__ import annotations

import time

from tests.support.minion import Machine, Result

PATH = "/mnt/glusterfs"
UNIT = "/etc/systemd/system/mnt-glusterfs.mount"
OWNER = "dev/minion-1"


def mount(
    machine: Machine,
    *,
    owner: str = OWNER,
    primary: str = "gluster-1",
    backups: str = "gluster-2:gluster-3",
    volume: str = "MyVolume",
    path: str = PATH,
    options: str = "",
    minion: str = "minion-1",
    verb: str = "mount",
    resident: bool = False,
) -> Result:
    """Run `mount`, or `update`; ``resident`` as the program does, with what heals the mount."""
    words = (verb, owner, primary, backups, volume, path, options, minion, "1")
    return machine.run("gluster_mount", *words, resident=resident)


def unmount(machine: Machine, *, owner: str = OWNER, volume: str = "MyVolume", path: str = PATH) -> Result:
    """Run `unmount`."""
    return machine.run("gluster_mount", "unmount", owner, volume, path, "minion-1")


def status(machine: Machine, *, volume: str = "MyVolume", path: str = PATH) -> Result:
    """Run `status`."""
    return machine.run("gluster_mount", "status", volume, path, "minion-1")


def mounted_by_hand(
    machine: Machine, source: str = "gluster-2:/MyVolume", path: str = PATH, options: str = "rw"
) -> int:
    """Mount as an administrator would, and give the pid of the client."""
    machine.command("mkdir", "-p", path)
    made = machine.command("mount", "-t", "glusterfs", "-o", options, source, path)
    assert made.status == 0, made
    return clients(machine, path)[-1]


def clients(machine: Machine, path: str = PATH) -> list[int]:
    """Give the pids, in the machine, of the processes that serve a mount there, the oldest first."""
    found = machine.command(
        "sh",
        "-c",
        'for p in /proc/[0-9]*; do read -r name <"$p/comm" && [ "$name" = glusterfs ] && '
        '[ "$(tr "\\0" "\\n" <"$p/cmdline" | tail -n 1)" = "$1" ] && echo "${p#/proc/}"; done 2>/dev/null; true',
        "sh",
        path,
    )
    return sorted(int(pid) for pid in found.out.split())


def settled_clients(machine: Machine, path: str = PATH) -> list[int]:
    """``clients``, once those have ended whose mounts are gone: umount does not wait for them."""
    deadline = time.monotonic() + 30
    while True:
        found = clients(machine, path)
        if len(found) == sum(fstype == "fuse.glusterfs" for fstype, _ in mounts(machine, path)):
            return found
        assert time.monotonic() < deadline, (found, mounts(machine, path))
        time.sleep(0.05)


def mounts(machine: Machine, path: str = PATH) -> list[tuple[str, str]]:
    """Give (fstype, source) of what is mounted at a path, the lowest first."""
    found = []
    for line in machine.path("/proc/1/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        if fields.split()[4] == path:
            fstype, source, *_ = rest.split()
            found.append((fstype, source))
    return found
