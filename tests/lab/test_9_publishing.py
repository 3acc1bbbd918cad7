"""Publishing to the real volume: what every minion reads while releases come and go, deployers die and disks fill."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from lab.context import Lab
from tests.lab.conftest import eventually
from tests.lab.farm import MOUNT
from tests.lab.publishes import PHASES, large, numbered, readers_see_whole_releases, whole_after_each_kill
from tests.lab.trial import Trial, outcome, said

pytestmark = pytest.mark.uses("machines")

#: The soak publishes twenty.
RELEASES = 5


def test_readers_see_whole_releases_through_five_publishes(
    trial: Trial, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    readers_see_whole_releases(trial, monkeypatch, record_property, releases=RELEASES)


def test_a_deployer_killed_while_it_writes_leaves_whole_releases(
    trial: Trial, record_property: Callable[[str, object], None]
) -> None:
    """The soak kills one in each phase."""
    whole_after_each_kill(trial, record_property, phases=PHASES[:1])


def test_of_two_deployers_one_is_told_who_is_at_it(trial: Trial) -> None:
    digest = trial.content(large("first") | {"huge": os.urandom(1 << 28)})
    running = trial.started()
    said(running, lambda line: "writing" in line)
    second = trial.publish()
    _, told = running.communicate(timeout=200)
    assert second.status == 1
    assert "another deployment is publishing" in second.err
    assert f"(process {running.pid})" in second.err
    assert "since 20" in second.err
    assert running.returncode == 0, told
    assert trial.seen_by_all() == {digest}


@contextmanager
def sessions(lab: Lab, minion: str, most: int) -> Iterator[None]:
    """As many sessions on one connection as a hardened machine's sshd allows."""
    change = 'if [ -n "$1" ]; then echo "MaxSessions $1" >"$2"; else rm -f "$2"; fi && systemctl reload ssh'

    def set_to(word: str) -> None:
        lab.exec(minion, ["sh", "-c", change, "sh", word, "/etc/ssh/sshd_config.d/00-hardened.conf"])

    set_to(str(most))
    try:
        yield
    finally:
        set_to("")


@pytest.mark.changes("machines")
def test_an_sshd_that_allows_few_sessions_is_published_through_and_one_says_what_to_change(trial: Trial) -> None:
    publisher = trial.lab.minions()[0].name
    digest = trial.content(large("few"))
    with sessions(trial.lab, publisher, 2):
        assert outcome(trial.publish())["publisher"] == publisher
    assert trial.seen_by_all() == {digest}
    trial.content(large("one"))
    with sessions(trial.lab, publisher, 1):
        refused = trial.publish()
    assert refused.status == 1
    assert f"minion {publisher}: its sshd allows no further session" in refused.err
    assert "set MaxSessions to 2 at least" in refused.err
    assert trial.seen_by_all() == {digest}


@pytest.mark.changes("machines")
def test_a_volume_that_is_full_keeps_what_is_live_and_the_next_publish_converges(trial: Trial) -> None:
    live = trial.content(large("fits"))
    outcome(trial.publish())
    new = trial.content(large("does not fit"))
    server = trial.lab.gluster_servers()[0].name

    def reserve(percent: int) -> None:
        trial.lab.exec(
            server, ["gluster", "--mode=script", "volume", "set", "MyVolume", "storage.reserve", str(percent)]
        )

    def full() -> bool:
        words = ["sh", "-c", f"echo x >{MOUNT}/{trial.name}-full"]
        return trial.lab.exec(trial.lab.minions()[0].name, words, check=False).returncode != 0

    reserve(99)  # per cent of a brick's disk to be kept free; 100 would be bytes
    try:
        eventually(full, seconds=60, what="the bricks notice, every few seconds")
        done = trial.publish()
    finally:
        reserve(1)
    assert done.status == 1
    assert "No space left on device" in done.err
    assert "Traceback" not in done.text
    assert trial.seen_by_all() == {live}
    eventually(lambda: not full(), seconds=60, what="the bricks notice that there is room")
    trial.lab.exec(trial.lab.minions()[0].name, ["rm", "-f", f"{MOUNT}/{trial.name}-full"])
    outcome(trial.publish())
    assert trial.seen_by_all() == {new}


def test_a_minion_that_sees_other_bytes_stops_a_release_and_one_that_sees_no_flip_undoes_it(trial: Trial) -> None:
    """It has the site as it was, on its own disk, where its mount should show it."""
    lab, (_, stale, *_) = trial.lab, [minion.name for minion in trial.lab.minions()]
    old = trial.content(numbered(1))
    outcome(trial.publish())
    live = trial.content(numbered(2))
    outcome(trial.publish())
    copy = f"/var/tmp/{trial.name}"
    lab.exec(stale, ["cp", "-a", trial.site, copy])
    lab.exec(stale, ["mount", "--bind", copy, trial.site])
    try:
        trial.content(numbered(3))
        torn = trial.publish()
        seen = trial.seen_by_all()
        trial.content(numbered(1))
        unseen = trial.publish()
    finally:
        lab.exec(stale, ["umount", trial.site])
        lab.exec(stale, ["rm", "-rf", copy])
    assert torn.status == unseen.status == 1
    assert f"minion {stale} does not see what was published" in torn.err
    assert "nothing went live" in torn.err
    assert seen == {live}
    assert re.search(
        rf"minion {stale} sees release \w+ in slot b .*; the flip was undone, release \w+ in slot b is live", unseen.err
    )
    assert trial.seen_by_all() == {live}
    back = trial.publish()
    assert (outcome(back)["action"], outcome(back)["written"]) == ("flipped", 0)
    assert trial.seen_by_all() == {old}
