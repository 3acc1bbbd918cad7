"""What the toolchain built, put to use for real: root, systemd-nspawn, no network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab import toolchain
from lab.command import search_path
from lab.steps import Steps
from lab.toolchain import Toolchain

_RUN = """
mount -t overlay overlay -o "lowerdir=$1,upperdir=upper,workdir=work" merged
exec systemd-nspawn --quiet --register=no --keep-unit --as-pid2 --private-network --pipe --directory=merged sh -ec "$2"
"""


@pytest.fixture(scope="session")
def built() -> Toolchain:
    """The toolchain, from the cache or built now."""
    return toolchain.ensure(Steps(sys.stderr))


def on_machine(directory: Path, layers: list[Path], script: str) -> str:
    """Run a script on a fresh machine over these layers (the top one first), without any network."""
    for name in ("upper", "work", "merged"):
        (directory / name).mkdir()
    done = subprocess.run(
        [
            *("unshare", "--mount", "--propagation", "private"),
            *("sh", "-ec", _RUN, "sh", ":".join(map(str, layers)), script),
        ],
        cwd=directory,
        env={**os.environ, "PATH": search_path()},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
