"""Deployments killed with -9 at any moment: what is served stays one release, whole, and the next one converges."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from lab.context import CHECKOUT, Lab
from publisher import scan
from tests.lab.conftest import eventually
from tests.lab.farm import PAGE, all_serve, appeared, fault, live, pods, report, started
from tests.lab.trial import Trial, outcome, said
from tests.support.project import command, copy_of_project
from tests.support.visitor import Visitor

pytestmark = pytest.mark.timeout(0)


def killed_after(running: subprocess.Popen[bytes], seconds: float) -> bool:
    """Kill it and what it started; whether it was still at work."""
    try:
        running.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        return True
    return False


def deploy(lab: Lab) -> None:
    """This checkout's farm again, by the command that takes a killed one up."""
    done = command([".venv/bin/python", "-m", "lab", "deploy"])
    assert done.status == 0, done.text
    assert live(lab) == scan.read(CHECKOUT / "content").release
    eventually(lambda: all_serve(lab), seconds=15, what="every pod serves the page of this checkout")
    again = command([".venv/bin/python", "-m", "lab", "deploy"])
    assert "pulumi up: unchanged" in again.out, again.text


def test_an_up_killed_at_any_moment_is_taken_up(
    lab: Lab,
    tmp_path: Path,
    chance: random.Random,
    rounds: Iterator[int],
    record_property: Callable[[str, object], None],
) -> None:
    deploy(lab)
    killed = 0
    for number in rounds:
        project = copy_of_project(lab, tmp_path / str(number))
        project.edit("content/index.php", "Reload: ", f"Round {number}: ")
        if chance.random() < 0.5:
            project.edit("Pulumi.dev.yaml", "replicas: 2", "replicas: 3")
        url = f"http://{lab.minions()[1].address}:30080/helloworld.html"
        with Visitor(url, PAGE) as seen:
            killed += killed_after(started(project), chance.uniform(0, 25))
            deploy(lab)
        assert not seen.lies, "this page is the same in every release"
    report(record_property, killed=killed)
    assert killed, "not one was still at work when it was to be killed: more rounds"


def test_a_deployer_killed_at_any_moment_leaves_one_whole_release(
    lab: Lab,
    tmp_path: Path,
    chance: random.Random,
    rounds: Iterator[int],
    record_property: Callable[[str, object], None],
) -> None:
    """A release is 300 files that say their release's name; whichever is live, on every minion all say the same."""
    deploy(lab)
    project = copy_of_project(lab, tmp_path / "project")
    for number in rounds:
        many = project.directory / "content" / "many"
        many.mkdir(exist_ok=True)
        for index in range(300):
            (many / f"{index}.txt").write_text(f"round {number}\n")
        up = started(project)
        if publisher := appeared(project, up):
            time.sleep(chance.uniform(0, 3))
            with suppress(ProcessLookupError):  # done already
                os.kill(publisher, signal.SIGKILL)
        up.wait()
        for minion in lab.minions():
            told = lab.exec(minion.name, ["sh", "-c", "cd -P /mnt/glusterfs/php/html && cat many/*.txt"], check=False)
            assert len(set(told.stdout.split("\n")) - {""}) <= 1, f"{minion.name} sees a mixture"
    deploy(lab)
    report(record_property, pods=len(pods(lab)))


def test_a_publisher_that_is_cut_off_in_the_middle_is_taken_over_from(
    lab: Lab, trial: Trial, record_property: Callable[[str, object], None]
) -> None:
    """Its machine lives, and nobody hears of it: to be sure of that takes the deployer a minute."""
    deploy(lab)
    live = trial.content({"page": b"before"})
    outcome(trial.publish())
    first, *others = [minion.name for minion in lab.minions()]
    new = trial.content({"page": b"after", "huge": os.urandom(1 << 28)})
    running = trial.started()
    said(running, lambda line: "writing" in line)
    fault("pause", first)
    try:
        begun = time.monotonic()
        _, told = running.communicate(timeout=300)
        noticed = time.monotonic() - begun
        seen = {trial.seen(minion) for minion in others}
    finally:
        fault("resume", first)
    assert running.returncode == 1, told
    assert f"minion {first}: " in told
    assert "Traceback" not in told
    assert seen == {live}
    eventually(lambda: all_serve(lab), seconds=120, what="both pods serve")
    assert outcome(trial.publish())["action"] == "written"
    assert trial.seen_by_all() == {new}
    report(record_property, noticed=round(noticed, 1))
