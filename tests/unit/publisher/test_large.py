"""Content of any size goes through a deployer of one size."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from tests.support.site import ONE, PublishedSite
from tests.support.trees import Tree

MIB = 1 << 20
LARGE_MIB = 256


def peak_mib(site: PublishedSite) -> float:
    """The most memory that `python -m publisher publish` had at once, as the kernel knew it before it ended."""
    # Not what wait4() tells: that has in it what this process had when it made the other.
    process = site.start()
    peak = 0
    while process.poll() is None:
        with contextlib.suppress(OSError, StopIteration):
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak = int(next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1])
        time.sleep(0.01)
    assert process.returncode == 0, process.communicate()
    return peak / 1024


def test_the_deployers_memory_does_not_grow_with_the_content(site: PublishedSite) -> None:
    site.content(ONE)
    small = peak_mib(site)
    site.content(ONE)
    with (site.source / "large").open("wb") as file:
        file.truncate(LARGE_MIB * MIB)
    large = peak_mib(site)
    assert Path(site.path / "html" / "large").stat().st_size == LARGE_MIB * MIB
    assert large < small + 32
    assert large < 200


def test_nor_with_many_files_of_some_size(site: PublishedSite) -> None:
    site.content(ONE)
    small = peak_mib(site)
    many: Tree = {f"{number}".encode(): (b"x" * (MIB // 4), False) for number in range(400)}
    site.content({b"many": many})
    assert peak_mib(site) < small + 32
