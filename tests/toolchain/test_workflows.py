"""The linter of the workflows: built by `make venv`, so that `make check` needs no network."""

from __future__ import annotations

import subprocess
import sys

from lab.context import CHECKOUT

LINT = [sys.executable, "-m", "lab.toolchain.workflows"]


def test_once_built_it_needs_no_network() -> None:
    built = subprocess.run([*LINT, "--only-build"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    assert not built.stdout, "it has read nothing yet"
    apart = subprocess.run(["unshare", "--net", *LINT], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert (apart.returncode, apart.stdout) == (0, ""), apart.stdout + apart.stderr
