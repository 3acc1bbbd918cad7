"""The preview as files for another job, with what it was lent; and a preview that could not even begin."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support.github import FakeGitHub
from tests.support.repository import git
from tests.support.stack import StackFiles, private_key
from tests.unit.ops.ci.conftest import HEAD, FakePulumi, Run, job
from tests.unit.ops.preview.cases import RECORDED

GIT = shutil.which("git") or ""
KUBECONFIG = "apiVersion: v1\nusers: [{user: {token: hunter2-hunter2-hunter2}}]\n"


@pytest.fixture
def on_a_pull_request(project: StackFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The environment of the job; gives the base."""
    job(monkeypatch, tmp_path)
    base = git(tmp_path, "rev-parse", "HEAD")
    event = {"pull_request": {"number": 7, "base": {"sha": base}, "head": {"sha": HEAD}}}
    (tmp_path / "event.json").write_text(json.dumps(event))
    return base


def of_prod(name: str) -> str:
    return (RECORDED / f"{name}.json").read_text().replace("pulumi:dev::", "pulumi:prod::")


def test_comment_and_facts(ci: Run, pulumi: FakePulumi, tmp_path: Path, on_a_pull_request: str) -> None:
    pulumi.says("preview", of_prod("volume"))

    assert ci("preview", "--stack", "prod", "--output", "out/prod") == (
        0,
        "DESTRUCTIVE: stack `prod`, 10 changes\n",
        "",
    )

    text = (tmp_path / "out" / "prod" / "comment.md").read_text()
    assert text.startswith("## DESTRUCTIVE: stack `prod`, 10 changes\n")
    assert text.endswith(
        f"*Of commit {HEAD[:12]}, compared with {on_a_pull_request[:12]}"
        " ([log](https://github.example/acme/farm/actions/runs/42)).*\n\n<!-- glusterfarm preview of prod -->\n"
    )
    assert (tmp_path / "summary.md").read_text() == text
    told = json.loads((tmp_path / "out" / "prod" / "facts.json").read_text())
    assert (told["stack"], told["verdict"], told["gate"]) == ("prod", "destructive", "off")


def test_what_it_writes_is_what_is_posted_and_what_the_gate_reads(
    ci: Run, pulumi: FakePulumi, hub: FakeGitHub, on_a_pull_request: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_API_URL", hub.url)
    pulumi.says("preview", of_prod("volume"))
    ci("preview", "--stack", "prod", "--output", "out")

    assert ci("comment", "out/comment.md")[0] == 0
    assert hub.comments[0]["body"].startswith("## DESTRUCTIVE: stack `prod`")
    assert ci("gate", "out/facts.json")[0] == 1
    hub.labels = ["allow-destructive"]
    assert ci("gate", "out/facts.json")[0] == 0


def test_what_it_is_lent_is_there_for_the_preview_and_gone_afterwards(
    ci: Run, pulumi: FakePulumi, tmp_path: Path, on_a_pull_request: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG_SECRET", KUBECONFIG)
    monkeypatch.setenv("MINIONS_SSH_KEY", private_key().replace("\n", "\r\n").strip())
    pulumi.says("preview", of_prod("content").replace("<?php", "hunter2-hunter2-hunter2"), err="error: x", status=1)

    assert ci("preview", "--stack", "prod", "--output", "out")[0] == 0

    assert KUBECONFIG in pulumi.calls
    assert "(ED25519)" in pulumi.calls
    assert "KUBECONFIG_SECRET" not in pulumi.calls
    assert "MINIONS_SSH_KEY" not in pulumi.calls
    assert not (tmp_path / ".kube" / "prod.yaml").exists()
    assert (tmp_path / "out" / "comment.md").read_text().startswith("## FAILED")
    assert "hunter2" not in (tmp_path / "out" / "facts.json").read_text()


def test_a_kubeconfig_is_for_its_owner_alone(
    ci: Run, pulumi: FakePulumi, on_a_pull_request: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG_SECRET", KUBECONFIG)
    program = pulumi.directory / "pulumi"
    program.write_text('#!/bin/sh\nstat -c "%a %n" .kube .kube/prod.yaml >>"$(dirname "$0")/calls"\n')
    ci("preview", "--stack", "prod", "--output", "out")
    assert pulumi.calls == "700 .kube\n600 .kube/prod.yaml\n"


@pytest.mark.usefixtures("on_a_pull_request")
@pytest.mark.parametrize("form", ["broken", "no-pulumi", "no-base"])
def test_a_preview_that_cannot_begin_is_a_comment_too(
    ci: Run, pulumi: FakePulumi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    words, told = [], ""
    if form == "broken":
        (tmp_path / "Pulumi.prod.yaml").write_text("config: [\n")
        pulumi.says("preview", err="error: could not read Pulumi.prod.yaml\n", status=255)
        told = "error: could not read Pulumi.prod.yaml"
    elif form == "no-pulumi":
        (pulumi.directory / "pulumi").unlink()
        monkeypatch.setenv("PATH", str(pulumi.directory))
        (pulumi.directory / "git").symlink_to(GIT)
        told = "pulumi is not on PATH"
    else:
        words, told = ["--base", "nowhere"], "--base 'nowhere' is not a commit"

    assert ci("preview", "--stack", "prod", "--output", "out", *words)[:2] == (
        0,
        "FAILED: the preview of stack `prod`\n",
    )
    text = (tmp_path / "out" / "comment.md").read_text()
    assert told in text
    assert text.endswith("<!-- glusterfarm preview of prod -->\n")
    assert json.loads((tmp_path / "out" / "facts.json").read_text())["verdict"] == "failed"


def test_outside_of_actions_the_remedy_is_a_commit_or_the_other_command(
    ci: Run, project: StackFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_EVENT_PATH", raising=False)
    assert ci("preview", "--stack", "prod", "--output", "out") == (
        2,
        "",
        "error: GITHUB_EVENT_PATH is not set; outside of GitHub Actions name the commit to compare"
        " with, as --base origin/main, or use `python -m ops preview`\n",
    )


@pytest.mark.usefixtures("on_a_pull_request")
def test_what_it_cannot_be_lent(
    ci: Run, pulumi: FakePulumi, project: StackFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("preview", "--stack", "prod", "--output", "out")
    monkeypatch.setenv("MINIONS_SSH_KEY", "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n")
    assert ci(*words)[2] == (
        "error: MINIONS_SSH_KEY holds no private key that ssh-add takes; it must have no passphrase\n"
    )
    monkeypatch.setenv("MINIONS_SSH_KEY", " \n")
    monkeypatch.setenv("KUBECONFIG_SECRET", KUBECONFIG)
    project.write(".kube/prod.yaml", "mine")
    assert "'.kube/prod.yaml' is there already, and is not written over" in ci(*words)[2]
    assert (tmp_path / ".kube" / "prod.yaml").read_text() == "mine"
    text = (tmp_path / "Pulumi.prod.yaml").read_text()
    project.write("Pulumi.prod.yaml", text.replace(".kube/prod.yaml", "../prod.yaml"))
    assert "'../prod.yaml' would be outside of this directory" in ci(*words)[2]
    project.write("Pulumi.prod.yaml", text)
    (tmp_path / ".kube" / "prod.yaml").unlink()
    (tmp_path / "out").write_text("a file")
    assert ci(*words)[2] == "error: --output 'out' cannot be written: File exists\n"
    assert not (tmp_path / ".kube" / "prod.yaml").exists()
    assert pulumi.calls.count("preview --json") == 1
