"""Going back and forth between releases without the content, and what the volume tells of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise

import pytest

from lab.context import CHECKOUT, Lab
from tests.lab.conftest import eventually, get
from tests.lab.farm import appeared, live, pods, report, started
from tests.support.project import Project, command

pytestmark = pytest.mark.usefixtures("serving")


def everywhere(lab: Lab, page: str, text: str) -> bool:
    """Whether every pod, asked by its own address, gives ``text`` in ``page``."""
    return all(text in get(f"http://{pod['ip']}/{page}") for pod in pods(lab))


@pytest.mark.timeout(300)
def test_the_release_before_is_one_command_away_and_so_is_the_way_forward(
    lab: Lab, project: Project, record_property: Callable[[str, object], None]
) -> None:
    old = get(f"http://{lab.minions()[0].address}:30080/glusterfarm-release").strip()
    project.edit("content/index.php", "Reload: ", "Rolled: ")
    up = project.pulumi("up", "--yes")
    assert up.status == 0, up.text
    try:
        new = json.loads(project.pulumi("stack", "output", "--json").out)["release"]
        shutil.rmtree(project.directory / "content")

        back = project.ops("rollback")
        assert back.status == 0, back.text
        assert old in back.out
        assert "pulumi up" in back.text, "it says that the stack now differs, and what to do"
        eventually(lambda: everywhere(lab, "", "Reload: "), seconds=5, what="the old page from every pod")

        told = json.loads(project.ops("releases", "--json").out)
        assert told["live"]["release"] == old
        assert told["stackRelease"] == new
        assert [entry["release"] for entry in told["available"] if entry["previous"]] == [new]
        last = told["log"][-1]
        assert (last["kind"], last["release"], last["replaced"]) == ("rolled-back", old, new)
        assert (last["added"], last["changed"], last["removed"]) == (0, 1, 0)

        again = project.ops("rollback", "--to", old)
        assert again.status == 2, again.text
        assert f"{old}" in again.err
        unknown = project.ops("rollback", "--to", "0123456789ab")
        assert unknown.status == 2
        assert "0123456789ab" in unknown.err
        assert new in unknown.err, "what there is instead"

        forward = project.ops("rollback", "--to", new)
        assert forward.status == 0, forward.text
        eventually(lambda: everywhere(lab, "", "Rolled: "), seconds=5, what="the new page from every pod")
        report(record_property, back=round(back.seconds, 1), forward=round(forward.seconds, 1))
    finally:
        restored = command(["make", "--no-print-directory", "up"])
    assert restored.status == 0, restored.text
    eventually(lambda: everywhere(lab, "", "Reload: "), seconds=5, what="this checkout's page from every pod")


def dies_after_its_flip(lab: Lab, project: Project) -> bool:
    """Run `up`, with content that is not live, and kill its publisher between flip and end; whether `up` failed."""
    was = live(lab)
    up = started(project)
    publisher = appeared(project, up)
    while up.poll() is None and live(lab) == was:
        pass
    if publisher:
        with suppress(ProcessLookupError):
            os.kill(publisher, signal.SIGKILL)
    return up.wait(timeout=120) != 0


@pytest.mark.timeout(300)
def test_what_a_dead_publish_made_live_goes_with_the_edit_that_is_undone(lab: Lab, project: Project) -> None:
    """Of a publish that failed the engine keeps the inputs from before, which the undone edit has again."""
    before = live(lab)
    texts = ["Reload: ", "Half: ", "Half two: ", "Half three: "]
    for old, new in pairwise(texts):
        project.edit("content/index.php", old, new)
        if dies_after_its_flip(lab, project):
            break  # else it had ended before it was killed
    else:
        pytest.fail("each of three publishers ended within the moment that it took to kill it")
    half = live(lab)
    assert half != before
    shutil.rmtree(project.directory / "content")
    shutil.copytree(CHECKOUT / "content", project.directory / "content")

    told = project.ops("preview", "--stack", "dev")
    assert told.status == 0, told.text
    assert f"as a publish of release `{half}` failed" in told.out
    back = project.pulumi("up", "--yes")
    assert back.status == 0, back.text
    assert live(lab) == before == json.loads(project.pulumi("stack", "output", "--json").out)["release"]
    eventually(lambda: everywhere(lab, "", "Reload: "), seconds=5, what="this checkout's page from every pod")
    assert project.preview() == {}
