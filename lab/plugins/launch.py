"""Starts one of the lab's own Pulumi programs: `python -I launch.py command|kubernetes|language ARG...`.

`-I` keeps the caller's PYTHONPATH out of the program, and nothing of ours gets into the environment that local
commands inherit; the checkout is put on the module path here instead.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

PROGRAMS = {
    "command": "lab.plugins.command.program",
    "kubernetes": "lab.plugins.kube.program",
    "language": "lab.plugins.language.program",
}


def main() -> None:
    """Runs the program that the first argument names."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    _leave_out("pulumi", "pulumi.runtime")
    program = importlib.import_module(PROGRAMS[sys.argv.pop(1)])
    program.main()


def _leave_out(*packages: str) -> None:
    """Makes packages importable for their submodules' sake without running them.

    The programs need the SDK's protocol modules only. All of the SDK would cost each of them 0.15 s a start, and every
    command of the CLI starts two or three.
    """
    for name in packages:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.submodule_search_locations is None:
            raise SystemExit(f"{sys.executable} has no package {name}; install requirements.txt into it")
        package = ModuleType(name)
        package.__spec__ = spec
        package.__path__ = list(spec.submodule_search_locations)
        sys.modules[name] = package


if __name__ == "__main__":
    main()
