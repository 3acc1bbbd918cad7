from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.processes import Process, boot_id, start_time
from lab.registry import RegisteredLab, Registry, refuse_foreign

HERE = Path("/somewhere/checkout")


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process of our own that does nothing."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield child
    child.kill()
    child.wait()


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "glusterfarm")


def entry(process: Process | None, checkout: Path = HERE) -> RegisteredLab:
    return RegisteredLab(checkout=checkout, lab_id="abc", machines={"minion-1": process} if process else {})


def of(child: subprocess.Popen[bytes]) -> Process:
    process = Process.of(child.pid)
    assert process is not None
    return process


def test_what_is_written_is_read(registry: Registry, sleeper: subprocess.Popen[bytes]) -> None:
    written = replace(entry(of(sleeper)), complete=True, agent=of(sleeper), kernel={"net/ipv4/ip_forward": "0"})
    registry.write(written)
    assert registry.read() == written
    assert registry.directory.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 1}', '{"checkout": "/x", "labId": 1, "machines": 5}'])
def test_a_torn_registry_counts_as_none(registry: Registry, text: str) -> None:
    registry.directory.mkdir()
    registry.file.write_text(text)
    assert registry.read() is None


def test_a_running_machine_is_alive_until_it_ends(sleeper: subprocess.Popen[bytes]) -> None:
    running = entry(of(sleeper))
    assert running.alive()
    sleeper.kill()
    sleeper.wait()
    assert not running.alive()


def test_a_zombie_is_not_alive(sleeper: subprocess.Popen[bytes]) -> None:
    process = of(sleeper)
    os.kill(sleeper.pid, signal.SIGKILL)
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert Path(f"/proc/{sleeper.pid}").exists()
    assert not process.alive()


def test_a_number_that_another_process_got_since_is_not_ours(sleeper: subprocess.Popen[bytes]) -> None:
    assert not entry(replace(of(sleeper), start=of(sleeper).start - 1)).alive()


def test_a_registry_that_outlived_a_restart_of_the_host(sleeper: subprocess.Popen[bytes]) -> None:
    stale = replace(of(sleeper), boot="00000000-0000-0000-0000-000000000000")
    assert not entry(stale).alive()


def test_a_process_of_another_boot_is_not_signalled(sleeper: subprocess.Popen[bytes]) -> None:
    replace(of(sleeper), boot="00000000-0000-0000-0000-000000000000").kill(wait=0.1)
    replace(of(sleeper), start=1).kill(wait=0.1)
    assert sleeper.poll() is None


def test_kill_ends_the_process(sleeper: subprocess.Popen[bytes]) -> None:
    assert of(sleeper).kill(wait=5)
    assert sleeper.wait() == -signal.SIGKILL


def test_an_entry_without_processes_is_dead() -> None:
    assert not entry(None).alive()


def test_no_such_process() -> None:
    assert start_time(2**22 + 1) is None
    assert Process.of(2**22 + 1) is None
    assert re.fullmatch(r"[0-9a-f-]{36}", boot_id())


def test_a_living_foreign_lab_is_refused_by_name(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    with pytest.raises(LabError) as error:
        refuse_foreign(entry(of(sleeper), tmp_path), HERE)
    assert str(tmp_path) in error.value.message
    assert error.value.remedy == f"stop it first: make -C {tmp_path} down"


def test_ours_and_dead_ones_are_not_refused(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    refuse_foreign(None, HERE)
    refuse_foreign(entry(of(sleeper)), HERE)
    sleeper.kill()
    sleeper.wait()
    dead = Process(pid=sleeper.pid, start=1, boot=boot_id())
    refuse_foreign(entry(dead, tmp_path), HERE)


def test_two_commands_do_not_race(registry: Registry) -> None:
    with registry.locked(), pytest.raises(LabError, match="another `python -m lab` command"), registry.locked():
        pytest.fail("two locks at once")
    with registry.locked():
        assert registry.directory.is_dir()


def test_removing_leaves_nothing_and_the_lock_still_works(registry: Registry) -> None:
    with registry.locked():
        registry.write(entry(None))
        registry.remove()
    assert not registry.directory.exists()
    with registry.locked():
        assert registry.read() is None
