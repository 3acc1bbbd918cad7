"""`up` fails, and says why, when the farm does not serve what it should."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from lab.context import Lab
from tests.lab.farm import pods, web_server
from tests.support.project import Done, copy_of_project

CONFIGURATION = "/etc/apache2/conf-enabled"
ALIAS = f"""\
Alias /glusterfarm-release {CONFIGURATION}/release
<Directory {CONFIGURATION}>
Require all granted
</Directory>
"""


pytestmark = pytest.mark.uses("machines")


@contextmanager
def web_server_that_lies(lab: Lab, pod: dict[str, str]) -> Iterator[None]:
    """The web server of that pod answers with a release of its own making.

    Its files are read-only for it, so what it is told is mounted over them.
    """
    node, process = pod["node"], web_server(lab, pod)
    where = ["--namespace", process]  # the image has no mount of its own
    there = f"/proc/{process}/root{CONFIGURATION}"
    lab.exec(node, ["mount", *where, "-t", "tmpfs", "deceit", CONFIGURATION])
    try:
        lab.exec(node, ["tee", f"{there}/release"], stdin="000000000000\n")
        lab.exec(node, ["tee", f"{there}/deceit.conf"], stdin=ALIAS)
        lab.exec(node, ["kill", "-USR1", process])
        yield
    finally:
        lab.exec(node, ["umount", *where, CONFIGURATION])
        lab.exec(node, ["kill", "-USR1", process])


@dataclass(frozen=True, kw_only=True)
class Refused:
    """Two updates of the farm that failed, each for its own reason, and the one that went through after them."""

    pods: list[dict[str, str]]
    liar: dict[str, str]
    lied: Done
    unserved: Done
    healed: Done


@pytest.fixture(scope="module")
def refused(made: Done, tmp_path_factory: pytest.TempPathFactory) -> Refused:
    """One pod's web server answers with an old release, as one with a cache of its own might; then the page fails."""
    lab = Lab.current()
    project = copy_of_project(lab, tmp_path_factory.mktemp("refused") / "project")
    page = (project.directory / "content" / "index.php").read_text()
    there = pods(lab)
    try:
        project.edit("content/index.php", "Reload: ", "Lied about: ")
        with web_server_that_lies(lab, there[0]):
            lied = project.pulumi("up", "--yes")
        project.write("content/index.php", "<?php http_response_code(503);")
        unserved = project.pulumi("up", "--yes")
    finally:
        project.write("content/index.php", page)
        healed = project.pulumi("up", "--yes")
    return Refused(pods=there, liar=there[0], lied=lied, unserved=unserved, healed=healed)


@pytest.mark.timeout(420)
def test_the_gate_fails_up_when_a_pod_serves_another_release(refused: Refused) -> None:
    assert refused.lied.status != 0
    assert refused.liar["name"] in refused.lied.text
    assert "000000000000" in refused.lied.text, "what it served is told"
    assert "Traceback" not in refused.lied.text


def test_up_fails_when_the_page_is_not_served(refused: Refused) -> None:
    assert refused.unserved.status != 0
    assert refused.pods[0]["name"] in refused.unserved.text
    assert "HTTP 503" in refused.unserved.text
    assert "Traceback" not in refused.unserved.text


def test_up_goes_through_again_after_both(refused: Refused) -> None:
    assert refused.healed.status == 0, refused.healed.text
