"""Publishing to the real volume: what every minion reads while releases come and go, deployers die and disks fill."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from lab.context import CHECKOUT, Lab
from publisher.jury import unready_nodes
from publisher.manifest import Manifest
from publisher.progress import Progress
from publisher.publish import Order, publish
from publisher.remote import Place
from settings import load_inventory
from tests.lab.conftest import eventually
from tests.lab.farm import MOUNT, all_serve, fault, report
from tests.lab.trial import Trial, outcome, said
from tests.support.project import command

RELEASES = 20
#: Shorter than the farm's own, so harder on the readers: a slot is rewritten this soon after it was retired.
GRACE_SECONDS = 2
LINES = 6000


def numbered(number: int) -> dict[str, bytes]:
    """Three files that say the release's number in every line; every other release has a fourth."""
    text = f"{number:06}\n".encode() * LINES
    extra = {"sometimes": b"here"} if number % 2 else {}
    return {"one": text, "two": text, "three": text, **extra}


def test_readers_see_whole_releases_through_twenty_publishes(
    trial: Trial, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    for name, value in trial.lab.environment().items():
        monkeypatch.setenv(name, value)
    minions = load_inventory(trial.lab.paths.inventory).minions
    trial.content(numbered(0))
    assert outcome(trial.publish())["action"] == "written"
    with trial.readers() as lines:
        for number in range(1, RELEASES + 1):
            digest = trial.content(numbered(number))
            order = Order(
                source=trial.source,
                read=partial(Manifest.of, trial.source),
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
        assert len({line.split()[1] for line in its}) > RELEASES / 2, f"{minion} read while releases came and went"
        assert [line.split()[1] for line in its] == sorted(line.split()[1] for line in its), (
            "never back to an older one"
        )
    report(record_property, reads=sum(reads.values()))


PHASES = ("writing", "verifying", "seeing release", "is live")


def large(seed: str) -> dict[str, bytes]:
    return {f"d{number % 7}/file-{number}": f"{seed}{number}".encode() + os.urandom(60_000) for number in range(300)}


@pytest.mark.timeout(400)
def test_a_deployer_killed_in_any_phase_leaves_whole_releases(
    trial: Trial, record_property: Callable[[str, object], None]
) -> None:
    before = trial.content(large("zero"))
    outcome(trial.publish())
    live = trial.content(large("one"))
    outcome(trial.publish())
    for phase in PHASES:
        new = trial.content(large(phase))
        running = trial.started()
        said(running, lambda line, phase=phase: phase in line)  # type: ignore[misc]
        running.kill()
        running.communicate()
        seen, kept = trial.seen_by_all(), trial.seen_by_all(trial.previous())
        assert seen in ({live}, {new}), f"killed while {phase}"
        assert kept == ({before} if seen == {live} else {live}), f"killed while {phase}"
        done = trial.publish()
        assert outcome(done)["release"] == Manifest.of(trial.source).release
        assert trial.seen_by_all() == {new}
        assert trial.seen_by_all(trial.previous()) == {live}
        before, live = live, new
        report(record_property, **{phase.replace(" ", "_"): round(done.seconds, 1)})


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
        eventually(full, seconds=30, what="the bricks notice, every few seconds")
        done = trial.publish()
    finally:
        reserve(1)
    assert done.status == 1
    assert "No space left on device" in done.err
    assert "Traceback" not in done.text
    assert trial.seen_by_all() == {live}
    eventually(lambda: not full(), seconds=30, what="the bricks notice that there is room")
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


@pytest.mark.timeout(400)
def test_a_publisher_that_reboots_in_the_middle_is_taken_over_from(
    trial: Trial, record_property: Callable[[str, object], None]
) -> None:
    eventually(lambda: all_serve(trial.lab), seconds=90, what="both pods serve")
    live = trial.content(large("before"))
    first = outcome(trial.publish())
    publisher = trial.lab.minions()[0].name
    assert first["publisher"] == publisher
    new = trial.content(large("after") | {"huge": os.urandom(1 << 28)})
    running = trial.started()
    said(running, lambda line: "writing" in line)
    begun = time.monotonic()
    rebooting = subprocess.Popen([".venv/bin/python", "-m", "lab", "fault", "reboot", publisher], cwd=CHECKOUT)
    _, told = running.communicate(timeout=200)
    report(record_property, noticed=round(time.monotonic() - begun, 1))
    assert rebooting.wait(200) == 0
    assert running.returncode == 1, told
    assert f"minion {publisher}: " in told
    assert "Traceback" not in told
    others = [minion.name for minion in trial.lab.minions()[1:]]
    assert {trial.seen(minion) for minion in others} == {live}
    eventually(lambda: all_serve(trial.lab), seconds=90, what="both pods serve")
    done = trial.publish()
    assert json.loads(done.out)["action"] == "written", done.text
    assert trial.seen_by_all() == {new}


@pytest.mark.timeout(400)
def test_a_minion_that_is_off_is_missed_until_the_cluster_says_so_too(
    trial: Trial, record_property: Callable[[str, object], None]
) -> None:
    """The first one, who would publish: the next does it then, and the others confirm."""
    lab = trial.lab
    eventually(lambda: all_serve(lab), seconds=90, what="both pods serve")
    off, *others = [minion.name for minion in lab.minions()]
    cluster = ("--kubeconfig", str(lab.paths.kubeconfig), "--namespace", "glusterfarm")
    words = ("--source", str(trial.source), *cluster)
    new = trial.content(numbered(1))
    fault("stop", off)
    try:
        missed = command(trial.argv("publish", *words), env=lab.environment(), timeout=200)
        eventually(lambda: off in unready_nodes(lab.paths.kubeconfig, None, None), seconds=90, what="NotReady")
        done = command(trial.argv("publish", *words), env=lab.environment(), timeout=200)
        seen = {trial.seen(minion) for minion in others}
    finally:
        fault("start", off)
    assert missed.status == 1, missed.text
    assert f"minion {off}: " in missed.err
    assert "state: down" in missed.err, "the remedy for planned work"
    assert f"its node {off} is NotReady" in done.err
    told = outcome(done)
    assert told["publisher"] == others[0]
    assert told["verifiedBy"] == others[1:]
    assert seen == {new}
    report(record_property, missed=round(missed.seconds, 1), excused=round(done.seconds, 1))
    eventually(lambda: all_serve(lab), seconds=120, what="both pods serve")
    assert trial.seen(off) == new, "it is back, and sees what went live meanwhile"
