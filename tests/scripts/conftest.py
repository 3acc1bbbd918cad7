"""The scripts run for real, under each kind of sh that a minion may have."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.minion import Machine

# What /bin/sh is on the distributions there are packages for. Not busybox: its sh takes its own timeout, mount and stat
# before those on PATH, and that timeout waits for a process that hangs.
SHELLS = [found for name in ("dash", "bash") if (found := shutil.which(name))]


@pytest.fixture(params=SHELLS, ids=lambda shell: Path(shell).name)
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    """A minion of its own for every test, once for each shell."""
    yield from _made(tmp_path, request.param)


@pytest.fixture
def one_machine(tmp_path: Path) -> Iterator[Machine]:
    """A minion with the shell that this host calls sh: for what takes long and has nothing to do with shells."""
    yield from _made(tmp_path, "/bin/sh")


def _made(scratch: Path, shell: str) -> Iterator[Machine]:
    if os.geteuid() != 0 or not Path("/dev/fuse").exists():
        pytest.fail("the scripts' tests make real mounts: run them as root on a host with /dev/fuse")
    made = Machine(scratch, shell=shell)
    yield made
    made.close()
