"""Content of any size goes through a deployer of one size."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from tests.support.site import ONE, PublishedSite
from tests.support.trees import Tree, write_sparse

MIB = 1 << 20
LARGE_MIB = 256


def peak_mib(site: PublishedSite) -> float:
    """The most memory that `python -m publisher publish` had at once, with what reads the content for it while that is.

    Of each the most that it had until then, as the kernel knew it before it ended.
    """
    # Not what wait4() tells: that has in it what this process had when it made the other.
    process = site.start()
    peak, read = 0, False
    while process.poll() is None:
        with contextlib.suppress(OSError, ValueError):  # one that has ended has no memory
            started = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            readers = [it for it in started if b"publisher.reading" in Path(f"/proc/{it}/cmdline").read_bytes()]
            peak = max(peak, sum(most_kib(it) for it in (str(process.pid), *readers)))
            read = read or bool(readers)
        time.sleep(0.01)
    assert process.returncode == 0, process.communicate()
    assert read, "a process of its own read the content"
    return peak / 1024


def most_kib(process: str) -> int:
    """The most memory that it had so far. Raises OSError, ValueError for one that has ended."""
    status = Path(f"/proc/{process}/status").read_text()
    return max(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))


def test_the_deployers_memory_does_not_grow_with_the_content(site: PublishedSite) -> None:
    site.content(ONE)
    small = peak_mib(site)
    site.content(ONE)
    write_sparse(site.source / "large", LARGE_MIB * MIB)
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
