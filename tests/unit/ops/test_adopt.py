"""`ops adopt`: a site that somebody copied there by hand becomes the first release, and `up` goes on from it."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from connectors.login_shell import words_of
from publisher import verify
from publisher.manifest import Manifest
from publisher.remote import PublishError
from tests.support.site import ONE, THREE, TWO, stale
from tests.support.trees import Tree, write_tree
from tests.unit.ops.conftest import SiteStack

NASTY: Tree = ONE | {
    b"new\nline": (b"", True),
    b"\xff": {b"empty": {}, b"link": b"../index.php"},
    b" -rf": (b"x", False),
}


def copied(site_stack: SiteStack, tree: Tree, where: str = "html") -> Path:
    """The site as somebody copies it there, with a mode that a copy leaves."""
    target = site_stack.site.path / where
    target.parent.mkdir(exist_ok=True)
    write_tree(target, tree)
    subprocess.run(["chmod", "-R", "u=rwX,go=rX", target], check=True)
    return target


@pytest.mark.parametrize("where", ["html", ""])
def test_what_was_copied_there_is_the_first_release(site_stack: SiteStack, where: str) -> None:
    site = site_stack.site
    copied(site_stack, NASTY, where)
    release = site.content(NASTY)
    with pytest.raises(PublishError, match="`python -m ops adopt`"):
        site.publish()
    told = site_stack.told("adopt")
    assert told.pop("seconds") > 0
    assert 0 < told.pop("gapMilliseconds") < 10_000
    assert told == {
        **{"path": str(site.path), "release": release, "slot": "a", "files": 5, "bytes": 6, "notKept": []},
        **{"publisher": "minion-1", "verifiedBy": ["minion-2"]},
    }
    assert site.live() == NASTY
    assert site.slot("a") == NASTY
    assert [record.kind for record in site.log()] == ["adopted"]
    assert sorted(path.name for path in site.volume.iterdir()) == ["php"]

    assert site.publish().action == "unchanged", "the same content is found live"
    site.publish(TWO)
    assert site.slot(site.previous_slot()) == NASTY
    site_stack.up(THREE)
    outcome = site.publish(NASTY | {b"more": (b"m", False)})
    assert (outcome.slot, outcome.written) == ("a", 1), "only what differs is written into the slot"
    assert site.live() == NASTY | {b"more": (b"m", False)}


def test_it_is_told_in_words_and_a_second_time_there_is_nothing(site_stack: SiteStack) -> None:
    html = copied(site_stack, ONE)
    (html / "old").chmod(0o600)
    (html / "abs").symlink_to("/var/www/html/old")
    status, out, err = site_stack.ops("adopt", "--stack", "dev")
    assert status == 0, err
    first, link, mode, last = out.splitlines()
    assert first.startswith(f"{site_stack.site.path} is adopted: release ")
    assert "3 files, is live in slot a; it was not there for " in first
    assert link == "of the next releases: abs is an absolute link, which no publish takes"
    assert mode == "of the next releases: old is of a mode that a publish makes 644 or 755"
    assert last.startswith("`pulumi up` publishes to it now")
    assert "verifying 3 files through minion-2" in err
    assert (html / "old").stat().st_mode & 0o7777 == 0o600, "what is served stays as it is"
    status, out, err = site_stack.ops("adopt")
    assert (status, out) == (1, "")
    assert "there is nothing to adopt; publish (pulumi up)" in err


def test_links_that_no_publish_takes_are_told(site_stack: SiteStack) -> None:
    """A link to a shared directory is one that a publish takes."""
    site_stack.change_config("glusterfarm:shared", [{"name": "uploads", "path": "/srv/uploads"}])
    html = copied(site_stack, ONE)
    for name, target in {"uploads": "/srv/uploads/2026", "abs": "/srv", "gone": "nowhere", "in": "index.php"}.items():
        (html / name).symlink_to(target)
    assert site_stack.told("adopt")["notKept"] == [
        "abs is an absolute link, which no publish takes",
        "gone is a link to what is not there, which no publish takes",
    ]


def test_what_no_slot_can_hold_is_named_and_nothing_is_moved(site_stack: SiteStack) -> None:
    html = copied(site_stack, ONE)
    (html / "out").symlink_to("../shared")
    assert "out is a link that leads out of what is served" in refused(site_stack)
    (html / "out").unlink()
    os.mkfifo(html / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(html / "socket"))
        assert "pipe, socket are each no file, directory or link" in refused(site_stack)


def asked(command: str) -> str:
    """The verb of a command line of adopt.sh; '' for another script's."""
    words = words_of(command)
    return words[5] if words[3] == "adopt" else ""


