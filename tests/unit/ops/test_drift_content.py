"""`ops drift` and the site: what is live, what the slots hold, and with --deep every byte, as each minion sees it."""

from __future__ import annotations

import asyncio
import json
import shlex
from typing import Any

import pytest

from ops.content import distrust
from ops.recorded_stack import state_of
from tests.support.site import ONE, THREE, TWO, verb_of
from tests.unit.ops.conftest import SiteStack


def findings(site_stack: SiteStack, *words: str) -> list[dict[str, Any]]:
    status, out, err = site_stack.ops("drift", "--json", *words)
    found = list(json.loads(out)["findings"])
    assert status == (1 if found else 0), (out, err)
    return found


def test_nothing_drifted(site_stack: SiteStack) -> None:
    assert findings(site_stack) == [], "nothing is published yet: there is nothing to compare"
    for tree in (ONE, TWO, THREE):
        site_stack.up(tree)
    assert findings(site_stack) == []
    assert findings(site_stack, "--deep") == []
    seen = [{verb_of(command) for command in minion.commands} for minion in site_stack.site.minions]
    assert {"state", "paths", "digests", "manifest"} <= seen[0] & seen[1]


def test_another_release_that_is_live_is_one_finding_and_published_again(site_stack: SiteStack) -> None:
    site = site_stack.site
    site_stack.up(ONE)
    two = site_stack.up(TWO)
    one = site.publish(ONE).release
    site.content(TWO)
    (finding,) = findings(site_stack)
    assert (finding["minion"], finding["what"], finding["wanted"]) == ("", "release", two)
    assert finding["found"] == f"{one} live at {site.path}"
    assert "--repair" in finding["remedy"]
    assert site.live() == ONE, "looking changes nothing"
    assert site_stack.ops("drift")[1].startswith(f"site: release: found {one} live at ")

    site_stack.publishes_again()
    status, out, err = site_stack.ops("drift", "--repair")
    assert (status, out.splitlines()[0]) == (0, "site: content repaired: published again"), err
    assert site.live() == TWO
    (up,) = [call for call in (site_stack.pulumi / "calls").read_text().splitlines() if call.startswith("up")]
    its = "urn:pulumi:dev::glusterfarm::glusterfarm:index:ContentSync$command:local:Command::content-"
    assert up.startswith(f"up --yes --target {its}intent --target-replace {its}publish --non-")


def test_what_an_older_version_deployed_is_left_to_an_up(site_stack: SiteStack) -> None:
    """It has no note of what was to be published: to run the publish alone would end in an error of the engine's."""
    site = site_stack.site
    site_stack.up(ONE)
    site_stack.record(site.publish(TWO).release)
    site.publish(ONE)
    site.content(TWO)
    export = site_stack.pulumi / "export.json"
    state = json.loads(export.read_text())
    its = state["deployment"]["resources"]
    its[:] = [it for it in its if not it["urn"].endswith("::content-intent")]
    export.write_text(json.dumps(state))

    site_stack.ops("drift", "--repair")

    (finding,) = findings(site_stack)
    assert finding["remedy"] == (
        "an older version of this program deployed the stack: see `pulumi preview`, then `pulumi up` publishes"
    )
    calls = (site_stack.pulumi / "calls").read_text().splitlines()
    assert not [call for call in calls if call.startswith("up")]


def test_who_rolled_back_is_not_overruled(site_stack: SiteStack) -> None:
    site_stack.up(ONE)
    two = site_stack.up(TWO)
    site_stack.ops("rollback")
    (finding,) = findings(site_stack, "--repair")
    assert finding["what"] == "release"
    assert finding["remedy"].startswith("somebody rolled back: `pulumi up` of the content that is live, or")
    assert f"rollback --to {two}" in finding["remedy"]
    assert site_stack.site.live() == ONE


