"""Going back and forth between releases without the content, and what the volume tells of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable

import pytest

from lab.context import Lab
from tests.lab.conftest import eventually, get
from tests.lab.farm import pods, report
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
    up = project.pulumi("up", "--yes", "--skip-preview")
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
