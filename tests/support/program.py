"""The real program with the real CLI, and doubles in place of provider programs that would touch a machine."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

import yaml

from lab.plugins.install import PROGRAMS, VARIABLE, install
from lab.toolchain import builds
from tests.support.project import Done, command
from tests.support.stack import StackFiles, private_key

CHECKOUT = Path(__file__).resolve().parents[2]
#: By provider: which double of ``tests.support.handless`` stands in its place.
NO_HANDS: Final[Mapping[str, str]] = MappingProxyType({"command": "surveyed", "kubernetes": "objects"})
_PROGRAM = ("__main__.py", "Pulumi.yaml", "settings.py", "cluster", "components", "connectors", "publisher", "rules")


@dataclass(frozen=True, kw_only=True)
class Program:
    """A copy of the program with a stack ``dev`` of its own."""

    files: StackFiles
    environment: dict[str, str]

    def run(self, *words: str) -> Done:
        """Run the CLI as a user would; nothing is asserted."""
        self._configure()
        argv = [str(_cli()), "--non-interactive", "--color=never", *words]
        return command(argv, cwd=self.files.directory, env=self.environment, timeout=300)

    def pulumi(self, *words: str, fails: bool = False) -> str:
        """Run the CLI; give its stdout. Ends the process where that fails, or succeeds though it ``fails``."""
        done = self.run(*words)
        if (done.status != 0) != fails:
            raise SystemExit(f"pulumi {' '.join(words)}: exit status {done.status}\n{done.out}\n{done.err}")
        return done.out

    def _configure(self) -> None:
        path = self.files.directory / f"Pulumi.{self.environment['PULUMI_STACK']}.yaml"
        former = yaml.safe_load(path.read_text()) if path.is_file() else {}
        config = {f"glusterfarm:{key}": value for key, value in self.files.values.items()}
        former_config = former.get("config") or {}
        secrets = {key: it for key, it in former_config.items() if isinstance(it, dict) and "secure" in it}
        path.write_text(yaml.safe_dump({**former, "config": {**config, **secrets}}))


def _cli() -> Path:
    return builds.pulumi(lambda: sys.exit("the CLI is not built: `make up` builds it")).path / "pulumi"


def _environment(home: Path, state: Path) -> dict[str, str]:
    return {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "PULUMI_HOME": str(home),
        "PULUMI_BACKEND_URL": f"file://{state}",
        "PULUMI_CONFIG_PASSPHRASE": "tests",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_STACK": "dev",
    }


@cache
def _new_stack(*_programs: str | None) -> tempfile.TemporaryDirectory[str]:
    """A project, a home and a state whose stack ``dev`` is empty. One serves all tests that have these programs."""
    made = tempfile.TemporaryDirectory()
    directory, home, state = (Path(made.name) / name for name in ("project", "home", "state"))
    for path in (directory, state):
        path.mkdir()
    (directory / "Pulumi.yaml").symlink_to(CHECKOUT / "Pulumi.yaml")
    install(home, home / "bin", Path(sys.executable))
    Program(files=StackFiles(directory=directory), environment=_environment(home, state)).pulumi("stack", "init", "dev")
    return made


def _copy_of_new_stack(directory: Path, home: Path, state: Path) -> None:
    new = Path(_new_stack(os.environ.get(VARIABLE), os.environ.get("HOME")).name)
    shutil.copy(new / "project" / "Pulumi.dev.yaml", directory)
    shutil.copytree(new / "home", home)
    shutil.copytree(new / "state", state)


@contextmanager
def program(*, doubles: Mapping[str, str] = NO_HANDS, secret: bool = False) -> Iterator[Program]:
    """The program with a new stack of three minions; ``secret``: its key is a secret of the configuration."""
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary) / "project"
        directory.mkdir()
        for name in _PROGRAM:
            (directory / name).symlink_to(CHECKOUT / name)
        (directory / ".venv").symlink_to(sys.prefix)
        home, state = Path(temporary) / "home", Path(temporary) / "state"
        _copy_of_new_stack(directory, home, state)
        for its in PROGRAMS:
            if double := doubles.get(its.name):
                argv = shlex.join([sys.executable, "-m", "tests.support.handless", double])
                script = home / "plugins" / its.directory / its.file
                script.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(CHECKOUT))} exec {argv} "$@"\n')
        made = Program(files=StackFiles(directory=directory), environment=_environment(home, state))
        if secret:
            made.pulumi("config", "set", "--secret", "sshPrivateKey", "--", private_key())
        yield made