def test_a_link_that_somebody_points_elsewhere_is_no_rollback(site_stack: SiteStack) -> None:
    site = site_stack.site
    site_stack.up(ONE)
    site_stack.up(TWO)
    site_stack.ops("rollback")
    site_stack.ops("rollback")
    assert site.log()[-1].kind == "rolled-back"
    (site.path / "html").unlink()
    (site.path / "html").symlink_to("slots/a")
    (finding,) = findings(site_stack)
    assert finding["mend"] == "content"
    site_stack.publishes_again()
    assert findings(site_stack, "--repair") == []
    assert site.live() == TWO


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("gluster", {"servers": ["gluster-1"], "volume": "Other"}),
        ("gluster", {"servers": ["gluster-1"], "volume": "MyVolume", "mountPath": "/srv/other"}),
        ("content", {"source": "content", "site": "other"}),
    ],
)
def test_a_repair_publishes_nowhere_else(site_stack: SiteStack, key: str, value: object) -> None:
    site_stack.up(ONE)
    site_stack.up(TWO)
    site_stack.site.publish(ONE)
    site_stack.site.content(TWO)
    site_stack.change_config(f"glusterfarm:{key}", value)
    (finding,) = findings(site_stack, "--repair")
    assert "names another source, site, volume or mount path: see `pulumi preview`" in finding["remedy"]
    assert not any(call.startswith("up") for call in (site_stack.pulumi / "calls").read_text().splitlines())


def test_content_that_is_not_what_was_published_is_left_to_people(site_stack: SiteStack) -> None:
    site_stack.up(ONE)
    site_stack.up(TWO)
    site_stack.site.publish(ONE)
    (finding,) = findings(site_stack, "--repair")
    assert "see what of content is not as it was published, then `pulumi up`" in finding["remedy"]
    assert not any(call.startswith("up") for call in (site_stack.pulumi / "calls").read_text().splitlines())


def test_a_file_edited_on_the_volume_is_seen_deep_and_published_again(site_stack: SiteStack) -> None:
    site = site_stack.site
    site_stack.up(ONE)
    site_stack.up(TWO)
    html = site.path / "html"
    (html / "index.php").write_text("hacked")
    (html / "css" / "farm.css").unlink()
    (html / "shell\n.php").write_text("extra")
    assert findings(site_stack) == [], "that takes reading every file"
    (finding,) = findings(site_stack, "--deep")
    assert (finding["minion"], finding["what"], finding["slot"]) == ("", "content", "b")
    assert finding["found"] == "slot b where css/farm.css is missing (and 2 more)"

    site_stack.publishes_again()
    status, out, err = site_stack.ops("drift", "--deep", "--repair")
    assert status == 0, (out, err)
    assert out.startswith("site: content repaired: slot b marked as not whole, published again\n")
    assert site.live() == TWO
    assert site.live_slot() != "b", "nobody writes to what is live"


@pytest.mark.parametrize("spoil", ["content", "link", "type"])
def test_each_kind_of_damage_is_told(site_stack: SiteStack, spoil: str) -> None:
    site_stack.up({b"page": (b"p", False), b"link": b"page"})
    html = site_stack.site.path / "html"
    match spoil:
        case "content":
            (html / "page").write_text("q")
            said = "page has SHA-256 "
        case "link":
            (html / "link").unlink()
            (html / "link").symlink_to("index.html")
            said = "link has SHA-256 "
        case _:
            (html / "link").unlink()
            (html / "link").write_text("p")
            said = "link cannot be read or is of another type"
    (finding,) = findings(site_stack, "--deep")
    assert f"slot a where {said}" in finding["found"]


def test_a_damaged_release_nobody_goes_back_to(site_stack: SiteStack) -> None:
    site_stack.up(ONE)
    site_stack.up(TWO)
    site_stack.up(THREE)
    (site_stack.site.path / "slots" / "a" / "old").write_text("edited")
    (finding,) = findings(site_stack, "--deep")
    assert finding["slot"] == "a"
    assert "has nobody go back to it" in finding["remedy"]
    assert findings(site_stack, "--deep", "--repair") == []
    assert not any(call.startswith("up") for call in (site_stack.pulumi / "calls").read_text().splitlines())
    assert [it["slot"] for it in site_stack.told("releases")["damaged"]] == ["a"]


