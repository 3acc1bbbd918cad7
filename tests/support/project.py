"""Commands as a user runs them, and copies of the project that share the running lab."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab.context import CHECKOUT, Lab

UP_SECONDS = 40 * 60
SHARED = (".lab", ".venv")


@dataclass(frozen=True, kw_only=True)
class Done:
    """A command that ended."""

    status: int
    out: str
    err: str
    seconds: float

    @property
    def text(self) -> str:
        return self.out + self.err


def command(
    argv: Sequence[str],
    *,
    cwd: Path = CHECKOUT,
    env: Mapping[str, str] | None = None,
    timeout: float = UP_SECONDS,
) -> Done:
    """Run a command as a user would; nothing is asserted."""
    begun = time.monotonic()
    done = subprocess.run(
        argv,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Done(status=done.returncode, out=done.stdout, err=done.stderr, seconds=time.monotonic() - begun)


@dataclass(frozen=True, kw_only=True)
class Project:
    """A copy of the project that shares this checkout's lab, to edit and preview from; ``own`` are variables of its."""

    directory: Path
    lab: Lab
    own: Mapping[str, str] = field(default_factory=dict)

    def pulumi(self, *words: str, env: Mapping[str, str] | None = None) -> Done:
        argv = ["pulumi", "--non-interactive", "--color", "never", *words]
        environment = {**self.lab.environment(), **self.own, **(env or {})}
        argv[0] = shutil.which("pulumi", path=environment["PATH"]) or "pulumi"
        return command(argv, cwd=self.directory, env=environment, timeout=600)

    def ops(self, *words: str, env: Mapping[str, str] | None = None) -> Done:
        """``python -m ops WORDS`` in this copy."""
        environment = {**self.lab.environment(), **self.own, **(env or {})}
        return command([".venv/bin/python", "-m", "ops", *words], cwd=self.directory, env=environment, timeout=600)

    def preview(self) -> dict[str, str]:
        """``{"Type name": operation}`` of every resource that a preview would not leave the same."""
        done = self.pulumi("preview", "--json")
        assert done.status == 0, [entry["message"] for entry in json.loads(done.out)["diagnostics"]]
        steps = json.loads(done.out)["steps"]
        return {_label(step["urn"]): step["op"] for step in steps if step["op"] != "same"}

    def write(self, path: str, text: str) -> None:
        (self.directory / path).write_text(text)

    def edit(self, path: str, old: str, new: str) -> None:
        text = (self.directory / path).read_text()
        assert old in text, f"{old!r} is not in {path}"
        self.write(path, text.replace(old, new))

    def own_inventory(self) -> Path:
        """Make the inventory this copy's own, so that it can be edited; its path."""
        own = self.directory / "inventory.yaml"
        shutil.copy(self.lab.paths.inventory, own)
        self.edit("Pulumi.dev.yaml", ".lab/inventory.yaml", "inventory.yaml")
        return own


def copy_of_project(lab: Lab, directory: Path) -> Project:
    """Copy what git would, into ``directory``."""
    listed = command(["git", "ls-files", "-co", "--exclude-standard"]).out.splitlines()
    for name in listed:
        if (CHECKOUT / name).is_file():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, directory / name)
    for name in SHARED:
        (directory / name).symlink_to(CHECKOUT / name)
    return Project(directory=directory, lab=lab)


def _label(urn: str) -> str:
    _, _, types, name = urn.split("::")
    return f"{types.rpartition('$')[2].rpartition(':')[2]} {name}"
