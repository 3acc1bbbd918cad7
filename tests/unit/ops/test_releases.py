"""`ops releases`: what is live, what is one flip away, and the log, on a real site over SSH on the loopback."""

from __future__ import annotations

import json

from tests.support.site import ONE, THREE, TWO, verb_of
from tests.unit.ops.conftest import SiteStack


def test_what_is_live_what_is_there_and_what_was(site_stack: SiteStack) -> None:
    one, two, three = (site_stack.up(tree) for tree in (ONE, TWO, THREE))
    told = site_stack.told("releases")
    assert told["live"].pop("since").startswith("20")
    assert told["live"] == {"release": three, "slot": "c", "whole": True}
    assert told["available"] == [
        {"release": two, "slot": "b", "previous": True},
        {"release": one, "slot": "a", "previous": False},
    ]
    assert (told["damaged"], told["stackRelease"], told["stack"]) == ([], three, "dev")
    assert [(it["release"], it["replaced"]) for it in told["log"]] == [(one, None), (two, one), (three, two)]

    status, out, err = site_stack.ops("releases", "--stack", "dev")
    assert (status, err) == (0, "")
    first, live, previous, whole, blank, header, *log = out.splitlines()
    assert first == f"stack dev: {site_stack.site.path} on volume MyVolume, as minion-1 sees it"
    assert live.split()[:4] == ["live", three, "slot", "c"]
    assert previous.split(maxsplit=4) == ["previous", two, "slot", "b", "python -m ops rollback --stack dev"]
    assert whole.split(maxsplit=4) == ["whole", one, "slot", "a", f"python -m ops rollback --to {one} --stack dev"]
    assert blank == ""
    assert header.split() == ["when", "release", "replaced", "slot", "how", "files", "commit", "who"]
    assert [line.split()[1:5] for line in log] == [
        [three, two, "c", "published"],
        [two, one, "b", "published"],
        [one, "nothing", "a", "published"],
    ], "the latest first"
    assert "+0 ~1 -1" in log[0]
    assert len({line.index("published") for line in log}) == 1, "column under column"


def test_nothing_is_changed_and_one_minion_is_asked(site_stack: SiteStack) -> None:
    site_stack.up(ONE)
    for minion in site_stack.site.minions:
        minion.commands.clear()
    site_stack.told("releases")
    first, second = site_stack.site.minions
    assert ({verb_of(command) for command in first.commands}, second.commands) == ({"state", "log"}, [])
    site_stack.site.loopback.stop(first)
    status, out, err = site_stack.ops("releases")
    assert status == 0
    assert "as minion-2 sees it" in out
    assert err.startswith("warning: left out: minion minion-1: 127.0.0.1:")


def test_a_slot_that_is_not_whole_and_a_live_one_that_is_not(site_stack: SiteStack) -> None:
    site = site_stack.site
    one, two = site_stack.up(ONE), site_stack.up(TWO)
    for slot in "ab":
        (site.path / "slots" / f"{slot}.manifest").unlink()
    told = site_stack.told("releases")
    assert (told["live"]["release"], told["live"]["whole"], told["available"]) == (two, False, [])
    assert told["damaged"] == [{"release": one, "slot": "a"}, {"release": two, "slot": "b"}]
    out = site_stack.ops("releases")[1]
    assert "not whole: its manifest does not agree with it" in out
    assert f"not whole  {one}" in out


def test_a_site_that_nobody_has_published_and_one_where_nothing_is_live(site_stack: SiteStack) -> None:
    told = site_stack.told("releases")
    assert (told["live"], told["available"], told["log"], told["stackRelease"]) == (None, [], [], None)
    one = site_stack.up(ONE)
    (site_stack.site.path / "html").unlink()
    told = site_stack.told("releases")
    assert (told["live"], told["available"]) == (None, [{"release": one, "slot": "a", "previous": False}])
    out = site_stack.ops("releases")[1]
    assert "the log does not end with what is live" in out
    assert f"to have {one}: `python -m ops rollback --to {one} --stack dev`" in out


def test_a_flip_that_comes_between_two_questions_is_no_finding(site_stack: SiteStack) -> None:
    site_stack.up(ONE)
    two = site_stack.up(TWO)
    site = site_stack.site
    link, log = site.path / "html", site.path / "slots" / "releases.log"
    after = log.read_text()
    log.write_text(after.splitlines(keepends=True)[0])
    link.unlink()
    link.symlink_to("slots/a")

    def flip(command: str) -> str:
        if verb_of(command) == "log":
            link.unlink()
            link.symlink_to("slots/b")
            log.write_text(after)
        return command

    site.minions[0].tamper = flip
    assert "the log does not end" not in site_stack.ops("releases")[1]
    assert site_stack.told("releases")["live"]["release"] == two


def test_a_torn_log_is_told_as_far_as_it_goes(site_stack: SiteStack) -> None:
    site_stack.up(ONE)
    two = site_stack.up(TWO)
    log = site_stack.site.path / "slots" / "releases.log"
    log.write_text(log.read_text() + '{"when": "2026-\033[31m')
    assert site_stack.told("releases")["log"][-1]["release"] == two
    said = json.loads(log.read_text().splitlines()[0])
    log.write_text(json.dumps(said | {"who": "me\033[31m\n\nyou"}) + "\n")
    out = site_stack.ops("releases")[1]
    assert "\033" not in out
    assert "me?[31m you" in out


def test_a_stack_without_a_publish_and_minions_that_nobody_knows(site_stack: SiteStack) -> None:
    state = json.loads((site_stack.pulumi / "export.json").read_text())
    resources = state["deployment"]["resources"]
    other = [{**it, "inputs": {**it["inputs"], "update": "python -m other publish"}} for it in resources]
    (site_stack.pulumi / "export.json").write_text(json.dumps({"version": 3, "deployment": {"resources": other}}))
    status, out, err = site_stack.ops("releases")
    assert (status, out, err) == (2, "", "error: stack dev has published nothing yet; run `pulumi up` first\n")
    text = json.dumps(state).replace("minion-1@", "old-1@").replace("minion-2@", "old-2@")
    (site_stack.pulumi / "export.json").write_text(text)
    status, _, err = site_stack.ops("releases")
    assert status == 2
    assert "published through old-1, old-2, of which the inventory has none, only minion-1, minion-2" in err


def test_no_minion_in_reach_is_one_clear_line(site_stack: SiteStack) -> None:
    site_stack.up(ONE)
    for minion in site_stack.site.minions:
        site_stack.site.loopback.stop(minion)
    status, out, err = site_stack.ops("releases", "--json")
    assert (status, out) == (2, "")
    assert err.startswith("error: no minion can publish: minion minion-1: 127.0.0.1:")
    assert err.count("\n") == 1
