"""Pulumi projects in temporary directories, driven by the real CLI."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
PASSPHRASE = "tests"
STACK = "dev"
SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"

PULUMI_YAML = """\
name: tests
runtime:
  name: python
  options:
    virtualenv: {virtualenv}
"""
PRELUDE = """\
import json, os, signal
import pulumi
args = json.loads(os.environ["TEST_ARGS"])
signal.signal(signal.SIGINT, lambda *_: os._exit(130))
"""
"""An engine that is done interrupts the program; as in components/failures.py, that prints no traceback."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """How one command of the CLI went. `text` is what a user sees: stdout and stderr."""

    status: int
    text: str

    @property
    def summary(self) -> dict[str, int]:
        """The counts under "Resources:", for example {"created": 3, "unchanged": 1}."""
        part = self.text.rpartition("\nResources:\n")[2]
        return {what: int(count) for count, what in re.findall(r"^ +[^\d\s]* ?(\d+) (\w+)", part, re.MULTILINE)}

    @property
    def diagnostics(self) -> str:
        """The last part under "Diagnostics:", one run of spaces for each: an `up` has one of its preview before it."""
        part = self.text.rpartition("\nDiagnostics:\n")[2].partition("\nResources:\n")[0]
        return " ".join(part.split())


@dataclass(frozen=True, kw_only=True)
class Planned:
    """What a preview says of one resource."""

    op: str
    diff: Mapping[str, str]
    """Kind of change by property path."""
    reasons: Sequence[str] = ()
    """Its `replaceReasons`."""


@dataclass(kw_only=True)
class Project:
    """A project with one stack. Keyword arguments of its methods reach the program as `args`."""

    directory: Path
    pulumi: Path
    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    def write(self, program: str) -> None:
        """Replaces `__main__.py`."""
        (self.directory / "__main__.py").write_text(PRELUDE + textwrap.dedent(program))

    def environ(self, **arguments: Any) -> dict[str, str]:
        """The environment of a command."""
        return {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "PULUMI_HOME": str(self.home),
            "PULUMI_BACKEND_URL": f"file://{self.directory / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_STACK": STACK,
            "TEST_ARGS": json.dumps(arguments),
            **self.environment,
        }

    def command(self, *words: str) -> list[str]:
        """The argv of a command of the CLI."""
        return [str(self.pulumi), *words, "--non-interactive", "--color=never"]

    def run(self, *words: str, fails: bool = False, **arguments: Any) -> Run:
        """Runs a command; asserts that it succeeds, or that it does not when it `fails`."""
        done = subprocess.run(
            self.command(*words),
            cwd=self.directory,
            env=self.environ(**arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
            check=False,
        )
        run = Run(status=done.returncode, text=done.stdout.decode(errors="replace"))
        assert (run.status != 0) == fails, run.text[-3000:]
        return run

    def up(self, *words: str, fails: bool = False, **arguments: Any) -> Run:
        return self.run("up", "--yes", *words, fails=fails, **arguments)

    def destroy(self, *words: str, fails: bool = False, **arguments: Any) -> Run:
        return self.run("destroy", "--yes", *words, fails=fails, **arguments)

    def refresh(self, **arguments: Any) -> Run:
        return self.run("refresh", "--yes", **arguments)

    def preview(self, *words: str, **arguments: Any) -> dict[str, Planned]:
        """What `up` would do, by the resources' names; unchanged ones are left out."""
        run = self.run("preview", "--json", *words, **arguments)
        steps = json.loads(run.text[run.text.index("{") :])["steps"]
        planned: dict[str, Planned] = {}
        for step in steps:
            name = step["urn"].rpartition("::")[2]
            diff = {path: change["kind"] for path, change in (step.get("detailedDiff") or {}).items()}
            if step["op"] not in ("same", "read", "refresh") and step["urn"].split("::")[2] != "pulumi:pulumi:Stack":
                operation = "replace" if "replace" in step["op"] or name in planned else step["op"]
                planned[name] = Planned(op=operation, diff=diff, reasons=sorted(step.get("replaceReasons") or []))
        return planned

    def preview_text(self, **arguments: Any) -> str:
        """What a preview that fails says, in one line."""
        return self.run("preview", fails=True, **arguments).diagnostics

    @property
    def state(self) -> Path:
        """The file that holds the stack's state."""
        return self.directory / "state" / ".pulumi" / "stacks" / "tests" / f"{STACK}.json"

    def resources(self) -> dict[str, dict[str, Any]]:
        """The state's resources by name."""
        found = json.loads(self.state.read_text())["checkpoint"]["latest"].get("resources") or []
        return {resource["urn"].rpartition("::")[2]: resource for resource in found}

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs; a secret is a dict with a ciphertext."""
        found: dict[str, Any] = self.resources()[f"tests-{STACK}"].get("outputs", {})
        return found

    def uri(self, kind: str, name: str) -> str:
        """A resource's URN."""
        return f"urn:pulumi:{STACK}::tests::{kind}::{name}"


def is_secret(value: Any) -> bool:
    """Whether the state holds a value encrypted."""
    return isinstance(value, dict) and value.get(SIGNATURE) == SECRET and "ciphertext" in value


def new_template(directory: Path, pulumi: Path, home: Path) -> Project:
    """An empty project with an initialised stack, to copy others from."""
    (directory / "state").mkdir(parents=True)
    virtualenv = Path(sys.prefix)
    (directory / "Pulumi.yaml").write_text(PULUMI_YAML.format(virtualenv=virtualenv))
    project = Project(directory=directory, pulumi=pulumi, home=home)
    project.run("stack", "init", STACK)
    return project


def copy(template: Project, directory: Path) -> Project:
    """A new project with a stack of its own."""
    shutil.copytree(template.directory, directory, dirs_exist_ok=True)
    return Project(directory=directory, pulumi=template.pulumi, home=template.home)
