"""What the preflight asks the host; every answer is one method, so that tests can give another.

Standard library only, importable by Python 3.8 (see lab/preflight.py). Nothing here changes the host:
what has to be tried is tried in namespaces of its own, which end with the trial.
"""

from __future__ import annotations

import gzip
import ipaddress
import os
import platform
import re
import shutil
import socket
import stat
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from lab import paths
from lab.command import search_path, which

GB = 10**9

_OVERLAY_TRIAL = """
mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged &&
rm merged/file && [ ! -e merged/file ] && [ -e lower/file ]
"""


class Disk(NamedTuple):
    """A file system: its device number and the bytes free on it."""

    device: int
    free: int


class Route(NamedTuple):
    """One route: where to, through which device."""

    network: ipaddress.IPv4Network
    device: str


class Cgroups(NamedTuple):
    """The control groups: whether any are mounted, whether v2 rules alone, which controllers there are."""

    mounted: bool
    unified: bool
    controllers: frozenset[str]


class Host:
    """The host this runs on. "Refusal" methods return "" when it works, else why not."""

    def euid(self) -> int:
        """The effective user id."""
        return os.geteuid()

    def python(self) -> tuple[int, ...]:
        """The version of the Python that runs this."""
        return tuple(sys.version_info[:3])

    def has_program(self, name: str) -> bool:
        """Whether a program is on PATH (or in an sbin directory)."""
        return which(name) is not None

    def has_device(self, path: str) -> bool:
        """Whether a character device is there."""
        try:
            return stat.S_ISCHR(Path(path).stat().st_mode)
        except OSError:
            return False

    def cache_dir(self) -> Path:
        """The toolchain cache's directory."""
        return paths.cache_dir()

    def toolchain_missing(self) -> list[str]:
        """The titles ("pulumi 3.259.0") of what the toolchain cache does not hold yet."""
        if self.python() < (3, 11):
            return ["pulumi ?", "kubernetes ?"]
        from lab import toolchain  # noqa: PLC0415 - needs a newer Python than this module

        return toolchain.missing()

    def disk(self, directory: Path) -> Disk:
        """The file system where a directory is, or will be."""
        there = _nearest(directory)
        return Disk(there.stat().st_dev, shutil.disk_usage(there).free)

    def overlay_refusal(self, directory: Path) -> str:
        """Try an overlay mount on the file system of a directory, in a mount namespace of its own."""
        if self.euid() != 0:
            known = "overlay" in Path("/proc/filesystems").read_text(encoding="utf-8")
            return "" if known or _kernel_has("CONFIG_OVERLAY_FS") is not False else "this kernel has none"
        try:
            with tempfile.TemporaryDirectory(prefix=".preflight-", dir=_nearest(directory)) as trial:
                for name in ("lower", "upper", "work", "merged"):
                    (Path(trial) / name).mkdir()
                (Path(trial) / "lower" / "file").touch()
                argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _OVERLAY_TRIAL]
                return _refusal(argv, trial).replace(f"{trial}/", "")
        except OSError as error:
            return f"cannot write there: {error.strerror}"

    def link_refusal(self, kind: str, option: str) -> str:
        """Try to make a network device of a kind in a network namespace of its own."""
        if self.euid() != 0 or not self.has_program("ip"):
            return f"{option} is not set" if _kernel_has(option) is False else ""
        return _refusal(["unshare", "--net", "ip", "link", "add", "name", "preflight0", "type", kind])

    def nat_refusal(self) -> str:
        """Read the nat table in a network namespace of its own, the way kube-proxy will."""
        if self.euid() != 0 or not self.has_program("iptables"):
            return "CONFIG_NF_NAT is not set" if _kernel_has("CONFIG_NF_NAT") is False else ""
        # It must be written to: the nft flavour lists an empty table that the kernel cannot make.
        return _refusal(["unshare", "--net", "iptables", "-t", "nat", "-A", "POSTROUTING", "-j", "MASQUERADE"])

    def routes(self) -> list[Route]:
        """The IPv4 routes, without default routes."""
        try:
            return parse_routes(Path("/proc/net/route").read_text(encoding="utf-8"))
        except OSError:
            return []

    def go_refusal(self) -> str:
        """Whether Go is on PATH, or pip could install it."""
        if self.python() < (3, 11):
            return ""  # unknown until there is a newer Python
        from lab.toolchain import golang  # noqa: PLC0415 - needs a newer Python than this module

        return golang.refusal()

    def cgroups(self) -> Cgroups:
        """The control groups, whatever their version."""
        return parse_cgroups(Path("/proc/self/mountinfo").read_text(encoding="utf-8"))


def parse_routes(table: str) -> list[Route]:
    """Read the routes off the kernel's table (/proc/net/route), without default routes."""
    found = []
    for line in table.splitlines()[1:]:
        device, target, *rest = line.split()
        address, mask = _address(target), _address(rest[5])
        if int(rest[5], 16) != 0:
            found.append(Route(ipaddress.IPv4Network(f"{address}/{mask}", strict=False), device))
    return found


def parse_cgroups(mountinfo: str) -> Cgroups:
    """Read the control groups off a mountinfo text and the cgroup.controllers files of its v2 mounts."""
    mounted, unified = False, False
    controllers: set[str] = set()
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        mount_point = before.split(" ")[4]
        kind, _, options = after.split(" ")[:3]
        if kind == "cgroup":
            mounted = True
            controllers.update(options.split(","))
        elif kind == "cgroup2":
            mounted = True
            unified = unified or mount_point == "/sys/fs/cgroup"
            try:
                controllers.update((Path(mount_point) / "cgroup.controllers").read_text(encoding="utf-8").split())
            except OSError:
                continue
    return Cgroups(mounted, unified, frozenset(controllers))


def _nearest(directory: Path) -> Path:
    """The directory, or the nearest of its parents that exists."""
    while not paths.visible_directory(directory):
        directory = directory.parent
    return directory


def _refusal(argv: list[str], cwd: str | None = None) -> str:
    """Run a trial: "" when it succeeds, else the last line it printed."""
    try:
        done = subprocess.run(
            argv,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PATH": search_path(), "LC_ALL": "C"},
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"cannot try it: {error}"
    if done.returncode == 0:
        return ""
    lines = [line.strip() for line in done.stdout.decode(errors="replace").splitlines() if line.strip()]
    # mount and iptables end with a hint; what went wrong comes first.
    return lines[0] if lines else f"exit status {done.returncode}"


def _kernel_has(option: str) -> bool | None:
    """Whether the running kernel was built with an option; None when its configuration cannot be read."""
    for file in (Path("/proc/config.gz"), Path(f"/boot/config-{platform.release()}")):
        try:
            content = file.read_bytes()
        except OSError:
            continue
        text = (gzip.decompress(content) if file.suffix == ".gz" else content).decode(errors="replace")
        return re.search(rf"^{option}=[ym]$", text, re.MULTILINE) is not None
    return None


def _address(field: str) -> str:
    """An address of /proc/net/route: hexadecimal, in the host's byte order."""
    return socket.inet_ntoa(struct.pack("=I", int(field, 16)))
