from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.engine import Preview, Run, run_main
from tests.support.sshd import Loopback
from tests.support.stack import StackFiles


@pytest.fixture(autouse=True)
def current_loop() -> Iterator[None]:
    """Pulumi's SDK takes the thread's current event loop, which any asyncio.run() of an earlier test took away."""
    with asyncio.Runner() as runner:
        asyncio.set_event_loop(runner.get_loop())
        yield


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StackFiles:
    """A complete stack in a project directory of its own, which is the working directory, as the engine has it."""
    monkeypatch.chdir(tmp_path)
    return StackFiles(directory=tmp_path)


@pytest.fixture
def preview(stack: StackFiles, monkeypatch: pytest.MonkeyPatch) -> Preview:
    """Runs the program with ``stack``'s configuration, as a preview."""

    def run(**extra: str) -> Run:
        return run_main(
            stack.config(**extra),
            secrets=("glusterfarm:sshPrivateKey", "glusterfarm:secretEnv"),
            monkeypatch=monkeypatch,
        )

    return run


@pytest.fixture
def loopback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """SSH servers on the loopback that let the one key in that a deployer finds."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with Loopback(tmp_path) as made:
        monkeypatch.setenv("GLUSTERFARM_SSH_PRIVATE_KEY", made.private_key)
        yield made
