"""The environment of a workflow's job, with stand-ins for GitHub and for Pulumi's CLI."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import yaml

from tests.support.github import FakeGitHub, github, job_environment
from tests.support.ops import said_by
from tests.support.repository import git
from tests.support.stack import StackFiles

BASE, HEAD = "b" * 40, "a" * 40
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeGitHub]:
    """GitHub, and the environment of a workflow's job on pull request 7 of acme/farm."""
    with github() as fake:
        job(monkeypatch, tmp_path, GITHUB_API_URL=fake.url)
        yield fake


def job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **more: str) -> None:
    """The environment of a job, with nothing of the one that the tests run in."""
    for name in [it for it in os.environ if re.match("GITHUB_|PULUMI_|GLUSTERFARM_", it)]:
        monkeypatch.delenv(name)
    for name, value in {**job_environment(tmp_path, base=BASE, head=HEAD), **more}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long it would have waited between tries."""
    waited: list[float] = []
    monkeypatch.setattr("ops.ci.github.time.sleep", waited.append)
    return waited


@pytest.fixture
def ci(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `ops ci` in a directory of its own; give exit status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    return partial(said_by, capsys, "ci")


@pytest.fixture
def project(tmp_path: Path) -> StackFiles:
    """A project with the stack files of dev (the lab's), staging and prod, in git."""
    files = StackFiles(directory=tmp_path)
    files.write("Pulumi.yaml", "name: glusterfarm\nruntime: python\n")
    for stack, inventory in {
        "dev": ".lab/inventory.yaml",
        "staging": "inventory/staging.yaml",
        "prod": "inventory/prod.yaml",
    }.items():
        values = {**files.values, "inventory": inventory}
        if stack == "staging":
            values["content"] = {"source": "site-of-staging", "site": "php"}
        values["kubernetes"] = {"kubeconfig": f".kube/{stack}.yaml", "namespace": "glusterfarm"}
        config = {f"glusterfarm:{key}": value for key, value in values.items()}
        files.write(f"Pulumi.{stack}.yaml", yaml.safe_dump({"config": config}))
        if stack != "dev":
            files.write(inventory, (tmp_path / "inventory.yaml").read_text())
    files.write("site-of-staging/index.html", "<p>staging</p>\n")
    (tmp_path / "inventory.yaml").unlink()
    git(tmp_path, "init", "-q")
    files.write(".git/info/exclude", "/event.json\n/output\n/summary.md\n")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "deployed")
    return files


#: A pulumi that answers by its first word, and remembers how it was called, with what environment and which keys.
PULUMI = """#!/bin/sh
here=$(dirname "$0")
exec 3>>"$here/calls"
{ echo "$*"; env | grep -E '^(PULUMI_|KUBECONFIG|MINIONS)' | sort; cat .kube/*.yaml; ssh-add -l; } >&3 2>/dev/null
[ ! -e "$here/$1" ] || cat "$here/$1"
[ ! -e "$here/$1.err" ] || cat "$here/$1.err" >&2
[ ! -e "$here/$1.status" ] || exit "$(cat "$here/$1.status")"
"""


@dataclass(frozen=True, kw_only=True)
class FakePulumi:
    """The stand-in's directory."""

    directory: Path

    def says(self, verb: str, out: str = "", err: str = "", status: int = 0) -> None:
        for name, text in {verb: out, f"{verb}.err": err, f"{verb}.status": str(status)}.items():
            (self.directory / name).write_text(text)

    @property
    def calls(self) -> str:
        path = self.directory / "calls"
        return path.read_text() if path.exists() else ""


@pytest.fixture
def pulumi(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> FakePulumi:
    """Put a stand-in for the CLI on PATH."""
    directory = tmp_path_factory.mktemp("bin")
    (directory / "pulumi").write_text(PULUMI)
    (directory / "pulumi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return FakePulumi(directory=directory)
