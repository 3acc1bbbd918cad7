"""publish.sh: a site that is removed, and what stays."""

from __future__ import annotations

import json
import os
from itertools import product
from pathlib import Path

import pytest

from tests.support.examples import examples
from tests.support.publish_script import NOTE, TOKEN, Volume

NEXT = "f" * 16
#: A program that ends the script that calls it before or after it has done its work, at the FATAL-th call.
STUB = """#!/bin/sh
PATH=/usr/bin:/bin
echo >>"$COUNT"
calls=$(wc -l <"$COUNT")
[ "$calls.$WHEN" = "$FATAL.before" ] || "${0##*/}" "$@"
status=$?
[ "$calls" -ne "$FATAL" ] || kill -KILL "$PPID"
exit $status
"""


def removed(volume: Volume, release: str, token: str = TOKEN) -> bool:
    return bool(json.loads(volume.run("remove", token, release).splitlines()[-1])["removed"])


def snapshot(directory: Path) -> list[tuple[str, int, int, float, bytes]]:
    """Everything there is, with its inode, mode, time of change and content."""
    return sorted(
        (
            str(path.relative_to(directory)),
            (found := path.lstat()).st_ino,
            found.st_mode,
            found.st_ctime,
            os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else b"",
        )
        for path in directory.rglob("*")
    )


@pytest.mark.every_shell
def test_only_the_live_release_is_removed(locked: Volume) -> None:
    one = locked.publish("a", {b"x": b"1"})
    two = locked.publish("b", {b"x": b"2"})
    (locked.mount / "other").mkdir()
    assert not removed(locked, one)
    assert locked.state()["live"] == "b"
    assert removed(locked, two)
    assert [path.name for path in locked.mount.iterdir()] == ["other"]


def test_what_others_put_beside_it_stays(locked: Volume) -> None:
    release = locked.publish("a", {b"x": b"1"})
    (locked.path / "uploads").mkdir()
    (locked.path / "uploads" / "photo").write_bytes(b"p")
    assert removed(locked, release)
    assert [str(path.relative_to(locked.path)) for path in locked.path.rglob("*")] == ["uploads", "uploads/photo"]


def test_other_sites_of_the_volume_are_not_touched_by_anything(volume: Volume) -> None:
    neighbours = []
    for name in ("ph", "php2", "php.old", "-php", "slots", "html"):
        volume.site = name
        volume.lock()
        volume.publish("a", {name.encode(): b"1"})
        volume.unlock()
        neighbours.append(volume.path)
    before = [snapshot(neighbour) for neighbour in neighbours]
    volume.site = "php"
    volume.lock()
    volume.publish("a", {b"x": b"1"})
    volume.publish("b", {b"x": b"2"})
    volume.run("unflip", TOKEN, "a", NOTE)
    volume.publish("c", {b"x": b"3"})
    volume.write("b", {b"y": b""}, start="delta", remove=b"x\0")
    assert [snapshot(neighbour) for neighbour in neighbours] == before
    assert removed(volume, volume.state()["slots"]["c"])
    assert not volume.path.exists()
    assert [snapshot(neighbour) for neighbour in neighbours] == before


@pytest.mark.parametrize(
    ("fatal", "when"),
    examples(list(product((1, 2, 3, 4), ("before", "after"))), (1, "after"), (2, "after"), (3, "before")),
)
def test_wherever_a_removal_is_killed_the_next_one_ends_it(volume: Volume, fatal: int, when: str) -> None:
    stubs = volume.scratch / "stubs"
    stubs.mkdir()
    for name in ("rm", "mv", "rmdir"):
        (stubs / name).write_text(STUB)
        (stubs / name).chmod(0o755)
    volume.lock()
    volume.publish("a", {b"x": b"1"})
    release = volume.publish("b", {b"x": b"2"})
    counted = {"COUNT": str(volume.scratch / "count"), "FATAL": str(fatal), "WHEN": when}
    volume.environment |= {"PATH": f"{stubs}:{os.environ['PATH']}", **counted}
    with volume.start("remove", TOKEN, release) as process:
        process.communicate(timeout=60)
    assert process.returncode == -9
    volume.environment.clear()
    if volume.path.exists():
        volume.unlock()
        assert volume.state()["live"] in {"b", None}, "no slot goes live again that was not"
        volume.lock(NEXT)
        assert removed(volume, release, NEXT)
    assert list(volume.mount.iterdir()) == []


@pytest.mark.every_shell
def test_a_removal_that_was_cut_off_is_no_obstacle_to_a_publish(volume: Volume) -> None:
    (volume.path / "slots.removed.aa" / "a").mkdir(parents=True)
    volume.lock()
    release = volume.publish("a", {b"x": b"1"})
    assert not removed(volume, "0" * 12)
    assert removed(volume, release)
    assert list(volume.mount.iterdir()) == []


def test_what_a_first_publish_left_that_was_cut_off_is_not_removed(locked: Volume) -> None:
    locked.write("a", {b"x": b"1"})
    assert not removed(locked, "0" * 12)
    (locked.path / "slots.removed.aa").mkdir()
    assert not removed(locked, "0" * 12)
    assert locked.state()["slots"]["a"]


def test_a_removal_undone_by_a_new_release_is_over(locked: Volume) -> None:
    one = locked.publish("a", {b"x": b"1"})
    (locked.path / "slots" / "removing").write_text(f"{one}\n")
    two = locked.publish("b", {b"x": b"2"})
    assert not removed(locked, one)
    assert locked.state()["live"] == "b"
    assert removed(locked, two)
