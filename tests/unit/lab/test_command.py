from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.command import TAIL_LINES, run, which
from lab.errors import LabError


def test_the_output_is_returned_and_not_shown(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["sh", "-c", "echo out; echo err >&2"], doing="trying") == "out\nerr\n"
    assert capfd.readouterr().out == ""


def test_each_line_is_handed_on_as_it_is_printed(tmp_path: Path) -> None:
    """The program waits for what is done with its first line."""
    seen, go = [], tmp_path / "go"

    def take(line: str) -> None:
        seen.append(line)
        go.touch()

    script = f"echo first; while [ ! -e {go} ]; do sleep 0.01; done; echo second"
    assert run(["sh", "-c", script], doing="trying", on_line=take) == "first\nsecond\n"
    assert seen == ["first", "second"]


def test_a_failure_shows_what_was_run_and_the_end_of_its_output() -> None:
    with pytest.raises(LabError) as caught:
        run(["sh", "-c", "seq 100; exit 7"], doing="building pulumi", remedy="look above")
    message = caught.value.message
    assert message.startswith("building pulumi: exit status 7\n    $ sh -c 'seq 100; exit 7'\n")
    assert message.endswith("\n    99\n    100")
    assert "\n    80\n" not in message
    assert len(message.splitlines()) == 2 + TAIL_LINES
    assert caught.value.remedy == "look above"


def test_a_program_that_was_killed_says_so() -> None:
    with pytest.raises(LabError, match="building: ended by signal 9"):
        run(["sh", "-c", "kill -9 $$"], doing="building")


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(LabError, match="no-such-program"):
        run(["no-such-program"], doing="building the root")


def test_the_environment_is_added_to_the_callers_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPT", "kept")
    assert run(["sh", "-c", "echo $KEPT $ADDED"], doing="trying", env={"ADDED": "added"}) == "kept added\n"


def test_nothing_waits_for_a_terminal() -> None:
    assert run(["cat"], doing="reading") == ""


def test_sbin_is_searched_even_after_a_plain_su(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert which("chroot") in ("/usr/sbin/chroot", "/sbin/chroot")
    assert which("no-such-program") is None


def test_the_program_dies_with_the_process_that_runs_it(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    code = f"from lab.command import run\nrun(['sh', '-c', 'echo $$ >{pid_file}; exec sleep 300'], doing='building')"
    builder = subprocess.Popen([sys.executable, "-c", code])
    try:
        _wait(lambda: pid_file.exists() and pid_file.read_text() != "")
        pid = int(pid_file.read_text())
    finally:
        builder.send_signal(signal.SIGKILL)
        builder.wait()
    _wait(lambda: not _runs(pid))


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def _wait(condition: object) -> None:
    assert callable(condition)
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)
