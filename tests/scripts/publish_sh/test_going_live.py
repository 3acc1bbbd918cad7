"""publish.sh: the lock, what goes live and what it takes with it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.support.publish_script import NOTE, TOKEN, Volume, archive, sha256

OTHER = "f" * 16

# --- The lock ---


@pytest.mark.every_shell
def test_the_lock_is_held_until_stdin_ends(volume: Volume) -> None:
    first = volume.lock(holder="me@here (process 1)")
    volume.constants["HANDOVER_SECONDS"] = 0.2
    said = volume.refusal("hold", OTHER, "them", "60")
    assert f"another deployment is publishing {volume.path}: since 20" in said
    assert "me@here (process 1), through minion-1; wait until it has ended" in said
    volume.unlock()
    assert first.returncode == 0
    volume.lock(OTHER)


@pytest.mark.every_shell
def test_what_another_minion_flipped_just_now_is_waited_for(volume: Volume, tmp_path: Path) -> None:
    """By a link that is a second old the live slot would be a spare one."""
    slept = tmp_path / "slept"
    stub = tmp_path / "bin" / "sleep"
    stub.parent.mkdir()
    # What that minion did shows only when the time is over.
    stub.write_text(f"#!/bin/sh\necho $1 >>'{slept}'; ln -sfn slots/b '{volume.path}/html'\n")
    stub.chmod(0o755)
    volume.lock()
    volume.publish("a", {b"x": b"1"})
    volume.write("b", {b"x": b"2"})
    volume.unlock()
    volume.environment["PATH"] = f"{stub.parent}:{os.environ['PATH']}"
    volume.lock()
    volume.unlock()
    assert not slept.exists(), "what was done through the same mount is seen at once"
    volume.minion = "minion-2"
    with volume.start("hold", OTHER, "them", "60") as holder:
        said, _ = holder.communicate(timeout=60)
    assert slept.read_text() == "1.1\n"
    assert json.loads(said.splitlines()[0])["live"] == "b"


def test_who_waited_for_the_lock_of_a_site_that_was_removed_says_so(volume: Volume) -> None:
    volume.lock()
    release = volume.publish("a", {b"x": b"1"})
    with volume.start("hold", OTHER, "them", "60") as waiter:
        while "flock" not in names_below(waiter.pid):
            time.sleep(0.02)
        volume.run("remove", TOKEN, release)
        volume.unlock()
        _, stderr = waiter.communicate(timeout=60)
    assert f"{volume.path} was removed by the deployment before this one; run again" in stderr.decode()


def test_a_killed_holder_holds_nothing(volume: Volume) -> None:
    first = volume.lock()
    first.kill()
    assert first.stdin
    first.stdin.close()
    first.stdin = None
    assert first.wait(10)
    volume.lock(OTHER)


@pytest.mark.every_shell
def test_a_holder_of_whom_nothing_is_heard_loses_the_lock_and_its_writers(volume: Volume) -> None:
    first = volume.lock(seconds=2)
    volume.run("begin", TOKEN, "a", "fresh")
    writer = stuck_writer(volume)
    for _ in range(3):
        time.sleep(1)
        assert first.stdin
        first.stdin.write(b"\n")
        first.stdin.flush()
    assert first.poll() is None, "it is heard of"
    assert writer.wait(20) == -9
    assert first.wait(20) == 0
    writer.communicate(timeout=60)
    volume.lock(OTHER)
    assert "no longer holds the lock" in volume.refusal("begin", TOKEN, "a", "fresh")


def test_a_holder_that_was_given_up_on_writes_nothing_even_while_nobody_else_does(volume: Volume) -> None:
    volume.lock()
    volume.unlock()
    assert "no longer holds the lock" in volume.refusal("begin", TOKEN, "a", "fresh")


@pytest.mark.parametrize(
    "verb",
    ["begin a fresh", "extract a", "commit a 000000000000", "flip a 000000000000", "unflip -"],
)
def test_who_does_not_hold_the_lock_writes_nothing(locked: Volume, verb: str) -> None:
    locked.publish("b", {b"x": b"1"})
    name, *words = verb.split()
    said = locked.refusal(name, OTHER, *words)
    assert "no longer holds the lock" in said
    assert locked.state()["live"] == "b"
    assert not (locked.path / "slots" / "a").exists()


def test_the_next_holder_waits_for_writers_of_one_that_was_killed(volume: Volume) -> None:
    first = volume.lock()
    volume.run("begin", TOKEN, "a", "fresh")
    writer = stuck_writer(volume)
    first.kill()
    rest = archive({b"late": b"1"})[512:]
    timer = threading.Timer(1.5, lambda: writer.communicate(rest, timeout=60))
    timer.start()
    began = time.monotonic()
    volume.lock(OTHER)
    assert time.monotonic() - began > 0.5
    assert (volume.path / "slots" / "a" / "late").exists(), "the writer had ended when the next began"
    timer.join()


def stuck_writer(volume: Volume) -> subprocess.Popen[bytes]:
    """A writer that has begun to read its stream, and waits for more of it."""
    writer = volume.start("extract", TOKEN, "a")
    assert writer.stdin
    writer.stdin.write(archive({b"late": b"1"})[:512])
    writer.stdin.flush()
    while "tar" not in names_below(writer.pid):
        time.sleep(0.02)
    return writer


def names_below(pid: int) -> set[str]:
    """The names of the programs that a process has started, and of those that these have."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    names = set()
    for child in map(int, children):
        with contextlib.suppress(FileNotFoundError):
            names |= {Path(f"/proc/{child}/comm").read_text().strip(), *names_below(child)}
    return names


