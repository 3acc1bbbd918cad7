"""Real software as content: Debian's dokuwiki is served by the farm, its wordpress published beside it."""

from __future__ import annotations

import shutil
import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.context import Lab
from publisher.manifest import Manifest
from tests.lab.conftest import eventually, get
from tests.lab.farm import all_serve, pods, report
from tests.lab.trial import Trial, outcome
from tests.support.project import Project
from tests.support.software import DOKUWIKI, WORDPRESS, content_of

PAGE = "/doku.php?id=wiki:syntax"
TITLE = "<title>wiki:syntax [Glusterfarm]</title>"
HEADING = '<h1 class="sectionedit1" id="formatting_syntax">Formatting Syntax</h1>'
UP = ("up", "--yes", "--skip-preview")


@pytest.fixture
def wiki(project: Project, restored: None) -> Project:
    """A copy of the project whose content is dokuwiki, and whose farm is judged by a page of it."""
    del restored  # only to be done after this
    content = project.directory / "content"
    shutil.rmtree(content)
    shutil.copytree(content_of(DOKUWIKI), content, symlinks=True)
    project.edit("Pulumi.dev.yaml", "probePath: /", f"probePath: {PAGE}")
    return project


@pytest.mark.timeout(900)
def test_a_page_of_dokuwiki_is_served_by_the_farm(
    lab: Lab, wiki: Project, record_property: Callable[[str, object], None]
) -> None:
    eventually(lambda: all_serve(lab), seconds=90, what="both pods serve")
    before = {pod["name"] for pod in pods(lab)}
    operations = wiki.preview()
    assert operations["Command content-publish"] == "update"
    assert all(name.startswith("Command ") for name in operations), operations

    up = wiki.pulumi(*UP)
    assert up.status == 0, up.text
    manifest = Manifest.of(wiki.directory / "content")
    files = sum(entry.kind != "dir" for entry in manifest.entries)
    report(record_property, files=files, seconds=round(up.seconds, 1))

    doors = [f"http://{pod['ip']}" for pod in pods(lab)] + [f"http://{it.address}:30080" for it in lab.minions()]
    for door in doors:
        page = get(f"{door}{PAGE}", timeout=30)
        assert TITLE in page, f"{door}: {page[:200]}"
        assert HEADING in page
        assert len(get(f"{door}/lib/exe/css.php?t=dokuwiki", timeout=30)) > 10_000
        assert get(f"{door}/glusterfarm-release").strip() == manifest.release
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(f"{door}/install.php")
    assert {pod["name"] for pod in pods(lab)} == before, "no pod was replaced for it"


@pytest.fixture
def trial(lab: Lab, tmp_path: Path) -> Iterator[Trial]:
    made = Trial(lab=lab, name="trial-wordpress", directory=tmp_path)
    yield made
    made.remove()


@pytest.mark.timeout(600)
def test_wordpress_is_the_same_on_every_minion(trial: Trial, record_property: Callable[[str, object], None]) -> None:
    digest = trial.tree(content_of(WORDPRESS))
    done = trial.publish()
    assert outcome(done)["action"] == "written"
    assert trial.seen_by_all() == {digest}
    report(record_property, files=outcome(done)["files"], seconds=round(done.seconds, 1))
    again = trial.publish()
    assert outcome(again)["action"] == "unchanged"
    assert trial.seen_by_all() == {digest}
