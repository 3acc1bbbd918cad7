"""`pulumi up` as a job does it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.stack import StackFiles, private_key
from tests.unit.ops.ci.conftest import FakePulumi, Run, job


@pytest.fixture(autouse=True)
def of_a_job(project: StackFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job(monkeypatch, tmp_path)


def test_it_deploys_with_what_it_is_lent(
    ci: Run, pulumi: FakePulumi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG_SECRET", "apiVersion: v1")
    monkeypatch.setenv("MINIONS_SSH_KEY", private_key())
    pulumi.says("stack", json.dumps({"url": "http://192.0.2.7/", "release": "505bdf895f29", "minions": []}))

    assert ci("deploy", "--stack", "prod") == (0, "", "")

    up, *rest = pulumi.calls.splitlines()
    assert up == "up --yes --stack prod --non-interactive --color never"
    assert rest[:3] == ["PULUMI_CONTINUE_ON_ERROR=true", "PULUMI_PARALLEL=11", "apiVersion: v1"]
    assert "(ED25519)" in rest[3]
    assert (tmp_path / "summary.md").read_text() == (
        "### Deployed: stack `prod`\n\n- url: `http://192.0.2.7/`\n- release: `505bdf895f29`\n"
    )
    assert not (tmp_path / ".kube" / "prod.yaml").exists()


def test_what_the_environment_says_of_pulumi_stays(
    ci: Run, pulumi: FakePulumi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_PARALLEL", "4")
    assert ci("deploy", "--stack", "staging")[0] == 0
    assert "PULUMI_PARALLEL=4" in pulumi.calls


def test_one_that_fails_says_so(ci: Run, pulumi: FakePulumi, tmp_path: Path) -> None:
    pulumi.says("up", status=255)
    assert ci("deploy", "--stack", "prod")[0] == 1
    assert not (tmp_path / "summary.md").exists()
    assert "stack output" not in pulumi.calls


def test_what_is_not_deployed(ci: Run, pulumi: FakePulumi, project: StackFiles) -> None:
    status, _, err = ci("deploy", "--stack", "dev")
    assert status == 2
    assert err.startswith("error: Pulumi.dev.yaml is not deployed: its minions are not checked: ")
    project.write("inventory/prod.yaml", "minions: []\n")
    assert "Pulumi.prod.yaml is not deployed: inventory/prod.yaml: minions" in ci("deploy", "--stack", "prod")[2]
    assert "Pulumi.qa.yaml" in ci("deploy", "--stack", "qa")[2]
    assert pulumi.calls == ""


@pytest.fixture
def interruptible() -> Iterator[None]:
    """What a shell starts in the background ignores SIGINT, as does all that it starts: no script can trap it then."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_lets_pulumi_come_to_its_end(pulumi: FakePulumi, tmp_path: Path, number: int) -> None:
    (pulumi.directory / "pulumi").write_text(
        '#!/bin/sh\ntrap \'echo unlocked >"$0.end"; exit 1\' INT\nmkfifo "$0.pipe" && echo up && read x <>"$0.pipe"\n'
    )
    with subprocess.Popen(
        [sys.executable, "-m", "ops", "ci", "deploy", "--stack", "prod"],
        cwd=tmp_path,
        env={"PATH": f"{pulumi.directory}:/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[4])},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(number)
        assert process.wait(timeout=60) == 1
    assert (pulumi.directory / "pulumi.end").read_text() == "unlocked\n"
