"""Publishes under difficulties: tests/lab runs each of these briefly, tests/soak runs all of it."""

from __future__ import annotations

import asyncio
import io
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import pytest

from publisher import scan
from publisher.progress import Progress
from publisher.publish import Order, publish
from publisher.remote import Place
from settings import load_inventory
from tests.lab.farm import MOUNT, report
from tests.lab.trial import Trial, outcome, said

#: Shorter than the farm's own, so harder on the readers: a slot is rewritten this soon after it was retired.
GRACE_SECONDS = 2
LINES = 6000
#: A line of the deployer's progress marks the start of each phase.
PHASES = ("writing", "verifying", "seeing release", "is live")

Record = Callable[[str, object], None]


def numbered(number: int) -> dict[str, bytes]:
    """Three files that say the release's number in every line; every other release has a fourth."""
    text = f"{number:06}\n".encode() * LINES
    extra = {"sometimes": b"here"} if number % 2 else {}
    return {"one": text, "two": text, "three": text, **extra}


def large(seed: str) -> dict[str, bytes]:
    """300 files, so that a publish takes seconds."""
    return {f"d{number % 7}/file-{number}": f"{seed}{number}".encode() + os.urandom(60_000) for number in range(300)}


def readers_see_whole_releases(trial: Trial, monkeypatch: pytest.MonkeyPatch, record: Record, *, releases: int) -> None:
    """Publish that many releases while every minion reads; each reader sees whole releases, in order."""
    for name, value in trial.lab.environment().items():
        monkeypatch.setenv(name, value)
    minions = load_inventory(trial.lab.paths.inventory).minions
    trial.content(numbered(0))
    assert outcome(trial.publish())["action"] == "written"
    with trial.readers() as lines:
        for number in range(1, releases + 1):
            digest = trial.content(numbered(number))
            order = Order(
                source=trial.source,
                read=partial(scan.read, trial.source),
                place=Place(mount=MOUNT, volume="MyVolume", site=trial.name),
                grace=GRACE_SECONDS,
            )
            asyncio.run(publish(minions, order, Progress(out=io.StringIO())))
            assert trial.seen_by_all() == {digest}, "and what was removed here is gone there"
    reads = Counter(line for its in lines.values() for line in its)
    torn = {line for line in reads if not re.fullmatch(rf" *{3 * LINES} [0-9]{{6}}", line)}
    assert not torn
    assert len(lines) == len(trial.lab.minions())
    for minion, its in lines.items():
        assert len({line.split()[1] for line in its}) > releases / 2, f"{minion} read while releases came and went"
        assert [line.split()[1] for line in its] == sorted(line.split()[1] for line in its), (
            "never back to an older one"
        )
    report(record, reads=sum(reads.values()))


def whole_after_each_kill(trial: Trial, record: Record, *, phases: Sequence[str]) -> None:
    """Kill a deployer once in each phase; every release on the volume stays whole, and the next publish works."""
    before = trial.content(large("zero"))
    outcome(trial.publish())
    live = trial.content(large("one"))
    outcome(trial.publish())
    for phase in phases:
        new = trial.content(large(phase))
        running = trial.started()
        said(running, lambda line, phase=phase: phase in line)  # type: ignore[misc]
        running.kill()
        running.communicate()
        seen, kept = trial.seen_by_all(), trial.seen_by_all(trial.previous())
        assert seen in ({live}, {new}), f"killed while {phase}"
        assert kept == ({before} if seen == {live} else {live}), f"killed while {phase}"
        done = trial.publish()
        assert outcome(done)["release"] == scan.read(trial.source).release
        assert trial.seen_by_all() == {new}
        assert trial.seen_by_all(trial.previous()) == {live}
        before, live = live, new
        report(record, **{phase.replace(" ", "_"): round(done.seconds, 1)})
