"""Fixtures of the checks' tests: two pods, and minions from which they can be reached."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from checks.__main__ import main
from tests.support.pods import CONTROLLER, NAMESPACE, RELEASE, Farm
from tests.support.sshd import Loopback, LoopbackMinion


@dataclass(kw_only=True, repr=False)
class Check:
    """The command under test (in this process: its imports take seconds), and the farm that it looks at."""

    farm: Farm
    loopback: Loopback
    minions: list[LoopbackMinion]
    directory: Path
    output: pytest.CaptureFixture[str]

    def gate(self, *words: str, pods: int = 2) -> tuple[int, str, str]:
        """Run `checks gate`; give exit status, stdout and stderr."""
        return self._run("gate", pods, *words)

    def smoke(self, *words: str, pods: int = 2) -> tuple[int, str, str]:
        """Run the smoke check."""
        return self._run("smoke", pods, "--cluster-ip", self.farm.cluster_ip, "--probe-path", "/", *words)

    def _run(self, check: str, pods: int, *words: str) -> tuple[int, str, str]:
        inventory = self.directory / "inventory.yaml"
        entries = [
            {"name": minion.name, "host": "127.0.0.1", "port": minion.port, "hostKey": minion.host_key}
            for minion in self.minions
        ]
        inventory.write_text(json.dumps({"minions": entries}))
        words = (
            *(
                check,
                "--inventory",
                str(inventory),
                "--minions",
                ",".join(f"{minion.name}@" for minion in self.minions),
            ),
            *("--kubeconfig", str(self.farm.kubeconfig), "--namespace", NAMESPACE, "--controller", CONTROLLER),
            *("--pods", str(pods)),
            *("--port", str(self.farm.port), "--release", RELEASE, *words),
        )
        self.output.readouterr()
        status = main(words)
        said = self.output.readouterr()
        return status, said.out, said.err


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Check]:
    """A farm of two pods that serve as they should."""
    with Loopback(tmp_path) as loopback, Farm(tmp_path) as farm:
        monkeypatch.setenv("GLUSTERFARM_SSH_PRIVATE_KEY", loopback.private_key)
        monkeypatch.setenv("KUBECONFIG", "/nonexistent")
        minions = [loopback.minion(name, None) for name in ("minion-1", "minion-2")]
        yield Check(farm=farm, loopback=loopback, minions=minions, directory=tmp_path, output=capsys)
