"""What somebody sees of a publish: lines in a log, a bar on a terminal."""

from __future__ import annotations

import io
import os
import pty
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from publisher.progress import Progress
from tests.support.site import ONE, PublishedSite

MIB = 1 << 20
SHOW_CURSOR = "\x1b[?25h"


class Clock:
    """A clock that goes when it is told."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def terminal(
    monkeypatch: pytest.MonkeyPatch, kind: str = "xterm"
) -> Iterator[tuple[io.TextIOWrapper, Callable[[], str]]]:
    """A terminal to write to, and what was written there, to be asked for once."""
    monkeypatch.setenv("TERM", kind)
    monkeypatch.setenv("COLUMNS", "200")
    ours, theirs = pty.openpty()
    seen = bytearray()

    def read() -> None:
        try:
            while chunk := os.read(ours, 1 << 16):
                seen.extend(chunk)
        except OSError:
            return  # how Linux tells of the other side's end

    reader = threading.Thread(target=read)
    reader.start()
    out = os.fdopen(theirs, "w")

    def told() -> str:
        out.close()
        reader.join(10)
        return seen.decode()

    yield out, told
    out.close()
    reader.join(10)
    os.close(ours)


def test_a_log_gets_a_line_now_and_then_and_what_was_done() -> None:
    out, clock = io.StringIO(), Clock()
    progress = Progress(out=out, clock=clock)
    with progress.phase("writing", "writing 20 files", files=20, size=10 * MIB):
        for _ in range(20):
            clock.now += 0.5
            progress.moved(1, MIB // 2)
    assert out.getvalue().splitlines() == [
        "writing 20 files",
        "  writing: 4 of 20 files, 2.0 of 10.0 MiB, 2 files/s, 1.0 MiB/s",
        "  writing: 8 of 20 files, 4.0 of 10.0 MiB, 2 files/s, 1.0 MiB/s",
        "  writing: 12 of 20 files, 6.0 of 10.0 MiB, 2 files/s, 1.0 MiB/s",
        "  writing: 16 of 20 files, 8.0 of 10.0 MiB, 2 files/s, 1.0 MiB/s",
        "  writing: 20 of 20 files, 10.0 of 10.0 MiB, 2 files/s, 1.0 MiB/s",
        "  writing: 20 files, 10.0 MiB in 10.0 s, 2 files/s, 1.0 MiB/s",
    ]


def test_the_longer_it_takes_the_fewer_lines_it_takes() -> None:
    out, clock = io.StringIO(), Clock()
    progress = Progress(out=out, clock=clock)
    with progress.phase("writing", "go", files=3600, size=MIB):
        for _ in range(3600):
            clock.now += 1
            progress.moved(1, 0)
    assert 20 < len(out.getvalue().splitlines()) < 50, "of an hour"


def test_what_threads_count_is_counted() -> None:
    out, clock = io.StringIO(), Clock()
    progress = Progress(out=out, clock=clock)

    def count(_: int) -> None:
        for _ in range(10_000):
            progress.moved(1, 1)

    with progress.phase("writing", "go", files=80_000, size=80_000), ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(8)))
    assert "writing: 80000 files" in out.getvalue()


def test_a_phase_with_nothing_to_do_and_one_that_fails_say_nothing_of_what_was_done() -> None:
    out = io.StringIO()
    progress = Progress(out=out)
    with progress.phase("writing", "nothing", files=0, size=0):
        pass
    with pytest.raises(RuntimeError), progress.phase("writing", "cut off", files=2, size=2):
        progress.moved(1, 1)
        raise RuntimeError
    progress.moved(1, 1)
    assert out.getvalue().splitlines() == ["nothing", "cut off"]


def test_a_terminal_gets_a_bar_that_is_gone_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch) as (out, told):
        progress = Progress(out=out)
        with progress.phase("writing", "writing 4 files", files=4, size=4 * MIB):
            progress.moved(3, 3 * MIB)
            progress.say("warning: [bold]a name[/bold] and a \\ in it")
        text = told()
    assert "3/4 files 3.0/4.0 MiB" in text
    assert "warning: [bold]a name[/bold] and a \\ in it\r\n" in text
    assert text.index("\x1b[?25l") < text.index(SHOW_CURSOR)
    assert "MiB in " in text[text.index(SHOW_CURSOR) :], "and what was done stays"


def test_a_terminal_is_left_as_it_was_when_a_phase_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch) as (out, told):
        with pytest.raises(RuntimeError), Progress(out=out).phase("writing", "go", files=4, size=4):
            raise RuntimeError
        assert SHOW_CURSOR in told()


def test_a_terminal_that_knows_lines_only_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch, "dumb") as (out, told):
        with Progress(out=out).phase("writing", "writing 4 files", files=4, size=4):
            pass
        text = told()
    assert "\x1b" not in text
    assert text.startswith("writing 4 files\r\n")


def test_what_was_done_of_a_phase_before_it_is_shown_counts() -> None:
    out, clock = io.StringIO(), Clock()
    progress = Progress(out=out, clock=clock)
    with progress.phase("writing", "writing 4 files", files=4, size=4 * MIB):
        ahead = progress.ahead()
        clock.now += 1
        ahead.moved(3, 3 * MIB)
        progress.moved(4, 4 * MIB)
    with progress.phase("verifying", "verifying 4 files", files=4, size=4 * MIB, ahead=ahead):
        clock.now += 1
        ahead.moved(0, MIB // 2)
        progress.moved(1, MIB // 2)
    assert out.getvalue().splitlines() == [
        "writing 4 files",
        "  writing: 4 files, 4.0 MiB in 1.0 s, 4 files/s, 4.0 MiB/s",
        "verifying 4 files",
        "  verifying: 4 files, 4.0 MiB in 2.0 s, 2 files/s, 2.0 MiB/s",
    ]


def test_a_publish_tells_its_phases_with_what_was_done_in_each(site: PublishedSite) -> None:
    site.minions.append(site.loopback.minion("minion-3", site.volume))
    release = site.content(ONE)
    site.publish()
    phases = [line.partition(" in ")[0] for line in site.said]
    assert phases == [
        "writing 3 of 3 files and removing 0",
        "  writing: 3 files, 0.0 MiB",
        "verifying 3 files of slot a through minion-2, minion-3",
        "  verifying: 6 files, 0.0 MiB",
        f"seeing release {release} live through minion-2, minion-3",
        f"release {release} is live",
    ]
