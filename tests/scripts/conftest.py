"""The scripts run for real, under each kind of sh that a minion may have."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.examples import EVERY_CASE
from tests.support.minion import Machine

# What /bin/sh is on the distributions there are packages for. Not busybox: its sh takes its own timeout, mount and stat
# before those on PATH, and that timeout waits for a process that hangs.
SHELLS = [found for name in ("dash", "bash") if (found := shutil.which(name))]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that needs a shell under the first one, and under all if it is marked with ``every_shell``."""
    if "shell" in metafunc.fixturenames:
        every = EVERY_CASE or metafunc.definition.get_closest_marker("every_shell")
        metafunc.parametrize("shell", SHELLS if every else SHELLS[:1], ids=lambda shell: Path(shell).name)


@pytest.fixture
def machine(shell: str, tmp_path: Path) -> Iterator[Machine]:
    """A minion of its own for every test."""
    yield from _made(tmp_path, shell)


@pytest.fixture
def one_machine(tmp_path: Path) -> Iterator[Machine]:
    """A minion with the shell that this host calls sh: for what takes long and has nothing to do with shells."""
    yield from _made(tmp_path, "/bin/sh")


@pytest.fixture(scope="module")
def shared_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """The same for all tests of a module: for what must change nothing on it."""
    yield from _made(tmp_path_factory.mktemp("machine"), "/bin/sh")


def _made(scratch: Path, shell: str) -> Iterator[Machine]:
    if os.geteuid() != 0 or not Path("/dev/fuse").exists():
        pytest.fail("the scripts' tests make real mounts: run them as root on a host with /dev/fuse")
    made = Machine(scratch, shell=shell)
    yield made
    made.close()
