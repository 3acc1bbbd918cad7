"""One real lab for the whole run, made by the commands a newcomer types."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab import toolchain
from lab.context import CHECKOUT, Lab
from lab.errors import LabError
from lab.registry import DIRECTORY

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


def make(target: str) -> Done:
    """``make TARGET`` in this checkout; its output is in the failure when it fails."""
    done = command(["make", "--no-print-directory", target])
    assert done.status == 0, f"make {target}:\n{done.text}"
    return done


def report_of(made: Done) -> str:
    """What `make up` says last: everything after its steps."""
    return made.out.partition("\n\n")[2]


@pytest.fixture(scope="session")
def made() -> Iterator[Done]:
    """What `make up` said. A lab that was not up before is taken down afterwards, and leaves nothing."""
    try:
        Lab.current()
        was_up = True
    except LabError:
        was_up = False
    yield make("up")
    if not was_up:
        traces = {what for what, seen in on_this_host().items() if seen}
        make("down")
        assert traces == set(on_this_host()), "a living lab is seen in each of these"
        assert not {what: seen for what, seen in on_this_host().items() if seen}
        assert not toolchain.missing(), "what is built stays"


def on_this_host() -> dict[str, list[str]]:
    """All that a lab makes outside the toolchain's cache: what, and where it is seen."""

    def lines(words: str, mark: str) -> list[str]:
        return [line for line in command(words.split()).out.splitlines() if mark in line]

    return {
        "bridge": lines("ip -o link", "gfarm0"),
        "mounts": lines("cat /proc/self/mountinfo", "/.lab/"),
        "nat rules": lines("iptables -t nat -S", "GLUSTERFARM"),
        "filter rules": lines("iptables -t filter -S", "GLUSTERFARM"),
        "processes": lines("pgrep --full --list-full /.lab/machines/", ""),
        "registry": [str(path) for path in [DIRECTORY / "lab.json", DIRECTORY / "agent.sock"] if path.exists()],
        "files": [str(path) for path in [CHECKOUT / ".lab"] if path.exists()],
    }


@pytest.fixture
def lab(made: Done) -> Lab:
    return Lab.current()


@pytest.fixture
def restored() -> Iterator[None]:
    """For tests that leave the farm other than they found it: `make up` afterwards."""
    yield
    make("up")


@dataclass(frozen=True, kw_only=True)
class Project:
    """A copy of the project that shares this checkout's lab, to edit and preview from."""

    directory: Path
    lab: Lab

    def pulumi(self, *words: str, env: Mapping[str, str] | None = None) -> Done:
        argv = ["pulumi", "--non-interactive", "--color", "never", *words]
        environment = {**self.lab.environment(), **(env or {})}
        argv[0] = shutil.which("pulumi", path=environment["PATH"]) or "pulumi"
        return command(argv, cwd=self.directory, env=environment, timeout=600)

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


@pytest.fixture
def project(lab: Lab, tmp_path: Path) -> Project:
    return copy_of_project(lab, tmp_path / "project")


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


def get(url: str, timeout: float = 5) -> str:
    """The body of a page; raises what urllib raises."""
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return str(answer.read().decode())


def eventually(check: Callable[[], Any], *, seconds: float, what: str) -> Any:
    """Give the first true value of ``check``, which may raise meanwhile; fail with the last trouble after the time."""
    deadline = time.monotonic() + seconds
    trouble: object = None
    while time.monotonic() < deadline:
        try:
            if value := check():
                return value
        except Exception as error:  # noqa: BLE001 (it is reported below)
            trouble = error
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds} s: {what}; last trouble: {trouble}")


def _label(urn: str) -> str:
    _, _, types, name = urn.split("::")
    return f"{types.rpartition('$')[2].rpartition(':')[2]} {name}"
