"""What the comment says of files, and of what it cannot see."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.unit.ops.preview.cases import large_changed, recorded, repository
from tests.unit.ops.preview.conftest import Run, against, written


def test_a_secret_that_changes_in_the_pods_is_a_reason(ops: Run) -> None:
    """What is masked is masked on both sides alike; that it changed must not be lost by that."""
    digest = recorded("image")
    path = "spec.template.spec.containers[0].env[0].value"
    for step in digest["steps"]:
        if step["urn"].endswith("Controller::php"):
            step["detailedDiff"] = {path: {"kind": "update-replace"}}
            for side, value in (("oldState", "hunter2"), ("newState", "hunter3")):
                if side in step:
                    (container,) = step[side]["inputs"]["spec"]["template"]["spec"]["containers"]
                    container["env"] = [{"name": "DB_PASSWORD", "value": value}]

    out = ops(*written(digest))[1]

    assert "- env changed: `DB_PASSWORD`" in out
    assert "hunter" not in out


def test_the_same_files_are_published_again_after_a_publish_that_failed(ops: Run) -> None:
    """Its release is what the intent says in the state; the publish itself has the files from before there."""
    digest = recorded("content")
    for step in digest["steps"]:
        if step["urn"].endswith("content-publish"):
            step["newState"]["inputs"]["stdin"] = step["oldState"]["inputs"]["stdin"]
        if step["urn"].endswith("content-intent"):
            step["oldState"], step["newState"] = step["newState"], step["oldState"]

    out = ops(*written(digest))[1]

    assert "- **Content**: the same files, published again, as a publish of release `505bdf895f29` failed" in out
    assert "### Content" not in out, "no file changes"
    assert "### Others" not in out


def test_a_publish_that_is_replaced_by_hand_is_not_told_as_one_that_failed(ops: Run) -> None:
    digest = recorded("content")
    for step in digest["steps"]:
        if step["urn"].endswith(("content-publish", "content-intent")):
            step["newState"]["inputs"] = step["oldState"]["inputs"]

    assert "- **Content**: the same files, published again\n" in ops(*written(digest))[1]


def test_the_manifest_in_a_form_of_another_version(ops: Run) -> None:
    digest = recorded("content")
    for step in digest["steps"]:
        if step["urn"].endswith("content-publish"):
            step["oldState"]["inputs"]["stdin"] = "tree 120 000000000001 images/\nmore: 3\nsame\n"
            step["newState"]["inputs"]["stdin"] = "tree 150 000000000002 images/\nmore: 4\nsame\n"

    out = ops(*written(digest))[1]

    assert "- changed `images/`, 120 B → 150 B, `tree`" in out
    assert "- **Content**: 1 file changed, 2 entries in another form" in out
    assert "```diff\n-more: 3\n+more: 4\n```" in out


def test_files_that_move_and_change_their_mode(ops: Run) -> None:
    digest = recorded("content")
    for step in digest["steps"]:
        if step["urn"].endswith("content-publish"):
            step["oldState"]["inputs"]["stdin"] = (
                "644 3 aaaaaaaaaaaa a\n644 9 bbbbbbbbbbbb run\nlink 1 cccccccccccc l\n"
            )
            step["newState"]["inputs"]["stdin"] = "644 3 aaaaaaaaaaaa b/a\n755 9 bbbbbbbbbbbb run\ndir 0 - l\n"

    out = ops(*written(digest))[1]

    assert "- moved `a` → `b/a`, 3 B\n" in out
    assert "- changed `run`, 9 B, mode or kind `644` → `755`\n" in out
    assert "- changed `l`, 1 B → 0 B, mode or kind `link` → `dir`\n" in out


def test_a_text_is_shown_only_where_it_is_what_is_live_and_what_goes_live(
    ops: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = repository(tmp_path, "content")
    files.write("content/index.php", "<?php echo 'TWO';\n")
    files.write("content/new/page.html", "<p>new</p>\n")
    subprocess.run(["git", "rm", "-q", "content/about.html"], check=True, timeout=30)
    who = ("-c", "user.name=tests", "-c", "user.email=tests@example.org")
    subprocess.run(["git", *who, "commit", "-q", "-m", "a base that was never deployed"], check=True, timeout=30)

    out = ops(*against("content"), "--base", "HEAD")[1]

    assert "- `about.html`: the base has another text than what is live" in out
    assert "- `index.php`: the working tree has another text than what was previewed" in out
    assert "TWO" not in out
    assert "+<p>new</p>" in out


def test_a_site_that_grows_large_is_told_by_directories_without_a_base(ops: Run) -> None:
    digest = recorded("content")
    for step in digest["steps"]:
        if step["urn"].endswith("content-publish"):
            step["oldState"]["inputs"]["stdin"] = (
                "644 5 aaaaaaaaaaaa index.php\n644 7 bbbbbbbbbbbb css/a.css\n644 3 cccccccccccc vendor/x/y/z.php\n"
                "644 9 dddddddddddd old/deep/er.html\n"
            )
            step["newState"]["inputs"]["stdin"] = (
                "files=1 5 000000000001 ./\nfiles=2 17 000000000002 css/\nfiles=2000 99999 000000000003 vendor/**\n"
            )

    out = ops(*written(digest))[1]

    assert "- **Content**: files in 3 directories of a large site; release" in out
    assert (
        "### Content\n\n- changed `css/`: 1 → 2 files, 7 B → 17 B\n- gone `old/deep/`: 1 file, 9 B\n"
        "- changed `vendor/` and below: 1 → 2,000 files, 3 B → 97.7 KiB\n\n*A large site is shown by its directories."
    ) in out
    assert json.loads(ops(*written(digest), "--json")[1])["content"]["filesAfter"] == 2003


def test_files_of_a_large_site_are_told_only_where_git_has_just_what_is_live(ops: Run, tmp_path: Path) -> None:
    files = repository(tmp_path, "large-changed")
    exact = ops(*written(large_changed()), "--base", "HEAD")[1]
    assert "- changed `images/3/photo-3.jpg`, 5 B → 10 B\n" in exact
    assert "large site" not in exact

    files.write("content/images/5/one-more.txt", "not previewed\n")
    told = ops(*written(large_changed()), "--base", "HEAD")[1]
    assert "photo-3.jpg" not in told
    assert "- changed `images/3/`: 300 files, " in told
    (tmp_path / "content/images/5/one-more.txt").unlink()

    who = ("-c", "user.name=tests", "-c", "user.email=tests@example.org")
    subprocess.run(["git", *who, "commit", "-q", "-a", "-m", "not deployed"], check=True, timeout=30)
    assert "- changed `images/3/`: 300 files, " in ops(*written(large_changed()), "--base", "HEAD")[1]
    assert ops(*written(large_changed()), "--base", "HEAD~1")[1] == exact


def test_nothing_outside_of_the_content_is_read(ops: Run, tmp_path: Path) -> None:
    """A preview may be read from anywhere: its manifest names no file that is not the content's."""
    repository(tmp_path)
    outside = tmp_path / "outside.txt"
    outside.write_text("outside\n")
    (tmp_path / "content" / "way").symlink_to(tmp_path)
    digest = recorded("content")
    for step in digest["steps"]:
        if step["urn"].endswith("content-publish"):
            line = "644 8 92a214fa6157 {}\n"
            names = ("../outside.txt", str(outside), "way/outside.txt", "\\x00", "\\xff")
            step["newState"]["inputs"]["stdin"] = "".join(line.format(name) for name in names)

    out = ops(*written(digest), "--base", "HEAD")[1]

    assert "+outside" not in out
    assert out.count("the working tree has another text than what was previewed") == 1
    assert "`../outside.txt`" in out


def test_a_look_before_a_mount_alone_is_told(ops: Run) -> None:
    """As of a stack that an older version made."""
    digest = recorded("minion-added")
    drain = next(it for it in digest["steps"] if it["urn"].endswith("-drain") and it["op"] == "create")
    reach = {**drain, "urn": drain["urn"].rpartition("::")[0] + "::mount-minion-1-reach"}
    digest["steps"] = [reach, *(it for it in digest["steps"] if "Stack::" in it["urn"])]

    assert "`minion-1`: the check before its mount" in ops(*written(digest))[1]
