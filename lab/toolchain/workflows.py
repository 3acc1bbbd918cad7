"""``python -m lab.toolchain.workflows``: actionlint on .github/workflows.

The first time it is built, which needs a network: `make venv` has that done, so that `make check` needs none.
"""

from __future__ import annotations

import argparse
import functools
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.errors import LabError
from lab.steps import Steps
from lab.toolchain import builds, cache, golang

_CHECKOUT = Path(__file__).parent.parent.parent


def main(words: Sequence[str] | None = None) -> int:
    """Check the workflows; give the exit status."""
    parser = argparse.ArgumentParser(prog="python -m lab.toolchain.workflows", description="Check .github/workflows.")
    parser.add_argument("--only-build", action="store_true", help="only have actionlint ready")
    only_build = parser.parse_args(words).only_build
    steps = Steps(sys.stderr)
    artefact = builds.actionlint(functools.cache(lambda: golang.find(steps)))
    try:
        if not artefact.present():
            with golang.using_caches():
                cache.ensure(artefact, steps)
    except LabError as error:
        print(error, file=sys.stderr)
        return 2
    if only_build:
        return 0
    shellcheck = _CHECKOUT / ".venv" / "bin" / "shellcheck"
    # pyflakes would be whichever is on PATH.
    argv = [str(artefact.path / "actionlint"), "-no-color", "-shellcheck", str(shellcheck), "-pyflakes="]
    return subprocess.run(argv, cwd=_CHECKOUT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
