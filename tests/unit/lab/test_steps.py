from __future__ import annotations

import io
import re
import threading

import pytest

from lab.errors import LabError, report
from lab.steps import PATIENCE_SECONDS, Steps, duration


def test_a_step_is_one_line_with_its_outcome_and_duration() -> None:
    out = io.StringIO()
    with Steps(out).step("bridge gfarm0"):
        pass
    assert re.fullmatch(r"  bridge gfarm0: done \(0\.\d s\)\n", out.getvalue())


def test_a_step_says_what_it_came_to() -> None:
    out = io.StringIO()
    with Steps(out).step("pulumi 3.259.0") as step:
        step.outcome("from the cache")
    assert out.getvalue().startswith("  pulumi 3.259.0: from the cache (")


def test_a_long_step_shows_a_line_before_it_ends() -> None:
    out = io.StringIO()
    with Steps(out).step("kubernetes 1.34.4") as step:
        step.started("building 6 programs, about 10 minutes ...")
        assert out.getvalue() == "  kubernetes 1.34.4: building 6 programs, about 10 minutes ...\n"


def test_a_step_that_takes_long_says_so_again_and_again() -> None:
    out = io.StringIO()
    with Steps(out, patience=0.05).step("kubernetes 1.34.4") as step:
        step.progress("12 of 2310 packages compiled")
        while out.getvalue().count("\n") < 3:
            assert not out.getvalue().count("built")
        step.outcome("built")
    *ticks, last = out.getvalue().splitlines()
    form = r"  kubernetes 1\.34\.4: \.\.\. \d+\.\d s, 12 of 2310 packages compiled"
    assert all(re.fullmatch(form, line) for line in ticks)
    assert re.fullmatch(r"  kubernetes 1\.34\.4: built \(\d+\.\d s\)", last)


def test_silence_is_never_longer_than_a_quarter_of_a_minute() -> None:
    assert PATIENCE_SECONDS <= 15


def test_a_step_that_raises_says_failed_and_the_error_goes_on() -> None:
    out = io.StringIO()
    with pytest.raises(LabError), Steps(out).step("machine root") as step:
        step.outcome("built")
        raise LabError("no network")
    assert out.getvalue().startswith("  machine root: failed (")


def test_lines_go_to_where_stdout_points_now(capsys: pytest.CaptureFixture[str]) -> None:
    Steps().note("hello")
    assert capsys.readouterr().out == "  hello\n"


def test_lines_of_several_threads_stay_whole() -> None:
    out = io.StringIO()
    steps = Steps(out)

    def boot(name: str) -> None:
        for _ in range(200):
            with steps.step(name):
                pass

    threads = [threading.Thread(target=boot, args=(f"machine-{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = out.getvalue().splitlines()
    assert len(lines) == 800
    assert all(re.fullmatch(r"  machine-\d: done \(\d+\.\d s\)", line) for line in lines)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (12.34, "12.3 s"), (89.9, "89.9 s"), (90, "1 min 30 s"), (605.4, "10 min 05 s")],
)
def test_durations_read_like_people_write_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_an_error_shows_its_remedy_below() -> None:
    assert str(LabError("no /dev/fuse", "modprobe fuse")) == "error: no /dev/fuse\n  remedy: modprobe fuse"
    assert report("no /dev/fuse") == "error: no /dev/fuse"
