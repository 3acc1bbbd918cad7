"""publish.sh: the release log says of every flip that has been, and of no other."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from itertools import product
from typing import Any

import pytest

from publisher.history import Note, parse_log
from tests.scripts.publish_sh.test_writing import HOSTILE
from tests.support.examples import examples
from tests.support.publish_script import NOTE, TOKEN, Volume
from tests.support.sshd import mountinfo_line

#: An mv that dies with the whole script, before or after its work, when it is called for the N-th time.
DYING_MV = """#!/bin/sh
count=$(($(cat {scratch}/count) + 1))
echo "$count" >{scratch}/count
[ "$count.{when}" != "{fatal}.after" ] || {mv} "$@"
if [ "$count" = {fatal} ]; then
    parent=$(sed -n 's/^PPid:[^0-9]*//p' "/proc/$PPID/status")
    ! tr '\\0' ' ' <"/proc/$parent/cmdline" | grep -qF components/scripts/publish.sh || kill -KILL "$parent"
    kill -KILL "$PPID"
    exit 1
fi
exec {mv} "$@"
"""


def lines(volume: Volume) -> list[dict[str, Any]]:
    return [json.loads(line) for line in volume.run("log").splitlines()]


@pytest.mark.every_shell
def test_every_flip_is_a_line_that_says_what_changed(locked: Volume) -> None:
    assert locked.run("log") == b""
    one = locked.publish("a", {b"x": b"1", b"kept": b"k", b"gone": b"g"})
    two = locked.publish("b", {b"x": b"22", b"kept": b"k", b"new": b"n", b"too": b"t"})
    said = json.loads(locked.run("flip", TOKEN, "a", one, NOTE))
    first, second, third = lines(locked)
    assert third == said
    assert first.pop("when") <= second.pop("when") <= third.pop("when")
    who = {"kind": "published", "who": "me", "commit": None}
    assert first == who | {
        **{"slot": "a", "release": one, "replaced": None},
        **{"files": 3, "bytes": 3, "added": 3, "changed": 0, "removed": 0},
    }
    assert second == who | {
        **{"slot": "b", "release": two, "replaced": one},
        **{"files": 4, "bytes": 5, "added": 2, "changed": 1, "removed": 1},
    }
    assert third == who | {
        **{"slot": "a", "release": one, "replaced": two},
        **{"files": 3, "bytes": 3, "added": 1, "changed": 1, "removed": 2},
    }
    assert locked.run("flip", TOKEN, "a", one, NOTE) == b"", "what is live already is no flip"
    assert len(lines(locked)) == 3


@pytest.mark.every_shell
def test_names_of_any_kind_are_counted(locked: Volume) -> None:
    names = [name for name in HOSTILE if b"\n" not in name]
    locked.publish("a", dict.fromkeys(names, b"1"))
    locked.publish("b", dict.fromkeys(names, b"1") | {names[0]: b"2", b"  spaced  out": b"3"})
    assert [(it["added"], it["changed"], it["removed"]) for it in lines(locked)] == [(len(names), 0, 0), (1, 1, 0)]


def test_an_undone_flip_is_told_as_that(locked: Volume) -> None:
    locked.run("flip", TOKEN, "a", locked.write("a", {b"x": b"1"}), NOTE)
    undone = Note(kind="undone", who="me").text()
    locked.run("unflip", TOKEN, "-", undone)
    last = lines(locked)[-1]
    assert (last["kind"], last["slot"], last["release"], last["files"]) == ("undone", None, None, None)
    one = locked.publish("a", {b"x": b"1"})
    two = locked.publish("b", {b"x": b"2"})
    locked.run("unflip", TOKEN, "a", undone)
    last = lines(locked)[-1]
    assert (last["kind"], last["slot"], last["release"], last["replaced"]) == ("undone", "a", one, two)
    locked.run("unflip", TOKEN, "a", undone)
    assert len(lines(locked)) == 5, "what is live already is not undone again"


def test_of_a_release_that_is_damaged_nothing_is_counted(locked: Volume) -> None:
    one = locked.publish("a", {b"x": b"1"})
    (locked.path / "slots" / "a.manifest").unlink()
    locked.publish("b", {b"x": b"2"})
    last = lines(locked)[-1]
    assert (last["replaced"], last["files"], last["added"], last["removed"]) == (one, None, None, None)


@pytest.mark.parametrize(
    ("fatal", "when"),
    examples(list(product((1, 2, 3, 4), ("before", "after"))), (1, "after"), (3, "before"), (3, "after")),
)
def test_wherever_a_flip_is_killed_the_log_says_what_is_live(locked: Volume, fatal: int, when: str) -> None:
    locked.publish("a", {b"x": b"1"})
    locked.publish("b", {b"x": b"2"})
    three = locked.write("c", {b"x": b"3"})
    stubs = locked.scratch / "stubs"
    stubs.mkdir()
    (locked.scratch / "count").write_text("0")
    scratch = locked.scratch
    (stubs / "mv").write_text(DYING_MV.format(scratch=f"'{scratch}'", when=when, fatal=fatal, mv="/bin/mv"))
    (stubs / "mv").chmod(0o755)
    locked.environment["PATH"] = f"{stubs}:{os.environ['PATH']}"
    with locked.start("flip", TOKEN, "c", three, NOTE) as process:
        process.communicate(timeout=60)
    assert process.returncode == -9
    assert (scratch / "count").read_text().strip() == str(fatal)
    del locked.environment["PATH"]

    live = locked.state()["live"]
    # The third is the one that flips; before it come the log's new text and what the slot was before.
    assert live == ("c" if fatal + (when == "after") > 3 else "b")
    assert lines(locked)[-1]["slot"] == live
    before = [it["slot"] for it in lines(locked)]
    assert before == (["a", "b", "c"] if live == "c" else ["a", "b"])
    other = "b" if live == "c" else "c"
    locked.run("flip", TOKEN, other, locked.state()["slots"][other], NOTE)
    assert [it["slot"] for it in lines(locked)] == [*before, other], "the next flip tells no other story"
    assert sorted(path.name for path in (locked.path / "slots").glob("*.log*")) == ["releases.log"]


@pytest.mark.every_shell
def test_the_log_is_bounded_and_a_torn_line_breaks_nothing(locked: Volume) -> None:
    one, two = locked.publish("a", {b"x": b"1"}), locked.publish("b", {b"x": b"2"})
    log = locked.path / "slots" / "releases.log"
    whole = log.read_text().splitlines()[0]
    log.write_text(f"{whole}\n" * 300 + "\0\xff noise\n" + whole[: len(whole) // 2])
    assert len(parse_log(locked.run("log"))) == 300
    locked.run("flip", TOKEN, "a", one, NOTE)
    kept = lines(locked)
    assert len(kept) == 200
    assert (kept[-1]["release"], kept[-1]["replaced"]) == (one, two)


def test_only_root_reads_who_publishes(locked: Volume) -> None:
    locked.umask = 0
    locked.publish("a", {b"x": b"1"})
    for name in ("releases.log", "lock"):
        assert stat.S_IMODE((locked.path / "slots" / name).stat().st_mode) == 0o600


@pytest.mark.every_shell
@pytest.mark.parametrize("who", ["'\"; $(id) `id` %s %d \\n \\", "ü€\u202e", "x" * 5000, '"}\n{"when": "never"}'])
def test_whoever_publishes_is_one_string_of_one_line(locked: Volume, who: str) -> None:
    release = locked.write("a", {b"x": b"1"})
    locked.run("flip", TOKEN, "a", release, Note(kind="published", who=who).text())
    (record,) = parse_log(locked.run("log"))
    assert record.who == who[:200]


@pytest.mark.parametrize("note", ["", "{}", "x", '{"kind": "published"'])
def test_what_is_no_note_is_refused_before_anything_flips(locked: Volume, note: str) -> None:
    release = locked.write("a", {b"x": b"1"})
    assert "is not a note for the log" in locked.refusal("flip", TOKEN, "a", release, note)
    assert locked.state()["live"] is None


def test_a_volume_too_full_for_the_log_is_said_and_nothing_flips(volume: Volume) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(volume.mount)], check=True)
    try:
        volume.mountinfo.write_text(mountinfo_line(volume.mount))
        volume.lock()
        one = volume.publish("a", {b"x": b"1"})
        two = volume.write("b", {b"x": b"2"})
        with (volume.mount / "filler").open("wb", buffering=0) as filler:
            while filler.write(bytes(4096)) == 4096 and filler.tell() < 1 << 20:
                if os.statvfs(volume.mount).f_bavail == 0:
                    break
        said = volume.refusal("flip", TOKEN, "b", two, NOTE)
        assert "slots/releases.log; see that the volume has space" in said
        assert json.loads(volume.run("live")) == {"slot": "a", "release": one}
        assert [it["release"] for it in lines(volume)] == [one]
        (volume.mount / "filler").unlink()
        volume.run("flip", TOKEN, "b", two, NOTE)
        assert [it["release"] for it in lines(volume)] == [one, two]
        volume.unlock()
    finally:
        subprocess.run(["umount", "-l", str(volume.mount)], check=True)
