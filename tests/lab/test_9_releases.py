"""Going back and forth between releases without the content, and what the volume tells of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest

from lab.context import CHECKOUT, Lab
from tests.lab.conftest import deploy, eventually, get
from tests.lab.farm import MOUNT, all_serve, appeared, live, pods, report, started
from tests.support.project import Done, Project, copy_of_project

SITE = f"{MOUNT}/php"

pytestmark = pytest.mark.uses("machines")


def everywhere(lab: Lab, page: str, text: str) -> bool:
    """Whether every pod, asked by its own address, gives ``text`` in ``page``."""
    return all(text in get(f"http://{pod['ip']}/{page}") for pod in pods(lab))


@dataclass(frozen=True, kw_only=True)
class Edited:
    """A project whose page was edited and deployed, and the releases before and since."""

    project: Project
    old: str
    old_slot: str
    new: str
    new_slot: str

    def finding(self) -> dict[str, Any] | None:
        """What drift finds, where that is of the whole site: every minion sees the same."""
        done = self.project.ops("drift", "--json")
        assert done.status == 1, done.text
        findings = json.loads(done.out)["findings"]
        return dict(findings[0]) if [finding["minion"] for finding in findings] == [""] else None


def controllers(lab: Lab) -> list[dict[str, Any]]:
    """The farm's controllers, as the cluster has them."""
    told = lab.kubectl("get", "replicationcontrollers", "-n", "glusterfarm", "-o", "json").stdout
    return [item["metadata"] for item in json.loads(told)["items"]]


def on_volume(lab: Lab, script: str) -> str:
    return lab.exec(lab.minions()[-1].name, ["sh", "-ec", script]).stdout.strip()


def live_slot(lab: Lab) -> str:
    return on_volume(lab, f"basename $(readlink {SITE}/html)")


@pytest.fixture(scope="module")
def edited(made: Done, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edited]:
    """This checkout's farm is back afterwards, without a byte written: its release is still on the volume."""
    lab = Lab.current()
    eventually(lambda: all_serve(lab), seconds=90, what="both pods serve")
    project = copy_of_project(lab, tmp_path_factory.mktemp("edited") / "project")
    old, old_slot = live(lab), live_slot(lab)
    before = controllers(lab)
    project.edit("content/index.php", "Reload: ", "Rolled: ")
    up = project.pulumi("up", "--yes")
    assert up.status == 0, up.text
    eventually(lambda: everywhere(lab, "", "Rolled: "), seconds=60, what="the new page from every pod")
    after = controllers(lab)
    assert [(it["uid"], it["generation"]) for it in after] == [(it["uid"], it["generation"]) for it in before], (
        "content never touches the controller"
    )
    new = json.loads(project.pulumi("stack", "output", "--json").out)["release"]
    yield Edited(project=project, old=old, old_slot=old_slot, new=new, new_slot=live_slot(lab))
    if live(lab) != old:
        deploy()
    eventually(lambda: everywhere(lab, "", "Reload: "), seconds=60, what="this checkout's page from every pod")


def test_an_edited_page_is_served_within_five_seconds(lab: Lab, edited: Edited) -> None:
    """The fixture has seen to it; and every minion serves that release."""
    assert edited.new != edited.old
    assert {get(f"http://{minion.address}:30080/glusterfarm-release").strip() for minion in lab.minions()} == {
        edited.new
    }


def test_the_release_before_is_one_command_away_and_so_is_the_way_forward(
    lab: Lab, edited: Edited, record_property: Callable[[str, object], None]
) -> None:
    project, old, new = edited.project, edited.old, edited.new
    content, kept = project.directory / "content", project.directory / "kept"
    content.rename(kept)
    try:
        back = project.ops("rollback", "--yes")
        assert back.status == 0, back.text
        assert old in back.out
        assert "pulumi up" in back.text, "it says that the stack now differs, and what to do"
        eventually(lambda: everywhere(lab, "", "Reload: "), seconds=60, what="the old page from every pod")

        told = json.loads(project.ops("releases", "--json").out)
        assert told["live"]["release"] == old
        assert told["stackRelease"] == new
        assert [entry["release"] for entry in told["available"] if entry["previous"]] == [new]
        last = told["log"][-1]
        assert (last["kind"], last["release"], last["replaced"]) == ("rolled-back", old, new)
        assert (last["added"], last["changed"], last["removed"]) == (0, 1, 0)

        again = project.ops("rollback", "--yes", "--to", old)
        assert again.status == 2, again.text
        assert f"{old}" in again.err
        unknown = project.ops("rollback", "--yes", "--to", "0123456789ab")
        assert unknown.status == 2
        assert "0123456789ab" in unknown.err
        assert new in unknown.err, "what there is instead"

        forward = project.ops("rollback", "--yes", "--to", new)
        assert forward.status == 0, forward.text
        eventually(lambda: everywhere(lab, "", "Rolled: "), seconds=60, what="the new page from every pod")
        report(record_property, back=round(back.seconds, 1), forward=round(forward.seconds, 1))
    finally:
        kept.rename(content)


@pytest.mark.timeout(600)
def test_another_release_and_a_damaged_manifest_are_published_again(lab: Lab, edited: Edited) -> None:
    slot, old = edited.new_slot, edited.old_slot
    on_volume(lab, f"ln -s slots/{old} {SITE}/by-hand && mv -T {SITE}/by-hand {SITE}/html")
    found = eventually(edited.finding, seconds=60, what="every minion sees it")
    assert (found["what"], found["wanted"], found["mend"]) == ("release", edited.new, "content")
    assert found["found"].endswith(f" live at {SITE}")
    assert live_slot(lab) == old, "drift only reports"
    mended = edited.project.ops("drift", "--repair", "--yes")
    assert mended.status == 0, mended.text
    assert mended.out.startswith("site: content repaired: published again\n")
    assert live_slot(lab) == slot, "it lay there whole: nothing was written"

    on_volume(lab, f"echo damaged >>{SITE}/slots/{slot}.manifest")
    found = eventually(edited.finding, seconds=60, what="every minion sees it")
    assert (found["what"], found["slot"], found["mend"]) == ("content", slot, "content")
    assert "its manifest does not agree with the release that it names" in found["found"]
    mended = edited.project.ops("drift", "--repair", "--yes")
    assert mended.status == 0, mended.text
    assert live_slot(lab) not in (slot, old)
    assert on_volume(lab, f"cat {SITE}/html/glusterfarm-release") == edited.new


@pytest.mark.timeout(300)
def test_this_checkouts_release_is_one_flip_away(lab: Lab, edited: Edited) -> None:
    project = edited.project
    shutil.rmtree(project.directory / "content")
    shutil.copytree(CHECKOUT / "content", project.directory / "content")
    back = project.pulumi("up", "--yes")
    assert back.status == 0, back.text
    resources = json.loads(project.pulumi("stack", "export").out)["deployment"]["resources"]
    (publish,) = [one for one in resources if one["urn"].endswith("::content-publish")]
    assert json.loads(publish["outputs"]["stdout"])["written"] == 0
    assert live(lab) == edited.old


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


@pytest.mark.usefixtures("serving")
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
    eventually(lambda: everywhere(lab, "", "Reload: "), seconds=60, what="this checkout's page from every pod")
    assert project.preview() == {}
