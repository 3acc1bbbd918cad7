"""What the workflow that runs was started by, and where its run is to be seen."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.errors import OpsError


@dataclass(frozen=True, kw_only=True)
class PullRequest:
    """The pull request: its number, and the commits that its base and its head were at."""

    number: int
    base: str
    head: str

    @classmethod
    def of(cls, environment: Mapping[str, str], *, otherwise: str) -> PullRequest:
        """The one that the event is about. Raises OpsError, which says what to do ``otherwise``."""
        path = environment.get("GITHUB_EVENT_PATH", "")
        try:
            event = json.loads(Path(path).read_text(encoding="utf-8")) if path else None
        except (OSError, ValueError):
            raise OpsError(f"GITHUB_EVENT_PATH: {path!a} holds no event in JSON") from None
        match event:
            case {"pull_request": {"number": int(number), "base": {"sha": str(base)}, "head": {"sha": str(head)}}}:
                if re.fullmatch("[0-9a-f]{40,64}", base) and re.fullmatch("[0-9a-f]{40,64}", head):
                    return cls(number=number, base=base, head=head)
        if not path:
            raise OpsError(f"GITHUB_EVENT_PATH is not set; outside of GitHub Actions {otherwise}")
        raise OpsError(f"the event (GITHUB_EVENT_PATH) is not about a pull request; in such a workflow {otherwise}")


def run_url(environment: Mapping[str, str]) -> str:
    """The address of the run, '' outside of one."""
    server, repository, run = (environment.get(f"GITHUB_{it}", "") for it in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    url = f"{server}/{repository}/actions/runs/{run}"
    return url if re.fullmatch(r"https?://[\w.:-]+/[\w.-]+/[\w.-]+/actions/runs/\d+", url, re.ASCII) else ""


def output(environment: Mapping[str, str], name: str, value: Any) -> None:
    """Hand ``value``, as JSON on one line, to the steps and jobs that follow, where there are any."""
    if path := environment.get("GITHUB_OUTPUT"):
        _append(path, f"{name}={json.dumps(value)}\n")


def summary(environment: Mapping[str, str], markdown: str) -> None:
    """Show ``markdown`` on the run's own page, where there is one."""
    if path := environment.get("GITHUB_STEP_SUMMARY"):
        _append(path, f"{markdown.rstrip()}\n")


def _append(path: str, text: str) -> None:
    try:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise OpsError(f"{path!a} cannot be written: {error.strerror}") from None
