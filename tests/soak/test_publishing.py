"""Publishes at full length: tests/lab has a short form of each."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.lab.farm import report
from tests.lab.publishes import PHASES, readers_see_whole_releases, whole_after_each_kill
from tests.lab.trial import Trial, outcome
from tests.support.software import WORDPRESS, content_of

RELEASES = 20

pytestmark = pytest.mark.timeout(0)


def test_readers_see_whole_releases_through_twenty_publishes(
    trial: Trial, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    readers_see_whole_releases(trial, monkeypatch, record_property, releases=RELEASES)


def test_a_deployer_killed_in_any_phase_leaves_whole_releases(
    trial: Trial, record_property: Callable[[str, object], None]
) -> None:
    whole_after_each_kill(trial, record_property, phases=PHASES)


def test_wordpress_is_the_same_on_every_minion(trial: Trial, record_property: Callable[[str, object], None]) -> None:
    digest = trial.tree(content_of(WORDPRESS))
    done = trial.publish()
    assert outcome(done)["action"] == "written"
    assert trial.seen_by_all() == {digest}
    report(record_property, files=outcome(done)["files"], seconds=round(done.seconds, 1))
    again = trial.publish()
    assert outcome(again)["action"] == "unchanged"
    assert trial.seen_by_all() == {digest}
