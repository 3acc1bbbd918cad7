"""``python -m lab.toolchain``: build what the cache does not hold yet. Exit status 1 with the reason if that fails."""

from __future__ import annotations

import os
import sys

from lab.command import search_path
from lab.errors import LabError
from lab.steps import Steps
from lab.toolchain import ensure


def main() -> int:
    """Build everything that is missing."""
    os.environ["PATH"] = search_path()
    try:
        ensure(Steps())
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: interrupted; what was built whole stays in the cache", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