def refused(site_stack: SiteStack) -> str:
    status, out, err = site_stack.ops("adopt", "--json")
    assert (status, out) == (1, "")
    assert "Traceback" not in err
    assert (site_stack.site.path / "html" / "index.php").read_text() == "one"
    assert not (site_stack.site.path / "html").is_symlink()
    return err


def test_what_changes_while_it_is_read_stops_it(site_stack: SiteStack) -> None:
    html = copied(site_stack, ONE)
    minion = site_stack.site.minions[1]

    def change(command: str) -> str:
        if asked(command) == "digests":
            (html / "late").write_text("upload")
        return command

    minion.tamper = change
    assert "late changed while it was read; run again" in refused(site_stack)
    minion.tamper = lambda command: command
    assert site_stack.told("adopt")["files"] == 4


def test_a_minion_that_reads_something_else_stops_it(site_stack: SiteStack) -> None:
    copied(site_stack, ONE)
    other = "printf '%064d  ./index.php\\0' 0"
    site_stack.site.minions[1].tamper = lambda command: other if asked(command) == "digests" else command
    err = refused(site_stack)
    assert "minion minion-2 does not read in " in err
    assert "nothing was moved" in err


def test_a_minion_that_does_not_see_it_is_named_and_it_is_adopted(
    site_stack: SiteStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "SETTLE_SECONDS", 0.3)
    copied(site_stack, ONE)
    release = site_stack.site.content(ONE)
    site_stack.site.minions[1].tamper = stale
    status, out, err = site_stack.ops("adopt")
    assert (status, out) == (1, "")
    assert "minion-2 sees release 000000000000" in err
    assert f"It is adopted all the same: release {release} is live" in err
    assert site_stack.site.live() == ONE


def test_one_that_was_cut_off_is_finished(site_stack: SiteStack) -> None:
    site = site_stack.site
    copied(site_stack, ONE)
    site_stack.told("adopt")
    (site.path / "html").rename(site.path / ".html.new")
    status, out, err = site_stack.ops("adopt")
    assert status == 0
    assert "finishing an adoption that was cut off" in err
    assert "is live in slot a; an earlier run moved it" in out
    assert site.live() == ONE


def test_which_docroot_is_asked_for_when_there_are_two(site_stack: SiteStack) -> None:
    copied(site_stack, ONE)
    (site_stack.site.path / "robots.txt").write_text("")
    assert "has a directory html and files beside it (robots.txt); say which" in refused(site_stack)
    assert site_stack.told("adopt", "--docroot", "html")["files"] == 3
    assert (site_stack.site.path / "robots.txt").exists(), "what is beside it stays"
    assert Manifest.parse((site_stack.site.path / "slots" / "a.manifest").read_text())


def test_another_adoption_is_told_of(site_stack: SiteStack) -> None:
    copied(site_stack, ONE)
    (site_stack.site.path / "slots").mkdir()
    lock = site_stack.site.path / "slots" / "lock"
    holding = "echo t since 2026, them >$0; echo; read -r _"
    with subprocess.Popen(
        ["flock", lock, "sh", "-c", holding, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout
        other.stdout.readline()
        assert "since 2026, them; wait until it has ended" in refused(site_stack)
        other.communicate(b"\n")
