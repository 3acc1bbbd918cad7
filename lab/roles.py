"""What each kind of machine is set up with: its files, its units, what it shares with the host."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from lab import kubernetes_files
from lab.disk import File, Setup, template
from lab.gluster import BRICKS
from lab.machines import Share
from lab.network import resolvers
from lab.ssh_keys import SshKey
from lab.toolchain import Toolchain
from lab.topology import Machine, Topology

_USER_ID = 1000

# Packages enable more than a machine of this lab is for: timers that hold apt's lock, services of other
# roles.
_NEVER = (
    "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "e2scrub_reap.service",
    "fstrim.timer", "getty.target", "console-getty.service", "systemd-sysctl.service", "systemd-udevd.service",
    "systemd-udev-trigger.service", "systemd-networkd.service", "systemd-networkd.socket", "systemd-resolved.service",
    "systemd-timesyncd.service", "systemd-pstore.service", "systemd-logind.service",
    "systemd-ask-password-console.path", "systemd-ask-password-wall.path", "glustereventsd.service",
)  # fmt: skip
_BY_ROLE = {
    "gluster": ("glusterd.service",),
    "control": (
        "etcd.service",
        "kube-apiserver.service",
        "kube-controller-manager.service",
        "kube-scheduler.service",
    ),
    "minion": ("containerd.service", "kubelet.service", "kube-proxy.service"),
}


def units(machine: Machine) -> tuple[str, ...]:
    """The services that make a machine what its role says."""
    return _BY_ROLE[machine.role]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts of the toolchain that machines use while they run."""

    kubernetes: Path
    php_image: Path
    pause_image: Path


@dataclass(frozen=True, kw_only=True)
class Keys:
    """What new machines are given: the lab's user key and the cluster's PKI directory."""

    user: SshKey
    pki: Path


def setup(machine: Machine, topology: Topology, *, host_key: SshKey, keys: Keys, root: Path) -> Setup:
    """Everything to be written on a new machine. `root` is the toolchain's machine root, whose account files
    are extended by the lab's user."""
    own = _BY_ROLE[machine.role]
    others = {unit for role in _BY_ROLE.values() for unit in role} - set(own)
    common = Setup(
        files=(*_system_files(machine, topology), *_access_files(topology.user, host_key, keys.user, root)),
        enable=("ssh.service", "lab-network.service", *own),
        mask=(*_NEVER, *sorted(others)),
    )
    if machine.role == "control":
        return common + kubernetes_files.control(machine, topology, keys.pki)
    if machine.role == "minion":
        return common + kubernetes_files.minion(machine, topology, keys.pki)
    return common


def _system_files(machine: Machine, topology: Topology) -> tuple[File, ...]:
    network = template(
        "units/lab-network.service",
        address=f"{machine.address}/{topology.network.prefixlen}",
        gateway=topology.gateway,
    )
    return (
        File(path="/etc/hostname", text=f"{machine.name}\n"),
        # With an id of its own systemd takes this for no first boot, which would enable every unit there is.
        File(path="/etc/machine-id", text=f"{secrets.token_hex(16)}\n", mode=0o444),
        hosts_file(topology),
        File(path="/etc/resolv.conf", text="".join(f"nameserver {server}\n" for server in resolvers())),
        File(path="/etc/systemd/system/lab-network.service", text=network),
        File(path="/etc/tmpfiles.d/lab-kmsg.conf", text=template("kmsg.conf")),
    )


def _access_files(user: str, host_key: SshKey, user_key: SshKey, root: Path) -> tuple[File, ...]:
    """The lab's user with its key and sudo, and an SSH server that lets no one else in. No password fits
    "*"."""
    accounts = {
        "passwd": f"{user}:x:{_USER_ID}:{_USER_ID}::/home/{user}:/bin/bash",
        "group": f"{user}:x:{_USER_ID}:",
        "shadow": f"{user}:*:19000:0:99999:7:::",
    }
    return (
        *(
            File(
                path=f"/etc/{name}",
                text=f"{(root / 'etc' / name).read_text().rstrip()}\n{line}\n",
                mode=0o640 if name == "shadow" else 0o644,
            )
            for name, line in accounts.items()
        ),
        File(path=f"/etc/sudoers.d/{user}", text=f"{user} ALL=(ALL:ALL) NOPASSWD: ALL\n", mode=0o440),
        File(path=f"/home/{user}/.profile", text="", owner=_USER_ID),
        File(path=f"/home/{user}/.ssh/authorized_keys", text=f"{user_key.public}\n", mode=0o600, owner=_USER_ID),
        File(path="/etc/ssh/sshd_config.d/lab.conf", text=template("sshd.conf")),
        File(path="/etc/ssh/ssh_host_ed25519_key", text=host_key.private, mode=0o600),
        File(path="/etc/ssh/ssh_host_ed25519_key.pub", text=f"{host_key.public}\n"),
    )


def shares(machine: Machine, directory: Path, parts: Parts) -> tuple[Share, ...]:
    """What of the host's disk a machine sees. Bricks need extended attributes that an overlay keeps to
    itself, and containers need a file system that can carry overlays of its own."""
    data = directory / "data"
    kubernetes = Share(source=parts.kubernetes, target=kubernetes_files.PROGRAMS, read_only=True)
    if machine.role == "gluster":
        return (_data(data / "bricks", BRICKS),)
    if machine.role == "control":
        return (kubernetes,)
    return (
        kubernetes,
        Share(source=parts.pause_image, target=kubernetes_files.IMAGES[0], read_only=True),
        Share(source=parts.php_image, target=kubernetes_files.IMAGES[1], read_only=True),
        _data(data / "containerd", "/var/lib/containerd"),
        _data(data / "kubelet", "/var/lib/kubelet"),
    )


def _data(source: Path, target: str) -> Share:
    source.mkdir(parents=True, exist_ok=True)
    return Share(source=source, target=target)


def layers(machine: Machine, toolchain: Toolchain) -> list[Path]:
    """The read-only layers of a machine's disk, uppermost first."""
    above = [toolchain.gluster_layer] if machine.role == "gluster" else []
    return [*above, toolchain.machine_root]


def environment(machine: Machine) -> dict[str, str]:
    """Environment of systemd-nspawn: a minion's kubelet and kube-proxy set the network's kernel parameters;
    those of the host stay out of reach."""
    return {"SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"} if machine.role == "minion" else {}


def hosts_file(topology: Topology) -> File:
    """/etc/hosts with every machine of the lab."""
    lines = ["127.0.0.1 localhost", *(f"{machine.address} {machine.name}" for machine in topology.machines)]
    return File(path="/etc/hosts", text="\n".join(lines) + "\n")
