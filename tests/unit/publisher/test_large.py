"""Content of any size goes through a deployer of one size."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from publisher import scan
from publisher.source import CHUNK_BYTES
from tests.support.site import ONE, PublishedSite
from tests.support.trees import write_sparse

MIB = 1 << 20
LARGE_MIB = 256
#: What a small site takes times this. Buffers make it 1.3 to 1.8. With all of the content it is 3.3 at the least.
MOST = 2.5
#: Of each size, in turns. The least counts: a busy machine adds to a peak, and never takes from it.
ROUNDS = 2


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


def small(source: Path, number: int) -> None:
    (source / "number").write_text(str(number))


def one_large_file(source: Path, number: int) -> None:
    write_sparse(source / "large", LARGE_MIB * MIB + number)


def many_files(source: Path, number: int) -> None:
    """Of a size at which they are still sent together."""
    (source / "many").mkdir()
    for name in range(2 * LARGE_MIB):
        write_sparse(source / "many" / str(name), CHUNK_BYTES - number)


def test_the_deployers_memory_does_not_grow_with_the_content(site: PublishedSite) -> None:
    peaks: dict[Callable[[Path, int], None], list[float]] = {small: [], one_large_file: [], many_files: []}
    for number in range(ROUNDS):  # no release twice: of one that is still in a slot nothing is sent
        for make, seen in peaks.items():
            site.content(ONE)
            make(site.source, number)
            seen.append(peak_mib(site))
            released = scan.read(site.source).release
            assert (site.path / "html" / "glusterfarm-release").read_text().strip() == released
    usual, large, many = (min(seen) for seen in peaks.values())
    assert large < MOST * usual, peaks
    assert many < MOST * usual, peaks
    assert large < 200, peaks