# --- Going live ---


@pytest.mark.every_shell
def test_a_flip_retires_what_was_live_and_is_relative(locked: Volume) -> None:
    one = locked.publish("a", {b"x": b"1"})
    assert (locked.path / "html").readlink() == Path("slots/a")
    two = locked.publish("b", {b"x": b"2"})
    assert (locked.path / "html").readlink() == Path("slots/b")
    locked.run("flip", TOKEN, "a", one, NOTE)
    state = locked.state()
    assert (state["live"], state["previous"]) == ("a", "b")
    assert json.loads(locked.run("live")) == {"slot": "a", "release": one}
    locked.run("flip", TOKEN, "a", one, NOTE)
    assert locked.state()["previous"] == "b", "a flip to what is live changes nothing"
    assert "does not hold release" in locked.refusal("flip", TOKEN, "b", one, NOTE)
    assert two == locked.state()["slots"]["b"]


@pytest.mark.every_shell
def test_an_undone_flip_leaves_no_trace_but_its_time(locked: Volume) -> None:
    locked.publish("a", {b"x": b"1"})
    locked.publish("b", {b"x": b"2"})
    before = locked.state()
    locked.publish("c", {b"x": b"3"})
    locked.run("unflip", TOKEN, "b", NOTE)
    after = locked.state()
    assert (after["live"], after["previous"]) == (before["live"], before["previous"])
    assert before["left"] == {"a": 0, "b": 0, "c": 0}
    assert before["now"] <= after["since"]["c"] <= after["left"]["c"] <= after["now"], "it had readers"
    assert locked.run("unflip", TOKEN, "b", NOTE) == b"", "which is done"
    locked.run("begin", TOKEN, "c", "fresh")
    assert locked.state()["left"]["c"] == 0
    locked.run("unflip", TOKEN, "-", NOTE)
    assert locked.state()["live"] is None
    assert "nothing is live" in locked.refusal("live")


def test_no_reader_ever_finds_the_site_gone(locked: Volume) -> None:
    releases = {slot: locked.write(slot, {b"x": slot.encode()}) for slot in "abc"}
    locked.run("flip", TOKEN, "a", releases["a"], NOTE)
    errors: list[str] = []
    reads = [0]
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                assert (locked.path / "html" / "glusterfarm-release").read_text().strip() in releases.values()
                reads[0] += 1
            except (OSError, AssertionError) as error:
                errors.append(repr(error))

    reader = threading.Thread(target=read)
    reader.start()
    for slot in "bcabcabca":
        locked.run("flip", TOKEN, slot, releases[slot], NOTE)
    done.set()
    reader.join()
    assert errors == []
    assert reads[0] > 100


@pytest.mark.every_shell
def test_what_was_written_is_declared_whole_and_made_live_in_one(locked: Volume) -> None:
    one = locked.publish("a", {b"x": b"1"})
    locked.run("begin", TOKEN, "b", "fresh")
    locked.run("extract", TOKEN, "b", data=archive({b"x": b"2"}))
    text = f"644 1 {sha256(b'2')} x\n".encode()
    two = sha256(text)[:12]
    assert "did not arrive whole" in locked.refusal("release", TOKEN, "b", two, NOTE, data=text[:-1])
    assert (locked.state()["live"], locked.state()["slots"]["b"]) == ("a", None)
    said = json.loads(locked.run("release", TOKEN, "b", two, NOTE, data=text))
    assert (said["slot"], said["release"], said["replaced"]) == ("b", two, one)
    assert (locked.state()["live"], locked.state()["previous"], locked.state()["slots"]["b"]) == ("b", "a", two)
