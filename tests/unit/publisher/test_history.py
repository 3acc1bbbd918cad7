"""The release log as it is read, and what a publish leaves in it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from connectors import KEY_VARIABLE
from publisher import scan, verify
from publisher.commit import commit_of
from publisher.history import parse_log
from publisher.manifest import Manifest
from publisher.remote import PublishError
from tests.support.site import ONE, TWO, PublishedSite, stale

LINE: dict[str, Any] = {
    **{"when": "2026-11-25T06:38:00Z", "slot": "a", "release": "0123456789ab", "replaced": None},
    **{"files": 3, "bytes": 5, "added": 3, "changed": 0, "removed": 0},
    **{"kind": "published", "who": "me@here", "commit": None},
}


def git(directory: Path, *words: str) -> str:
    identity = ["-c", "user.name=me", "-c", "user.email=me@example.com"]
    return subprocess.run(
        ["git", *identity, "-C", str(directory), *words], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[]",
        "null",
        "[" * 100_000,
        json.dumps(LINE)[:-5],
        json.dumps(LINE | {"slot": "d"}),
        json.dumps(LINE | {"when": None}),
        json.dumps(LINE | {"files": "3"}),
        json.dumps(LINE | {"files": True}),
        json.dumps(LINE | {"release": 12}),
        "\ufffd",
    ],
)
def test_a_line_that_is_no_record_is_left_out(line: str) -> None:
    text = "\n".join([json.dumps(LINE), line, json.dumps(LINE | {"more": "of a later version"})])
    assert [record.release for record in parse_log(text.encode())] == ["0123456789ab"] * 2
    assert parse_log(line.encode() + b"\xff") == []


def test_a_publish_is_in_the_log_with_its_commit(site: PublishedSite) -> None:
    one = site.content(ONE)
    git(site.directory, "init", "--quiet")
    git(site.directory, "add", "content")
    git(site.directory, "commit", "--quiet", "--message", "one")
    commit = git(site.directory, "rev-parse", "HEAD")
    site.publish()
    two = site.content(TWO)
    site.publish()
    site.publish()
    site.publish(ONE)
    first, second, third = site.log()
    assert (first.kind, first.release, first.replaced, first.commit) == ("published", one, None, commit)
    assert (second.kind, second.release, second.replaced, second.commit) == ("published", two, one, f"{commit}-dirty")
    assert (second.added, second.changed, second.removed) == (1, 1, 1)
    assert (third.kind, third.release, third.commit) == ("flipped-back-by-up", one, commit)
    assert f"(process {os.getpid()})" in first.who


def test_a_release_that_was_written_and_never_live_is_published_when_it_goes_live(site: PublishedSite) -> None:
    site.publish(ONE)
    site.publish(TWO)
    for tree in (ONE | {b"a": (b"1", False)}, ONE | {b"a": (b"2", False)}):
        site.minions[0].tamper = lambda command: command.replace("' publish release ", "' publish commit ")
        with pytest.raises(PublishError):
            site.publish(tree)
        site.minions[0].tamper = lambda command: command
        assert site.publish(tree).action == "flipped"
        assert site.log()[-1].kind == "published"


def test_a_flip_that_is_undone_is_in_the_log_as_that(site: PublishedSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "SETTLE_SECONDS", 0.3)
    site.publish(ONE)
    site.minions[1].tamper = stale
    with pytest.raises(PublishError):
        site.publish(TWO)
    assert [record.kind for record in site.log()] == ["published", "published", "undone"]
    assert site.log()[-1].release == site.log()[0].release


def commit(content: Path) -> str | None:
    return commit_of(content, scan.read(content))


def test_the_commit_of_a_content_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = tmp_path / "site" / "content"
    content.mkdir(parents=True)
    (content / "page").write_text("1")
    assert commit(content) is None, "no work tree"
    git(tmp_path, "init", "--quiet")
    assert commit(content) is None, "no commit"
    (tmp_path / ".gitignore").write_text("*.cache\nvendor/\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "one")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert commit(content) == head
    (tmp_path / "elsewhere").write_text("changed")
    assert commit(content) == head, "only what is published counts"
    for name in ("untracked", "ignored.cache", "vendor/b", "a new/name\n"):
        (content / name).parent.mkdir(exist_ok=True)
        (content / name).write_text("")
        assert commit(content) == f"{head}-dirty", name
        (content / name).unlink()
    (content / "page").write_text("2")
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    assert commit(content) == f"{head}-dirty", "as in a hook of git"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit(content) is None, "no git"


def test_what_git_runs_for_a_repository_is_told_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content, told = tmp_path / "content", tmp_path / "told"
    content.mkdir()
    (content / ".gitattributes").write_text("page filter=tell\n")
    (content / "page").write_text("1")
    git(content, "init", "--quiet")
    git(content, "config", "filter.tell.clean", f"env >>'{told}'; cat")
    git(content, "add", ".")
    git(content, "commit", "--quiet", "--message", "one")
    (content / "page").write_text("2")
    told.unlink()
    for name in (KEY_VARIABLE, "PULUMI_CONFIG_PASSPHRASE"):
        monkeypatch.setenv(name, "hunter2")
    assert str(commit(content)).endswith("-dirty")
    assert "PATH=" in told.read_text(), "it ran"
    assert "hunter2" not in told.read_text()


def test_what_is_not_published_makes_no_commit_dirty(tmp_path: Path) -> None:
    (tmp_path / ".publishignore").write_text("*.log\n/vendor/*/tests\n")
    (tmp_path / "page").write_text("1")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "one")
    head = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "debug.log").write_text("")
    assert commit(tmp_path) == head
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "debug.log").write_text("")
    (tmp_path / "vendor" / "x" / "tests").mkdir(parents=True)
    (tmp_path / "vendor" / "x" / "tests" / "y").write_text("")
    assert commit(tmp_path) == head
    (tmp_path / "vendor" / "x" / "y").write_text("")
    assert commit(tmp_path) == f"{head}-dirty"


def test_a_git_that_hangs_holds_nothing_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "git").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr("publisher.commit._SECONDS", 0.3)
    assert commit_of(tmp_path, Manifest(entries=())) is None
