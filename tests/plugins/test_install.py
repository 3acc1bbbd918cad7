"""Which programs the engine is given, and that nothing is downloaded or shown for it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.plugins.install import PROGRAMS, VARIABLE, install
from tests.plugins.harness import Project


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's home without anything of Pulumi's."""
    home = tmp_path / "nobody"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv(VARIABLE, raising=False)
    return home


def run_installed(pulumi_home: Path, name: str) -> str:
    """What an installed program prints when it is asked something, here by programs that only print."""
    path = next(pulumi_home.glob(f"plugins/*/{name}"))
    return subprocess.run([path, "x y"], capture_output=True, text=True, check=True, timeout=20).stdout


def fake(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\necho "{text} $1"\n')
    path.chmod(0o755)


def test_own_programs_where_there_are_no_others(tmp_path: Path, nobody: Path, project: Project) -> None:
    deep = tmp_path / "a directory with 'quotes' and spaces" / ("x" * 150)
    lines = install(deep, tmp_path / "bin", Path(sys.executable))
    assert lines == [f"{program.file} {program.version}: the lab's own" for program in PROGRAMS]
    project.environment["PULUMI_HOME"] = str(deep)
    listed = project.run("plugin", "ls").text
    assert [line.split()[:3] for line in listed.splitlines()[1:4]] == [
        ["command", "resource", "1.2.1"],
        ["kubernetes", "resource", "4.34.2"],
        ["python", "language", "3.259.0"],
    ]
    project.write('from pulumi_command import local\nlocal.Command("c", create="true")\n')
    run = project.up()
    assert run.summary == {"created": 2}
    assert "warning" not in run.text


def test_installing_again_changes_nothing(tmp_path: Path, nobody: Path) -> None:
    def times() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in tmp_path.rglob("pulumi-*")}

    first = install(tmp_path / "home", tmp_path / "bin", Path(sys.executable))
    before = times()
    assert len(before) == 3
    assert install(tmp_path / "home", tmp_path / "bin", Path(sys.executable)) == first
    assert times() == before


def test_named_directory_comes_first_then_the_users_own(
    tmp_path: Path, nobody: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = tmp_path / "named"
    monkeypatch.setenv(VARIABLE, str(named))
    fake(named / "pulumi-resource-command", "named")
    plugins = nobody / ".pulumi" / "plugins"
    fake(plugins / "resource-command-v1.2.1" / "pulumi-resource-command", "users")
    fake(plugins / "resource-kubernetes-v4.34.2" / "pulumi-resource-kubernetes", "users")
    fake(plugins / "resource-kubernetes-v4.0.0" / "pulumi-resource-kubernetes", "another version")
    lines = install(tmp_path / "home", tmp_path / "bin", Path(sys.executable))
    assert lines == [
        "pulumi-language-python 3.259.0: the lab's own",
        f"pulumi-resource-command 1.2.1: {named}/pulumi-resource-command",
        f"pulumi-resource-kubernetes 4.34.2: {plugins}/resource-kubernetes-v4.34.2/pulumi-resource-kubernetes",
    ]
    assert run_installed(tmp_path / "home", "pulumi-resource-command") == "named x y\n"
    assert run_installed(tmp_path / "home", "pulumi-resource-kubernetes") == "users x y\n"


def test_programs_that_cannot_be_used_are_named(tmp_path: Path, nobody: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "missing"))
    with pytest.raises(LabError, match="missing is not a directory"):
        install(tmp_path / "home", tmp_path / "bin", Path(sys.executable))
    fake(tmp_path / "missing" / "pulumi-resource-command", "named")
    (tmp_path / "missing" / "pulumi-resource-command").chmod(0o644)
    with pytest.raises(LabError, match="pulumi-resource-command is not executable"):
        install(tmp_path / "home", tmp_path / "bin", Path(sys.executable))


def test_language_host_that_an_older_lab_left_on_path_is_removed(tmp_path: Path, nobody: Path) -> None:
    fake(tmp_path / "bin" / "pulumi-language-python", "old")
    install(tmp_path / "home", tmp_path / "bin", Path(sys.executable))
    assert shutil.which("pulumi-language-python", path=str(tmp_path / "bin")) is None
