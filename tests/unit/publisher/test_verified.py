"""What minions see decides: who takes part, what they must read before the flip, and what undoes it after."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from connectors.login_shell import announced, words_of
from publisher import verify
from publisher.confirmation import Confirmation
from publisher.remote import PublishError
from tests.support.site import ONE, THREE, TWO, PublishedSite, at, stale, verb_of
from tests.support.trees import Tree


def test_a_minion_that_reads_other_bytes_is_named_and_nothing_goes_live(
    site: PublishedSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "SETTLE_SECONDS", 0.5)
    site.publish(ONE)

    def torn(command: str) -> str:
        if verb_of(command) == "digests":
            (site.path / "slots" / "b" / "index.php").write_bytes(b"torn")
        return command

    site.minions[1].tamper = torn
    with pytest.raises(PublishError, match=r"minion-2 does not see .*slots/b/index\.php has SHA-256") as caught:
        site.publish(TWO)
    assert "nothing went live" in str(caught.value)
    assert site.live() == ONE
    site.minions[1].tamper = lambda command: command
    assert site.publish(TWO).action == "written", "a slot that failed its verification is written anew"
    assert site.live() == TWO


def test_a_minion_that_cannot_read_a_file_is_named(site: PublishedSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "SETTLE_SECONDS", 0.3)

    def lost(command: str) -> str:
        if verb_of(command) == "digests":
            (site.path / "slots" / "a" / "index.php").unlink(missing_ok=True)
        return command

    site.minions[1].tamper = lost
    with pytest.raises(PublishError, match=r"minion-2 does not see .*index\.php cannot be read"):
        site.publish(ONE)
    assert not (site.path / "html").exists()


def test_a_minion_that_still_sees_the_old_release_undoes_the_flip(
    site: PublishedSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "SETTLE_SECONDS", 0.3)
    site.publish(ONE)
    site.publish(TWO)
    was, before = site.live_slot(), site.previous_slot()
    site.minions[1].tamper = stale
    with pytest.raises(PublishError, match=r"minion-2 sees release 000000000000 .*flip was undone.*is live"):
        site.publish(THREE)
    assert site.live() == TWO
    assert (site.live_slot(), site.previous_slot()) == (was, before)
    assert site.slot(before) == ONE


BOOM = "sh -c 'echo minion minion-1: boom, run again >&2; exit 1'"


def test_a_flip_that_fails_after_its_rename_is_undone_when_the_volume_lets_it(site: PublishedSite) -> None:
    site.publish(ONE)
    first = iter([BOOM])

    def tamper(command: str) -> str:
        match verb_of(command):
            case "release":
                # And the deployer cannot know how it ended.
                return announced("sh", "-c", 'exec "$@" >/dev/null', "sh", *words_of(command))
            case "unflip":
                return next(first, command)
        return command

    site.minions[0].tamper = tamper
    with pytest.raises(PublishError, match=r"did not say .*; the flip was undone, release \w+ in slot a is live"):
        site.publish(TWO)
    assert site.live() == ONE
    assert site.log()[-1].kind == "undone"


def test_a_flip_that_was_not_is_not_undone(site: PublishedSite) -> None:
    site.publish(ONE)
    site.minions[0].tamper = lambda command: BOOM if verb_of(command) == "release" else command
    with pytest.raises(PublishError, match=r"boom, run again; release \w+ in slot a is live as before"):
        site.publish(TWO)
    assert site.live() == ONE
    assert [record.kind for record in site.log()] == ["published"]


def test_what_may_be_live_is_said_when_the_publisher_is_lost_at_the_flip(site: PublishedSite) -> None:
    site.publish(ONE)
    site.minions[0].dies = at("unflip")
    site.minions[1].tamper = stale
    with pytest.raises(PublishError, match=r"could not be undone: .*`python -m ops releases` says what is live"):
        site.publish(TWO)
    assert site.live() in (ONE, TWO)


def test_a_first_release_that_nobody_sees_is_not_left_live(
    site: PublishedSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "SETTLE_SECONDS", 0.3)
    site.minions[1].tamper = stale
    with pytest.raises(PublishError, match="nothing is live"):
        site.publish(ONE)
    assert not os.path.lexists(site.path / "html")


def test_a_view_that_lags_is_waited_for(site: PublishedSite) -> None:
    answers = iter([stale, stale])
    site.minions[1].tamper = lambda command: (
        next(answers, lambda same: same)(command) if verb_of(command) == "live" else command
    )
    assert site.publish(ONE).action == "written"


MANY: Tree = {b"index.php": (b"many", False), **{b"%03d" % number: (b"page", False) for number in range(200)}}


def test_what_is_written_is_read_by_others_while_the_rest_is_still_on_its_way(site: PublishedSite) -> None:
    mark, begun = site.directory / "read", iter([True])

    def held(command: str) -> str:
        if verb_of(command) == "extract" and next(begun, False):
            return f'sh -c \'timeout 20 sh -c "until [ -e {mark} ]; do sleep 0.1; done" && exec "$@"\' sh {command}'
        return command

    def seen(command: str) -> str:
        if verb_of(command) == "digests":
            mark.touch()
        return command

    site.minions[0].tamper, site.minions[1].tamper = held, seen
    assert site.publish(MANY).verified_by == ("minion-2",)
    assert site.live() == MANY
    done = [line.split(" MiB in ")[0] for line in site.said if line.startswith("  ")]
    assert done == ["  writing: 201 files, 0.0", "  verifying: 201 files, 0.0"]


def test_of_what_was_read_early_all_that_is_wrong_stops_the_publish(
    site: PublishedSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "SETTLE_SECONDS", 0.3)

    def torn(command: str) -> str:
        if verb_of(command) == "digests":
            (site.path / "slots" / "a" / "150").write_bytes(b"torn")
        return command

    site.minions[1].tamper = torn
    with pytest.raises(PublishError, match=r"minion-2 does not see .*slots/a/150 has SHA-256"):
        site.publish(MANY)
    assert not (site.path / "html").exists()


def test_a_minion_without_the_mount_stops_the_publish_unless_that_is_allowed(site: PublishedSite) -> None:
    site.minions.insert(0, site.loopback.minion("minion-0", None))
    with pytest.raises(PublishError, match=r"must verify cannot be asked.*minion-0: no Gluster volume is mounted"):
        site.publish(ONE)
    assert not (site.path / "html").exists()
    outcome = site.publish(ONE, confirmation=Confirmation(max_unreachable=1))
    assert (outcome.publisher, outcome.verified_by) == ("minion-1", ("minion-2",))


def test_nothing_is_written_where_no_volume_is_mounted(site: PublishedSite) -> None:
    for minion in site.minions:
        minion.mountinfo.write_text("")
    with pytest.raises(PublishError, match=r"no minion can publish: .*minion-1.*no Gluster volume.*minion-2"):
        site.publish(ONE)
    assert list(site.volume.iterdir()) == []


def test_with_two_minions_one_alone_is_not_enough(site: PublishedSite) -> None:
    site.loopback.stop(site.minions[1])
    with pytest.raises(PublishError, match=r"must verify cannot be asked.*minion-2: .*refuses the connection"):
        site.publish(ONE)
    assert not (site.path / "html").exists()


def test_a_single_minion_verifies_itself(site: PublishedSite) -> None:
    del site.minions[1]
    assert site.publish(ONE).verified_by == ("minion-1",)


@pytest.mark.parametrize("theirs", ["html/index.php", "index.php", ".hidden"])
def test_a_site_directory_of_somebody_else_is_refused_and_untouched(site: PublishedSite, theirs: str) -> None:
    (site.path / theirs).parent.mkdir(parents=True)
    (site.path / theirs).write_text("theirs")
    with pytest.raises(
        PublishError, match=r"php holds files that no publish put there; take .* `python -m ops adopt`, move"
    ):
        site.publish(ONE)
    assert (site.path / theirs).read_text() == "theirs"
    assert not (site.path / "slots").exists()


def test_a_link_of_somebody_else_is_refused_and_untouched(site: PublishedSite) -> None:
    site.path.mkdir()
    (site.path / "html").symlink_to("/etc")
    with pytest.raises(
        PublishError, match=r"php holds files that no publish put there; take .* `python -m ops adopt`, move"
    ):
        site.publish(ONE)
    assert (site.path / "html").readlink() == Path("/etc")
