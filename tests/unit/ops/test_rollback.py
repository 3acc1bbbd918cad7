"""`ops rollback`: there and back by one flip, proven like a publish, without the content at hand."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from publisher import verify
from tests.support.site import ONE, THREE, TWO, stale, verb_of
from tests.support.trees import Tree
from tests.unit.ops.conftest import SiteStack

FOUR: Tree = {b"index.php": (b"four", False)}


def test_there_and_back_without_the_content(site_stack: SiteStack) -> None:
    site = site_stack.site
    one, two = site_stack.up(ONE), site_stack.up(TWO)
    shutil.rmtree(site.source)
    for minion in site.minions:
        minion.commands.clear()
    status, out, err = site_stack.ops("rollback")
    assert status == 0
    assert site.live() == ONE
    assert site.slot(site.previous_slot()) == TWO
    first, second, differ, stay, back = out.splitlines()
    assert first == f"release {one} is live in slot a instead of {two}: 1 files added, 1 changed, 1 removed"
    assert second.startswith("through minion-1, verified by minion-2, in ")
    assert differ.startswith(f"stack dev has release {two}, so stack and volume differ: `pulumi up` with unchanged")
    assert stay.startswith(f"to stay with {one}: have its content back in content, then `pulumi up`")
    assert back == f"to have {two}: `python -m ops rollback --to {two} --stack dev`, or `pulumi up` of new content"
    assert "verifying 2 files of slot a through minion-2" in err
    verbs = [{verb_of(command) for command in minion.commands} for minion in site.minions]
    assert not {"begin", "extract", "commit", "release"} & (verbs[0] | verbs[1])
    assert {"digests", "live"} <= verbs[1]

    record = site.log()[-1]
    assert (record.kind, record.release, record.replaced) == ("rolled-back", one, two)
    status, out, _ = site_stack.ops("rollback")
    assert (status, site.live()) == (0, TWO)
    assert out.splitlines()[-1] == "stack and volume agree"


def test_to_a_release_that_is_neither_live_nor_previous_and_forward_again(site_stack: SiteStack) -> None:
    one, two, three = (site_stack.up(tree) for tree in (ONE, TWO, THREE))
    told = site_stack.told("rollback", "--to", one)
    assert told.pop("seconds") > 0
    assert told.pop("log")["who"]
    assert told == {
        **{"stack": "dev", "release": one, "slot": "a", "replaced": three, "stackRelease": three, "differs": True},
        **{"publisher": "minion-1", "verifiedBy": ["minion-2"]},
    }
    assert site_stack.site.live() == ONE
    assert site_stack.told("rollback", "--to", two)["replaced"] == one
    assert site_stack.told("rollback", "--to", three)["differs"] is False
    assert site_stack.site.live() == THREE


def test_it_names_the_commit_to_go_on_from(site_stack: SiteStack) -> None:
    git = ["git", "-C", str(site_stack.stack.directory), "-c", "user.name=me", "-c", "user.email=me@example.com"]
    site_stack.site.content(ONE)
    for words in (["init"], ["add", "content"], ["commit", "--message", "one"]):
        subprocess.run([*git, *words], check=True, capture_output=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    site_stack.up(ONE)
    site_stack.up(TWO)
    assert f"`git checkout {head} -- content`, then `pulumi up`" in site_stack.ops("rollback")[1]
    assert site_stack.site.log()[-1].commit == head
    site_stack.ops("rollback")
    site_stack.up(THREE)
    assert f"(it was near commit {head})" in site_stack.ops("rollback")[1]


def test_up_of_the_content_that_was_gone_back_to_finds_it_live(site_stack: SiteStack) -> None:
    site_stack.up(ONE)
    site_stack.up(TWO)
    site_stack.ops("rollback")
    site_stack.site.content(ONE)
    assert site_stack.site.publish().action == "unchanged"
    site_stack.up(THREE)
    assert site_stack.site.live() == THREE
    assert site_stack.site.slot(site_stack.site.previous_slot()) == ONE


@pytest.mark.parametrize("to", ["", "x", "../slots/a", "8A749EA8C427", "8a749ea8c4", "8a749ea8c427ff", "$(id)"])
def test_what_is_no_release(site_stack: SiteStack, to: str) -> None:
    one = site_stack.up(ONE)
    site_stack.up(TWO)
    refused(site_stack, f"'{to}' is not a release: one has 12 hex digits", "--to", to, there=f"{one} (slot a)")


def test_a_release_that_is_nowhere_or_live(site_stack: SiteStack) -> None:
    one, two = site_stack.up(ONE), site_stack.up(TWO)
    there = f"{one} (slot a)"
    refused(site_stack, "release 0123456789ab is in no slot", "--to", "0123456789ab", there=there)
    refused(site_stack, f"release {two} is live already, in slot b", "--to", two, there=there)


def test_no_previous_release(site_stack: SiteStack) -> None:
    refused(site_stack, "the site does not have a previous release", there="nothing")
    assert list(site_stack.site.volume.iterdir()) == [], "not even the site's directory was made"
    site_stack.up(ONE)
    refused(site_stack, "the site does not have a previous release", there="nothing")


def test_a_slot_that_is_damaged_as_its_manifest_tells(site_stack: SiteStack) -> None:
    one, two, _ = (site_stack.up(tree) for tree in (ONE, TWO, THREE))
    with (site_stack.site.path / "slots" / "b.manifest").open("a") as manifest:
        manifest.write("644 0 - forged\n")
    there = f"{one} (slot a)"
    refused(site_stack, "the previous release, in slot b, is damaged", there=there)
    refused(site_stack, f"release {two}, in slot b, is damaged", "--to", two, there=there)


def refused(site_stack: SiteStack, said: str, *words: str, there: str) -> None:
    """What cannot be gone to is told with what can, and nothing is touched."""
    path = site_stack.site.path
    before = sorted((it, it.lstat().st_mtime_ns) for it in path.rglob("*"))
    status, out, err = site_stack.ops("rollback", *words, "--json")
    assert (status, out) == (2, "")
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert said in line
    assert f"; can be gone to at once: {there}; any other one is published with its content (`pulumi up`)" in line
    assert sorted((it, it.lstat().st_mtime_ns) for it in path.rglob("*")) == before


def test_a_slot_whose_file_is_not_what_its_manifest_says_does_not_go_live(
    site_stack: SiteStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "SETTLE_SECONDS", 0.3)
    site_stack.up(ONE)
    site_stack.up(TWO)
    (site_stack.site.path / "slots" / "a" / "index.php").write_text("bad")
    status, out, err = site_stack.ops("rollback")
    assert (status, out) == (1, "")
    assert "error: minion minion-2 does not see what was published: " in err
    assert "slots/a/index.php has SHA-256" in err
    assert site_stack.site.live() == TWO
    assert [record.kind for record in site_stack.site.log()] == ["published", "published"]


def test_a_minion_that_does_not_see_it_undoes_it(site_stack: SiteStack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "SETTLE_SECONDS", 0.3)
    site_stack.up(ONE)
    two = site_stack.up(TWO)
    site_stack.site.minions[1].tamper = stale
    status, out, err = site_stack.ops("rollback", "--json")
    assert (status, out) == (1, "")
    assert "minion-2 sees release 000000000000" in err
    assert f"the flip was undone, release {two} in slot b is live" in err
    assert site_stack.site.live() == TWO
    assert [record.kind for record in site_stack.site.log()][-2:] == ["rolled-back", "undone"]


def test_another_deployment_is_told_of(site_stack: SiteStack) -> None:
    site = site_stack.site
    site_stack.up(ONE)
    site_stack.up(TWO)
    with subprocess.Popen(
        ["flock", str(site.path / "slots" / "lock"), "sh", "-c", "echo t since 2026, them >$0; echo; read -r _",
         str(site.path / "slots" / "lock")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as other:  # fmt: skip
        assert other.stdout
        other.stdout.readline()
        status, _, err = site_stack.ops("rollback")
        assert status == 1
        assert f"another deployment is publishing {site.path}: since 2026, them; wait until it has ended" in err
        other.communicate(b"\n")
    assert site.live() == TWO


def test_where_nothing_is_live_any_more_a_release_is_made_live(site_stack: SiteStack) -> None:
    one = site_stack.up(ONE)
    (site_stack.site.path / "html").unlink()
    refused(site_stack, "the site does not have a previous release", there=f"{one} (slot a)")
    status, out, _ = site_stack.ops("rollback", "--to", one)
    assert status == 0
    assert out.startswith(f"release {one} is live in slot a instead of nothing: 3 files added")
    assert site_stack.site.live() == ONE


def test_more_releases_than_slots(site_stack: SiteStack) -> None:
    one, two, three, four = (site_stack.up(tree) for tree in (ONE, TWO, THREE, FOUR))
    there = f"{three} (slot c), {two} (slot b)"
    refused(site_stack, f"release {one} is in no slot", "--to", one, there=there)
    assert site_stack.told("rollback")["release"] == three
    assert site_stack.told("rollback", "--to", four)["release"] == four