def test_a_previous_release_that_is_not_whole_and_a_live_one(site_stack: SiteStack) -> None:
    site = site_stack.site
    site_stack.up(ONE)
    site_stack.up(TWO)
    (site.path / "slots" / "a.manifest").unlink()
    (finding,) = findings(site_stack)
    assert finding["found"] == "slot a where its manifest does not agree with the release that it names"
    assert "no rollback can go to it" in finding["remedy"]
    (site.path / "slots" / "b.manifest").write_text("644 0 - forged\n")
    assert [it["slot"] for it in findings(site_stack)] == ["a", "b"]
    site_stack.publishes_again()
    assert findings(site_stack, "--repair") == []
    assert site.live() == TWO


def test_one_minion_that_sees_something_else_is_named_and_nothing_is_published(site_stack: SiteStack) -> None:
    site_stack.up(ONE)
    site_stack.up(TWO)
    site_stack.tamper(
        lambda name, command: (
            "printf '%064d  index.php\\0' 0" if (name, verb_of(command)) == ("minion-2", "digests") else command
        )
    )
    found = findings(site_stack, "--deep", "--repair")
    assert {it["minion"] for it in found} == {"minion-2"}
    assert all(it["remedy"].startswith("the others do not see it so: check that minion's mount") for it in found)
    assert not any(call.startswith("up") for call in (site_stack.pulumi / "calls").read_text().splitlines())


def test_who_cannot_look_leaves_the_others_their_say(site_stack: SiteStack) -> None:
    site_stack.up(ONE)
    site_stack.up(TWO)
    (site_stack.site.path / "html" / "index.php").write_text("hacked")
    site_stack.tamper(lambda name, command: "false" if (name, verb_of(command)) == ("minion-1", "digests") else command)
    site, own = findings(site_stack, "--deep")
    assert (site["minion"], site["slot"], site["mend"]) == ("", "b", "content")
    assert (own["minion"], own["what"], own["mend"]) == ("minion-1", "content", "")
    assert "publish.sh ended with status 1" in own["found"]


def test_a_slot_that_a_publish_begins_to_write_meanwhile_is_no_finding(site_stack: SiteStack) -> None:
    for tree in (ONE, TWO, THREE):
        site_stack.up(tree)
    slot = site_stack.site.path / "slots" / "a"
    begins = f"rm -f {slot}.manifest {slot}/index.php"
    site_stack.tamper(
        lambda _, command: (
            shlex.join(["sh", "-c", f"{begins}; exec {command}"]) if verb_of(command) == "digests" else command
        )
    )
    assert findings(site_stack, "--deep") == []
    assert not (slot / "index.php").exists(), "that was done while they looked"


def test_a_slot_that_is_whole_again_keeps_its_manifest(site_stack: SiteStack) -> None:
    site_stack.up(ONE)
    site_stack.up(TWO)
    site = site_stack.site
    (site.path / "slots" / "a" / "old").write_text("edited")
    published = state_of(json.loads((site_stack.pulumi / "export.json").read_text())).published
    assert published
    assert asyncio.run(distrust([it.entry() for it in site.minions], published, ["a", "b"])) == ""
    assert not (site.path / "slots" / "a.manifest").exists()
    assert site.slot("b") == TWO


def test_a_site_that_cannot_be_looked_at(site_stack: SiteStack) -> None:
    site_stack.up(ONE)
    site = site_stack.site
    (site.path / "html").unlink()
    (site.path / "html").mkdir()
    (finding,) = findings(site_stack)
    assert (finding["minion"], finding["what"]) == ("", "content")
    assert "holds files that no publish put there" in finding["found"]
    site.minions[1].mountinfo.write_text("")
    assert {it["minion"] for it in findings(site_stack)} == {"minion-1", "minion-2"}


def test_a_repair_that_fails_says_why(site_stack: SiteStack) -> None:
    site_stack.up(ONE)
    site_stack.up(TWO)
    site_stack.site.publish(ONE)
    site_stack.site.content(TWO)
    (site_stack.pulumi / "refuse").touch()
    status, _, err = site_stack.ops("drift", "--repair")
    assert status == 1
    assert "error: site: content not repaired: the stack is locked" in err
