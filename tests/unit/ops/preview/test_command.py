"""The command: what it runs, what it reads, what it refuses, and its exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.ops.preview.cases import CASES, RECORDED, repository
from tests.unit.ops.preview.conftest import Run, against, written


def test_it_runs_the_preview_itself(ops: Run, pulumi: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_ENABLE_STREAMING_JSON_PREVIEW", "true")
    calls = pulumi((RECORDED / "content.json").read_text(), err="warning: a new version is there\n")

    status, out, err = ops("--stack", "dev")

    assert (status, err) == (0, "")
    assert out.startswith("## 4 changes: stack `dev`\n")
    assert calls.read_text() == (
        "preview --json --show-replacement-steps --stack dev --non-interactive --color never|unset\n"
    )


def test_a_preview_that_fails_is_a_comment_with_the_reason(ops: Run, pulumi: Callable[..., Path]) -> None:
    pulumi((RECORDED / "failing.json").read_text(), err="error: preview failed\n", status=255)

    status, out, err = ops("--stack", "dev")

    assert (status, err) == (1, "")
    assert out.startswith("## FAILED: the preview of stack `dev`\n")
    assert "glusterfarm:php.replicas: 'two' is text." in out
    assert "exit code" not in out


@pytest.mark.parametrize(
    ("err", "told"),
    [
        ("error: no stack named 'prod' found\n", "error: no stack named 'prod' found"),
        ("warning: x\nerror: get https://u:hunter2@host: EOF\n", "error: get https://[secret]@host: EOF"),
        ("", "pulumi failed and did not say why"),
    ],
)
@pytest.mark.parametrize("printed", ["", "{}\n"])
def test_one_that_fails_before_there_is_json(
    ops: Run, pulumi: Callable[..., Path], err: str, told: str, printed: str
) -> None:
    """The CLI prints an empty object where it finds no stack, no language host or no virtual environment."""
    pulumi(printed, err=err, status=255)

    status, out, _ = ops("--stack", "acme/farm/prod")

    assert status == 1
    assert out.splitlines() == [
        *("## FAILED: the preview of stack `prod`", "", "### Why", "", "```", told, "```", ""),
        "<!-- glusterfarm preview of prod -->",
    ]


def test_an_exit_status_alone_is_a_failure_too(ops: Run, pulumi: Callable[..., Path]) -> None:
    pulumi((RECORDED / "content.json").read_text(), err="error: a policy forbids it\n", status=255)

    status, out, _ = ops()

    assert status == 1
    assert out.startswith("## FAILED")
    assert "a policy forbids it" in out


def test_without_pulumi_nothing_can_be_said(ops: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")

    status, out, err = ops()

    assert (status, out) == (2, "")
    assert "pulumi is not on PATH" in err


def test_both_streams_in_one_file(ops: Run) -> None:
    text = (RECORDED / "content.json").read_text()
    Path("both").write_text(f"warning: something is old\n{text}info: done\n")

    assert ops("--against", "both")[1] == ops(*against("content"))[1]


def test_a_file_with_an_error_and_no_json(ops: Run) -> None:
    Path("log").write_text("Previewing\nerror: no stack named 'prod' found\nsee --help\n")

    status, out, _ = ops("--against", "log", "--stack", "prod")

    assert status == 1
    assert "```\nerror: no stack named 'prod' found\nsee --help\n```" in out


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "there is nothing in it: the preview that was to fill it failed; its log says why"),
        ("[]", "it is not what `pulumi preview --json` prints"),
        ("{}", "it has neither steps nor diagnostics"),
        ('{"steps": 3}', "'steps' does not have the right form"),
        ('{"steps": [{"op": "update", "urn": "x"}]}', "'x' is not a URN"),
        ('{"steps": [{"op": "explode", "urn": "urn:pulumi:dev::p::t::n"}]}', "a step 'explode', which this version"),
        ('{"sequence": 0, "timestamp": 1, "preludeEvent": {}}', "unset PULUMI_ENABLE_STREAMING_JSON_PREVIEW"),
        ("{" * 100_000, "it is not what"),
        ('{"steps": ' + "[" * 100_000, "it is not what"),
    ],
)
def test_a_file_that_is_no_preview(ops: Run, text: str, told: str) -> None:
    Path("file").write_text(text)

    status, out, err = ops("--against", "file")

    assert (status, out) == (2, "")
    assert err.startswith("error: file: ")
    assert told in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--against", "nowhere.json"), "--against 'nowhere.json' cannot be read: No such file or directory"),
        (("--against", "."), "--against '.' cannot be read: Is a directory"),
        (("--against", "\0"), "cannot be read: embedded null byte"),
        ((*against("content"), "--base", "HEAD"), "--base 'HEAD' is not a commit of a git repository here"),
        ((*against("content"), "--base=--output=x"), "--base '--output=x' is not a commit"),
        ((*against("content"), "--stack", "prod"), "the preview is of stack 'dev', not of 'prod'"),
        ((*against("content"), "--limit", "100"), "must be a number of characters from 5000, not '100'"),
        ((*against("content"), "--limit", "many"), "must be a number of characters from 5000, not 'many'"),
        (("--nonsense",), "unrecognized arguments: --nonsense"),
    ],
)
def test_a_wrong_call(ops: Run, words: tuple[str, ...], told: str) -> None:
    status, out, err = ops(*words)

    assert (status, out) == (2, "")
    assert told in err
    assert "Traceback" not in err


def test_the_stack_may_be_named_in_full(ops: Run) -> None:
    assert ops(*against("content"), "--stack", "organization/glusterfarm/dev")[0] == 0


def test_json_has_the_facts_behind_the_comment(ops: Run, tmp_path: Path) -> None:
    repository(tmp_path, "minion-renamed")

    status, out, err = ops(*against("minion-renamed"), "--json", "--base", "HEAD")
    told = json.loads(out)

    assert (status, err, out.count("\n")) == (0, "", 1)
    assert told["stack"] == "dev"
    assert told["verdict"] == "destructive"
    assert told["counts"] == {"create": 4, "delete": 4, "update": 3}
    assert told["minions"]["renamed"] == [{"old": "minion-3", "new": "web-3", "same": "the same host and host key"}]
    assert [(it["subject"], it["op"], it["name"]) for it in told["destructive"]] == [("mount", "delete", "minion-3")]
    assert told["minions"]["after"] == 3
    assert {it["op"] for it in told["steps"]} == {"create", "delete", "update"}


@pytest.mark.parametrize("name", CASES)
def test_json_of_every_case(ops: Run, name: str) -> None:
    _, digest, _ = CASES[name]
    told = json.loads(ops(*written(digest()), "--json")[1])
    assert told["verdict"] in {"none", "changes", "destructive", "failed"}
    assert "hunter2" not in json.dumps(told)


def test_it_reads_from_stdin_and_says_how_it_is_called() -> None:
    run = [sys.executable, "-m", "ops", "preview"]
    text = (RECORDED / "content.json").read_bytes()
    done = subprocess.run([*run, "--against", "-"], input=text, capture_output=True, timeout=60, check=True)
    assert done.stdout.startswith(b"## 4 changes")

    shown = subprocess.run([*run, "--help"], capture_output=True, text=True, timeout=60, check=True).stdout
    assert "--allow-destructive" in shown
    assert "docs/pull-requests.md" in shown
