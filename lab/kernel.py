"""Kernel parameters of the host that a lab needs, remembered and put back when it goes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

ROOT = Path("/proc/sys")
# The least each must be. A machine's systemd and a kubelet watch many files, and root's share of inotify
# instances is 128 on most hosts: where it runs out, machines hang half booted.
NEEDED = {
    "net/ipv4/ip_forward": 1,
    "fs/inotify/max_user_instances": 1024,
    "fs/inotify/max_user_watches": 262144,
}


def raise_limits(root: Path = ROOT) -> dict[str, str]:
    """Raise what is too low; returns what those parameters held before."""
    before = {}
    for name, least in NEEDED.items():
        file = root / name
        if int(value := file.read_text().strip()) < least:
            file.write_text(f"{least}\n")
            before[name] = value
    return before


def restore(before: Mapping[str, str], root: Path = ROOT) -> None:
    """Put back what `raise_limits` returned; what someone else has changed since stays."""
    for name, value in before.items():
        file = root / name
        if name in NEEDED and file.read_text().strip() == str(NEEDED[name]):
            file.write_text(f"{value}\n")
