"""What a job with a token does, the comment, the gate, the issue: without a package, and nothing of a pull request."""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ops.ci.event import PullRequest, run_url
from ops.ci.github import GitHub
from ops.ci.post import Posted, outdate_comments, put_comment, put_issue
from ops.errors import OpsError
from ops.gate import gate_of, lifted

_ISSUE_MARK: Final = "<!-- glusterfarm drift -->"
_NUMBER: Final = "name the pull request with --number N"
_TITLE: Final = "Drift: the farm is not as its stacks say"


def comment(options: argparse.Namespace) -> int:
    """Post a comment, or bring the one that is there up to date. Raises OpsError."""
    text, number = _text(options.file), options.number or PullRequest.of(os.environ, otherwise=_NUMBER).number
    try:
        posted = put_comment(GitHub.of(os.environ), number, text, author=options.author)
    except OpsError as error:
        raise OpsError(f"{options.file}: {error}") from None
    print(_said("comment", posted))
    return 0


def outdated(options: argparse.Namespace) -> int:
    """Bring the comments on stacks that are not touched any more up to date. Raises OpsError."""
    stacks, number = _stacks(options.stacks), options.number or PullRequest.of(os.environ, otherwise=_NUMBER).number
    said = outdate_comments(GitHub.of(os.environ), number, stacks, author=options.author)
    print(f"outdated: {', '.join(said)}" if said else "no comment is outdated")
    return 0


def gate(options: argparse.Namespace) -> int:
    """Say whether the preview may pass, asking for the pull request's labels as they are now. Raises OpsError."""
    answer = _object(options.file)
    try:
        shut = gate_of(answer, "")
    except OpsError as error:
        raise OpsError(f"{options.file}: {error}") from None
    labels: list[str] = []
    if shut.subjects:
        number = options.number or PullRequest.of(os.environ, otherwise=_NUMBER).number
        labels = [str(it.get("name", "")) for it in GitHub.of(os.environ).all(f"/issues/{number}/labels")]
    asked = gate_of(answer, lifted(flag=False, label=options.allow_label, labels=labels))
    line = asked.line(f"label the pull request {options.allow_label!a}")
    print(line if asked.passes else _error(line))
    return 0 if asked.passes else 1


def verdict(options: argparse.Namespace) -> int:
    """One result for the jobs of a preview: that of a fork, which has none, does not pass. Raises OpsError."""
    try:
        needs = json.loads(options.needs)
        results = {str(name): str(it["result"]) for name, it in needs.items()}
    except (ValueError, AttributeError, TypeError, KeyError):
        raise OpsError("the jobs' results are not what `toJSON(needs)` gives") from None
    bad = [f"{name} {result}" for name, result in results.items() if result not in {"success", "skipped"}]
    if not bad and results.get("stacks") != "success":
        bad = [
            "a preview was not made: a pull request from a fork does not get credentials; if you trust it, push the"
            " branch to this repository"
        ]
    print("\n".join(map(_error, bad)) if bad else "passed")
    return 1 if bad else 0


def issue(options: argparse.Namespace) -> int:
    """Keep one issue open while a stack has drift or was not checked; else close it. Raises OpsError."""
    answer = [_drift(Path(options.directory), stack) for stack in _stacks(options.stacks)]
    answer.sort(key=lambda it: not it["drift"])
    url = run_url(os.environ)
    foot = f"Found by [this run]({url}).\n\n" if url else ""
    text = "\n\n".join([*(it["markdown"] for it in answer), f"{foot}{_ISSUE_MARK}"])
    wanted = any(it["drift"] for it in answer)
    posted = put_issue(GitHub.of(os.environ), _TITLE, text, wanted=wanted, author=options.author)
    print(_said("issue", posted))
    return 1 if wanted else 0


def _stacks(text: str) -> list[str]:
    try:
        stacks = json.loads(text)
    except ValueError:
        stacks = None
    if not isinstance(stacks, list) or not all(isinstance(it, str) and re.fullmatch(r"[\w.-]+", it) for it in stacks):
        raise OpsError(f"--stacks: {text!a} is not a JSON list of stacks")
    return stacks


def _drift(directory: Path, stack: str) -> Mapping[str, Any]:
    """What the job of one stack found; also that it wrote nothing."""
    path = directory / f"drift-{stack}" / "drift.json"
    if not path.exists():
        return {"drift": True, "markdown": f"## Not checked: stack `{stack}`\n\nIts job failed; its log says why."}
    answer = _object(str(path))
    if not (isinstance(answer.get("markdown"), str) and isinstance(answer.get("drift"), bool)):
        raise OpsError(f"{path}: it is not what `python -m ops ci drift` writes")
    return answer


def _said(what: str, posted: Posted) -> str:
    return f"{what} {posted.done}{f': {posted.url}' if posted.url else ''}"


def _error(line: str) -> str:
    """``line`` such that a run shows it as an error of the job."""
    if not os.environ.get("GITHUB_ACTIONS"):
        return line
    return "::error::" + re.sub("[%\r\n]", lambda it: f"%{ord(it[0]):02X}", line)


def _text(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise OpsError(f"{name!a} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _object(name: str) -> Mapping[str, Any]:
    try:
        found = json.loads(_text(name))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise OpsError(f"{name!a} holds no JSON object")
    return found
