"""`python -m shared` as the program runs it: through whichever minion answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.__main__ import main
from tests.support.logins import CLOUD_IMAGE, forced, noisy
from tests.support.sshd import Loopback, LoopbackMinion


@dataclass(kw_only=True)
class Farm:
    """Two minions with one volume between them."""

    loopback: Loopback
    minions: list[LoopbackMinion]
    mount: Path
    output: pytest.CaptureFixture[str]

    def run(self, verb: str, *words: str) -> tuple[int, str, str]:
        """Give exit status, stdout and stderr."""
        inventory = self.mount.parent / "inventory.yaml"
        entries = [
            {"name": it.name, "host": "127.0.0.1", "port": it.port, "hostKey": it.host_key} for it in self.minions
        ]
        inventory.write_text(json.dumps({"minions": entries}))
        names = ",".join(f"{it.name}@" for it in self.minions)
        where = ("--inventory", str(inventory), "--minions", names, "--mount-path", str(self.mount))
        status = main([verb, *where, "--volume", "MyVolume", "--name", "uploads", *words])
        said = self.output.readouterr()
        return status, said.out, said.err

    def make(self) -> tuple[int, str, str]:
        return self.run("make", "--owner", "33", "--group", "33", "--mode", "0770")


@pytest.fixture
def farm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Farm]:
    mount = tmp_path / "mount"
    mount.mkdir()
    with Loopback(tmp_path) as loopback:
        monkeypatch.setenv("GLUSTERFARM_SSH_PRIVATE_KEY", loopback.private_key)
        minions = [loopback.minion(name, mount) for name in ("minion-1", "minion-2")]
        yield Farm(loopback=loopback, minions=minions, mount=mount, output=capsys)


def test_it_is_made_and_removed_through_one_minion(farm: Farm) -> None:
    status, stdout, stderr = farm.make()
    assert (status, stderr) == (0, "")
    assert json.loads(stdout) == {"directory": "uploads", "made": True}
    assert (farm.mount / "uploads").stat().st_uid == 33
    assert [len(it.commands) for it in farm.minions] == [1, 0]
    assert farm.run("remove")[0] == 0
    assert not (farm.mount / "uploads").exists()


def test_a_noisy_login_is_no_part_of_the_answer(farm: Farm) -> None:
    farm.minions[0].login = noisy
    status, stdout, stderr = farm.make()
    assert (status, json.loads(stdout), stderr) == (0, {"directory": "uploads", "made": True}, "")
    (farm.mount / "uploads").rmdir()
    (farm.mount / "uploads").write_text("a file")
    assert farm.make()[2].startswith("error: minion minion-1: ")


def test_a_login_that_runs_something_else_is_said(farm: Farm) -> None:
    farm.minions[0].login = forced(CLOUD_IMAGE)
    status, stdout, stderr = farm.make()
    assert (status, stdout) == (1, "")
    assert stderr.startswith(
        "error: minion minion-1: the login of user root did not run the command: it printed 'Please"
    )


def test_a_minion_that_is_away_is_passed_over(farm: Farm) -> None:
    farm.loopback.stop(farm.minions[0])
    assert farm.make()[0] == 0
    assert (farm.mount / "uploads").is_dir()


def test_without_any_minion_it_fails_and_names_them(farm: Farm) -> None:
    for it in farm.minions:
        farm.loopback.stop(it)
    status, stdout, stderr = farm.make()
    assert (status, stdout) == (1, "")
    assert "no minion can be reached" in stderr
    assert "minion-2" in stderr


def test_what_the_minion_refuses_is_one_line(farm: Farm) -> None:
    (farm.mount / "uploads").write_text("a file")
    status, stdout, stderr = farm.make()
    assert (status, stdout) == (1, "")
    assert stderr.startswith("error: minion minion-1: ")
    assert "is not a directory" in stderr
    assert stderr.count("\n") == 1
