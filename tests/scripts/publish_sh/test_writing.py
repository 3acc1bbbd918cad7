"""publish.sh, the real file: where it writes, what it writes, what it refuses."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.publish_script import NOTE, TOKEN, Volume, archive, records, sha256
from tests.support.sshd import mountinfo_line

HOSTILE = [
    b"a b",
    b"-rf",
    b"--",
    b"'\"",
    b"$(id)`id`",
    b"new\nline",
    b"back\\slash",
    b"\xff\xfe",
    b"*",
    b"d/er/\xc3\xa9",
]

# --- The mount ---


@pytest.mark.every_shell
def test_nothing_mounted_is_refused_and_nothing_is_written(volume: Volume) -> None:
    volume.mountinfo.write_text(mountinfo_line(volume.scratch))
    for verb in (("state",), ("hold", TOKEN, "me", "60"), ("begin", TOKEN, "a", "fresh"), ("live",)):
        said = volume.refusal(*verb)
        assert f"no Gluster volume is mounted at {volume.mount}; mount it" in said
    assert list(volume.mount.iterdir()) == []


@pytest.mark.parametrize("fstype", ["ext4", "fuse.sshfs", "tmpfs"])
def test_another_filesystem_is_refused(volume: Volume, fstype: str) -> None:
    volume.mountinfo.write_text(mountinfo_line(volume.mount, fstype))
    assert "no Gluster volume is mounted" in volume.refusal("state")


@pytest.mark.parametrize("other", ["Other", "OtherMyVolume", "MyVolume2", "[MyVolum]*"])
def test_another_volume_is_refused_and_nothing_is_written(volume: Volume, other: str) -> None:
    line = mountinfo_line(volume.mount)
    volume.mountinfo.write_text(line.replace("MyVolume", other))
    for verb in (("state",), ("hold", TOKEN, "me", "60"), ("begin", TOKEN, "a", "fresh"), ("live",)):
        said = volume.refusal(*verb)
        assert f"at {volume.mount} another volume is mounted than MyVolume (gluster-1:/{other}); let pulumi up" in said
    assert list(volume.mount.iterdir()) == []
    volume.mountinfo.write_text(line.replace(":/MyVolume", ":MyVolume"))  # as mount.glusterfs takes it, too
    assert volume.state()["live"] is None


@pytest.mark.every_shell
def test_what_is_mounted_over_the_volume_counts(volume: Volume) -> None:
    volume.mountinfo.write_text(mountinfo_line(volume.mount) + mountinfo_line(volume.mount, "tmpfs"))
    assert "no Gluster volume is mounted" in volume.refusal("state")
    volume.mountinfo.write_text(mountinfo_line(volume.mount, "tmpfs") + mountinfo_line(volume.mount))
    assert volume.state()["live"] is None


def test_a_directory_that_is_not_on_the_mount_is_refused(volume: Volume) -> None:
    line = mountinfo_line(volume.mount).split(" ")
    line[2] = "0:4999"
    volume.mountinfo.write_text(" ".join(line))
    assert "changed under our hands" in volume.refusal("hold", TOKEN, "me", "60")
    assert list(volume.mount.iterdir()) == []


def test_a_mount_that_does_not_answer_is_given_up_on(volume: Volume) -> None:
    stubs = volume.scratch / "stubs"
    stubs.mkdir()
    (stubs / "timeout").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >"{volume.scratch}/probe"\nexit 137\n')
    (stubs / "timeout").chmod(0o755)
    volume.environment["PATH"] = f"{stubs}:{os.environ['PATH']}"
    assert "does not answer; repair the mount or the volume" in volume.refusal("state")
    assert (volume.scratch / "probe").read_text().splitlines() == ["-s", "KILL", "10", "stat", "--", str(volume.mount)]


# --- The site ---


def test_a_site_that_does_not_exist_yet_has_empty_slots(volume: Volume) -> None:
    assert volume.state() == {
        "live": None,
        "previous": None,
        "slots": {},
        "told": {},
        "since": {},
        "left": {},
        "now": 0,
    }
    assert list(volume.mount.iterdir()) == []


@pytest.mark.parametrize("site", ["", ".", "..", "a/b", "../outside", "/etc"])
def test_what_is_no_directory_name_is_refused(volume: Volume, site: str) -> None:
    volume.site = site
    assert "is not a directory name; correct content.site" in volume.refusal("state")


@pytest.mark.every_shell
@pytest.mark.parametrize("name", ["$(touch pwned)", "-rf", "a b", "'\"", "`touch pwned`;touch pwned", "*"])
def test_names_are_only_names(volume: Volume, name: str) -> None:
    volume.site = name
    volume.minion = name
    volume.lock()
    release = volume.publish("a", {b"index.php": b"1"})
    assert json.loads(volume.run("live")) == {"slot": "a", "release": release}
    assert [path.name for path in volume.mount.iterdir()] == [name]
    assert not list(volume.scratch.rglob("pwned"))
    assert "release ffffffffffff" in volume.refusal("flip", TOKEN, "a", "ffffffffffff", NOTE)


@pytest.mark.every_shell
@pytest.mark.parametrize("theirs", ["index.php", ".htaccess", "html/index.php"])
def test_what_others_put_there_is_refused(volume: Volume, theirs: str) -> None:
    (volume.path / theirs).parent.mkdir(parents=True)
    (volume.path / theirs).write_text("theirs")
    for verb in (("state",), ("hold", TOKEN, "me", "60")):
        assert "holds files that no publish put there; take them over with `python -m ops adopt`" in volume.refusal(
            *verb
        )
    assert not (volume.path / "slots").exists()


@pytest.mark.parametrize("link", ["php", "php/slots"])
def test_links_in_our_place_are_refused(volume: Volume, link: str) -> None:
    elsewhere = volume.scratch / "elsewhere"
    elsewhere.mkdir()
    (volume.mount / link).parent.mkdir(exist_ok=True)
    (volume.mount / link).symlink_to(elsewhere)
    assert "is a symbolic link" in volume.refusal("hold", TOKEN, "me", "60")
    assert list(elsewhere.iterdir()) == []


@pytest.mark.every_shell
def test_the_state_tells_live_previous_and_what_is_whole(locked: Volume) -> None:
    one = locked.publish("a", {b"x": b"1"})
    two = locked.publish("b", {b"x": b"2"})
    locked.run("begin", TOKEN, "c", "fresh")
    state = locked.state()
    assert (state["live"], state["previous"]) == ("b", "a")
    assert state["slots"] == {"a": one, "b": two, "c": None}
    assert 0 < state["since"]["a"] <= state["since"]["b"] <= state["now"]
    assert state["since"]["c"] == 0
    with (locked.path / "slots" / "a.manifest").open("a") as manifest:
        manifest.write("644 0 - forged\n")
    assert locked.state()["slots"]["a"] is None


# --- Writing ---


@pytest.mark.every_shell
def test_a_glance_tells_the_same_by_each_slots_own_word(locked: Volume) -> None:
    one = locked.publish("a", {b"x": b"1"})
    locked.publish("b", {b"x": b"2"})
    locked.run("begin", TOKEN, "c", "fresh")

    def glance() -> dict[str, Any]:
        return {name: told for name, told in json.loads(locked.run("glance")).items() if name != "now"}

    seen = locked.state()
    assert seen.pop("now") > 0
    assert glance() == seen
    with (locked.path / "slots" / "a.manifest").open("a") as manifest:
        manifest.write("damage")
    assert (locked.state()["slots"]["a"], glance()["slots"]["a"]) == (None, one)


@pytest.mark.every_shell
def test_what_is_written_has_plain_modes_and_hostile_names_survive(locked: Volume) -> None:
    files = {name: name * 3 for name in HOSTILE}
    locked.publish("a", files)
    root = os.fsencode(locked.path / "html")
    for name, body in files.items():
        path = Path(os.fsdecode(root + b"/" + name))
        assert path.read_bytes() == body
        assert stat.S_IMODE(path.stat().st_mode) == 0o755
        assert path.stat().st_uid == os.geteuid()
        assert path.stat().st_mtime > 1
    assert stat.S_IMODE((locked.path / "html" / "d").stat().st_mode) == 0o755
    seen = locked.run("digests", "a", data=b"".join(name + b"\0" for name in files))
    assert dict(record[::-1] for record in records(seen)) == {name: sha256(body) for name, body in files.items()}


@pytest.mark.every_shell
def test_hostile_names_are_removed_and_only_they(locked: Volume) -> None:
    files = dict.fromkeys(HOSTILE, b"1")
    locked.write("a", files | {b"keep": b"1"})
    locked.write("a", {b"keep": b"2"}, start="delta", remove=b"\0".join([*HOSTILE[:-1], b"d", b""]))
    names = {path.name for path in (locked.path / "slots" / "a").iterdir()}
    assert names == {"keep", "glusterfarm-release", "glusterfarm-pod"}
    assert (locked.path / "slots" / "a" / "keep").read_bytes() == b"2"


def test_a_replaced_file_is_a_new_file(locked: Volume) -> None:
    locked.write("a", {b"page": b"old content"})
    reader = (locked.path / "slots" / "a" / "page").open("rb")
    locked.write("a", {b"page": b"new"}, start="delta")
    with reader:
        assert reader.read() == b"old content"


@pytest.mark.every_shell
def test_digests_leave_out_what_cannot_be_read(locked: Volume) -> None:
    locked.write("a", {b"page": b"1"})
    process = locked.start("digests", "a")
    stdout, stderr = process.communicate(b"absent\0page\0", timeout=60)
    assert process.returncode == 0
    assert list(records(stdout)) == [(sha256(b"1"), b"page")]
    assert b"absent" in stderr


@pytest.mark.parametrize("verb", ["digests", "link_digests"])
def test_of_a_slot_that_is_not_seen_no_file_can_be_read(locked: Volume, verb: str) -> None:
    locked.write("a", {b"page": b"1"})
    assert locked.run(verb, "c", data=b"page\0" * 100_000) == b""
    assert "slot c of " in locked.refusal("paths", "c")


@pytest.mark.every_shell
def test_link_digests_are_of_the_target_and_of_links_only(locked: Volume) -> None:
    locked.write("a", {b"page": b"1"})
    (locked.path / "slots" / "a" / "a\nlink").symlink_to("pa ge\n")
    seen = locked.run("link_digests", "a", data=b"page\0a\nlink\0absent\0")
    assert list(records(seen)) == [(sha256(b"pa ge\n"), b"a\nlink")]


@pytest.mark.every_shell
def test_what_is_in_a_slot_is_listed_by_type_whatever_it_is_called(locked: Volume) -> None:
    locked.write("a", dict.fromkeys(HOSTILE, b"1"))
    (locked.path / "slots" / "a" / "l\nk").symlink_to("a b")
    (locked.path / "slots" / "a" / "empty").mkdir()
    listed = set(locked.run("paths", "a").split(b"\0")[:-1])
    own = {b"f glusterfarm-release", b"l glusterfarm-pod"}
    assert listed == {b"f " + name for name in HOSTILE} | {b"l l\nk"} | own


@pytest.mark.every_shell
def test_a_slot_that_is_distrusted_is_not_whole_and_still_served(locked: Volume) -> None:
    release = locked.publish("a", {b"x": b"1"})
    assert "no longer holds the lock" in locked.refusal("distrust", "f" * 16, "a")
    assert locked.state()["slots"]["a"] == release
    locked.run("distrust", TOKEN, "a")
    locked.run("distrust", TOKEN, "a")
    assert (locked.state()["slots"]["a"], locked.state()["told"]["a"]) == (None, release)
    assert json.loads(locked.run("live")) == {"slot": "a", "release": release}


@pytest.mark.every_shell
def test_a_slot_is_whole_only_between_commit_and_the_next_begin(locked: Volume) -> None:
    release = locked.write("a", {b"x": b"1"})
    assert locked.run("manifest", "a").startswith(b"644 1 ")
    assert locked.state()["slots"]["a"] == release
    locked.run("begin", TOKEN, "a", "delta")
    assert locked.state()["slots"]["a"] is None
    assert "slot a of" in locked.refusal("manifest", "a")
    assert (locked.path / "slots" / "a" / "x").exists()


def test_a_manifest_that_was_cut_short_makes_no_release(locked: Volume) -> None:
    locked.run("begin", TOKEN, "a", "fresh")
    text = b"644 0 - page\n"
    said = locked.refusal("commit", TOKEN, "a", sha256(text)[:12], data=text[:-3])
    assert "did not arrive whole" in said
    assert locked.state()["slots"]["a"] is None


@pytest.mark.every_shell
def test_a_stream_that_was_cut_short_is_an_error(locked: Volume) -> None:
    locked.run("begin", TOKEN, "a", "fresh")
    stream = archive({b"large": bytes(100_000)})
    assert "cannot write slot a" in locked.refusal("extract", TOKEN, "a", data=stream[:50_000])


def test_a_slot_that_was_not_begun_is_not_written_to(locked: Volume) -> None:
    locked.write("a", {b"x": b"1"})
    assert "was not begun" in locked.refusal("extract", TOKEN, "a", data=archive({b"x": b"2"}))
    assert (locked.path / "slots" / "a" / "x").read_bytes() == b"1"


@pytest.mark.parametrize(
    "verb", [("begin", "fresh"), ("begin", "delta"), ("extract",), ("commit", "0" * 12), ("release", "0" * 12, NOTE)]
)
def test_live_and_previous_are_never_written_to(locked: Volume, verb: tuple[str, ...]) -> None:
    locked.publish("a", {b"x": b"1"})
    locked.publish("b", {b"x": b"2"})
    before = {path: path.lstat().st_ino for path in (locked.path / "slots").rglob("*")}
    for slot in "ab":
        assert "is live or the previous release" in locked.refusal(verb[0], TOKEN, slot, *verb[1:], data=b"x\0")
    assert {path: path.lstat().st_ino for path in (locked.path / "slots").rglob("*")} == before


@pytest.mark.every_shell
@pytest.mark.parametrize("slot", ["d", "", "../a", "a b", "lock"])
def test_what_is_no_slot_is_refused(locked: Volume, slot: str) -> None:
    for verb in (
        ("begin", TOKEN, slot, "fresh"),
        ("flip", TOKEN, slot, "0" * 12),
        ("manifest", slot),
        ("digests", slot),
        ("paths", slot),
        ("distrust", TOKEN, slot),
    ):
        assert "is not a slot" in locked.refusal(*verb)


@pytest.mark.every_shell
def test_an_unknown_verb_is_refused(volume: Volume) -> None:
    assert "'frobnicate' is not a verb" in volume.refusal("frobnicate")


def test_a_full_volume_is_said_and_leaves_the_live_release(volume: Volume) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(volume.mount)], check=True)
    try:
        volume.mountinfo.write_text(mountinfo_line(volume.mount))
        volume.lock()
        release = volume.publish("a", {b"x": b"1"})
        volume.run("begin", TOKEN, "b", "fresh")
        said = volume.refusal("extract", TOKEN, "b", data=archive({b"large": bytes(400_000)}))
        assert "tar: large: " in said
        assert "see that the volume has space" in said
        text = b"644 0 - page\n" * 20_000
        assert "volume" in volume.refusal("commit", TOKEN, "b", sha256(text)[:12], data=text)
        assert json.loads(volume.run("live")) == {"slot": "a", "release": release}
        assert volume.state()["slots"]["b"] is None
        volume.unlock()
    finally:
        subprocess.run(["umount", "-l", str(volume.mount)], check=True)
