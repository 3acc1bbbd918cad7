"""One real lab for the whole run, made by the commands a newcomer types."""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lab import toolchain
from lab.context import CHECKOUT, Lab
from lab.errors import LabError
from lab.registry import DIRECTORY
from tests.lab import side_by_side
from tests.support.project import Done, Project, command, copy_of_project

if TYPE_CHECKING:
    from tests.lab.trial import Trial

IMAGE = "glusterfarm.local/php:8.2"
HERE = Path(__file__).parent


_claims = side_by_side.Claims(side_by_side.directory())


def pytest_configure(config: pytest.Config) -> None:
    """The marks by which tests run side by side."""
    for marker in side_by_side.MARKERS:
        config.addinivalue_line("markers", marker)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the lab's tests."""
    ours = [item for item in items if item.path.is_relative_to(HERE)]
    others = [item for item in items if not item.path.is_relative_to(HERE)]
    items[:] = side_by_side.in_order(ours) + others


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Hold what the test claims; outside its timeout, for the wait is not the test's.

    pytest asks this for the tests of other directories, too. They claim nothing.
    """
    if not item.path.is_relative_to(HERE):
        return (yield)
    _claims.take(item)
    try:
        return (yield)
    finally:
        _claims.give_back(nextitem)


def make(target: str) -> Done:
    """``make TARGET`` in this checkout; its output is in the failure when it fails."""
    done = command(["make", "--no-print-directory", target])
    assert done.status == 0, f"make {target}:\n{done.text}"
    return done


def deploy() -> Done:
    """This checkout's dev stack again, by the command behind `make deploy`; it must succeed."""
    done = command([".venv/bin/python", "-m", "lab", "deploy"])
    assert done.status == 0, done.text
    return done


def report_of(made: Done) -> str:
    """What `make up` says last: everything after its steps."""
    return made.out.partition("\n\n")[2]


@pytest.fixture(scope="package")  # the other tests of a process do not need the lab, and it takes processor time
def made() -> Iterator[Done]:
    """What `make up` said. A lab that was not up before is taken down afterwards, and leaves nothing."""

    def begin() -> dict[str, object]:
        try:
            Lab.current()
            was_up = True
        except LabError:
            was_up = False
        return {"was_up": was_up, "made": asdict(make("up"))}

    def end(begun: Mapping[str, Any]) -> None:
        if begun["was_up"]:
            return
        traces = {what for what, seen in on_this_host().items() if seen}
        make("down")
        assert traces == set(on_this_host()), "a living lab is seen in each of these"
        assert not {what: seen for what, seen in on_this_host().items() if seen}
        assert not toolchain.missing(), "what is built stays"

    with side_by_side.shared("lab", begin, end) as begun:
        yield Done(**begun["made"])


def on_this_host() -> dict[str, list[str]]:
    """All that a lab makes outside the toolchain's cache: what, and where it is seen."""

    def lines(words: str, mark: str) -> list[str]:
        return [line for line in command(words.split()).out.splitlines() if mark in line]

    return {
        "bridge": lines("ip -o link", "gfarm0"),
        "mounts": lines("cat /proc/self/mountinfo", "/.lab/"),
        "nat rules": lines("iptables -t nat -S", "GLUSTERFARM"),
        "filter rules": lines("iptables -t filter -S", "GLUSTERFARM"),
        "processes": lines("pgrep --full --list-full /.lab/machines/", ""),
        "registry": [str(path) for path in [DIRECTORY / "lab.json", DIRECTORY / "agent.sock"] if path.exists()],
        "files": [str(path) for path in [CHECKOUT / ".lab"] if path.exists()],
    }


@pytest.fixture
def lab(made: Done) -> Lab:
    return Lab.current()


@pytest.fixture
def serving(lab: Lab) -> None:
    """For tests that begin with a farm that serves from every pod."""
    from tests.lab.farm import all_serve  # noqa: PLC0415 (which uses what is below)

    eventually(lambda: all_serve(lab), seconds=90, what="both pods serve")


@pytest.fixture
def restored(request: pytest.FixtureRequest) -> Iterator[None]:
    """For a test that deploys this checkout's farm again as its last step: that is done here if the test fails."""
    failed = request.session.testsfailed
    yield
    if request.session.testsfailed > failed:
        deploy()


@pytest.fixture
def project(lab: Lab, tmp_path: Path) -> Project:
    return copy_of_project(lab, tmp_path / "project")


@pytest.fixture
def trial(lab: Lab, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Trial]:
    """A site of the test's own, named after it; removed afterwards."""
    from tests.lab.trial import Trial  # noqa: PLC0415 (which uses what is below)

    name = re.sub("[^a-z]+", "-", request.node.name)[5:30].strip("-")
    made = Trial(lab=lab, name=f"trial-{name}", directory=tmp_path)
    yield made
    made.remove()


@contextmanager
def with_image(lab: Lab, name: str) -> Iterator[None]:
    """The lab's image by another name on every minion, which is another template."""
    ctr = ["ctr", "--namespace", "k8s.io", "images"]
    for minion in lab.minions():
        lab.exec(minion.name, [*ctr, "tag", "--force", IMAGE, name])
    yield
    for minion in lab.minions():
        lab.exec(minion.name, [*ctr, "rm", name], check=False)


def get(url: str, timeout: float = 5) -> str:
    """The body of a page; raises what urllib raises."""
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return str(answer.read().decode())


def eventually(check: Callable[[], Any], *, seconds: float, what: str) -> Any:
    """Give the first true value of ``check``, which may raise meanwhile; fail with the last trouble after the time."""
    deadline = time.monotonic() + seconds
    trouble: object = None
    while time.monotonic() < deadline:
        try:
            if value := check():
                return value
        except Exception as error:  # noqa: BLE001 (it is reported below)
            trouble = error
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds} s: {what}; last trouble: {trouble}")
