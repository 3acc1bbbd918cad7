"""``python -m ops ci drift``: how one stack differs from its state, as a file for the job that may write issues.

There are two checks: `ops drift` for the minions and their nodes, and a refresh, only previewed, for the cluster.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ops.ci.credentials import lent
from ops.ci.event import summary
from ops.config.checking import report_of
from ops.errors import OpsError
from ops.finding import shared
from ops.preview.fit import Section, fit
from ops.preview.markdown import code, fenced
from ops.preview.raw import raw_lines
from ops.preview.scrub import Scrub
from ops.preview.steps import parse
from ops.preview.words import number
from ops.pulumi import Pulumi

#: One stack's part of the issue, in characters: several have room in one.
_LIMIT: Final = 15_000
#: A process of its own: what it sees of a stack does not stay with what is seen of the next one.
DRIFT: Final = (sys.executable, "-m", "ops", "drift")


@dataclass(frozen=True, kw_only=True)
class DriftCheck:
    """One check: the number of findings, and their Markdown; or why it was not possible (``failed``)."""

    title: str
    findings: int = 0
    sections: tuple[Section, ...] = ()
    failed: str = ""


def run(options: argparse.Namespace) -> int:
    """Check, and write the file; return the exit status: 1 if something is wrong. Raises OpsError."""
    scrub = Scrub.of(os.environ)
    config = report_of(options.stack).config
    with lent(None if config is None else config.kubernetes.kubeconfig):
        checks = (_minions(options.stack, scrub), _cluster(options.stack, scrub))
    head = Section(head=f"## {_verdict(checks)}: stack {code(options.stack)}")
    text = fit([head, *_sections(checks)], _LIMIT)
    drifted = any(it.findings or it.failed for it in checks)
    entry = {"stack": options.stack, "drift": drifted, "markdown": text}
    try:
        Path(options.output).mkdir(parents=True, exist_ok=True)
        (Path(options.output) / "drift.json").write_text(json.dumps(entry) + "\n", encoding="utf-8")
    except OSError as error:
        raise OpsError(f"--output {options.output!a} cannot be written: {error.strerror}") from None
    summary(os.environ, text)
    print(text)
    return 1 if drifted else 0


def _verdict(checks: Sequence[DriftCheck]) -> str:
    count = sum(it.findings for it in checks)
    unseen = "not everything could be checked" if any(it.failed for it in checks) else ""
    words = ", ".join(it for it in (number(count, "finding") if count else "", unseen) if it) or "no drift"
    return words[0].upper() + words[1:]


def _sections(checks: Sequence[DriftCheck]) -> Iterator[Section]:
    for it in checks:
        if it.failed:
            yield Section(head=f"### {it.title}: could not check\n", items=[fenced(it.failed.split("\n"))])
        elif it.findings:
            yield Section(head=f"### {it.title}")
            yield from it.sections


def _minions(stack: str, scrub: Scrub) -> DriftCheck:
    """What `ops drift` finds."""
    title = "Minions and their nodes"
    argv = [*DRIFT, "--stack", stack, "--json"]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False)
    try:
        found = json.loads(done.stdout)["findings"] if done.returncode in {0, 1} else None
    except (ValueError, KeyError, TypeError):
        found = None
    if not isinstance(found, list):
        return DriftCheck(title=title, failed=scrub.text(done.stderr.strip() or f"exit status {done.returncode}"))
    lines = [_line(it, scrub) for it in found]
    return DriftCheck(
        title=title,
        findings=len(lines),
        sections=(Section(head="", items=[f"- {it}" for it in lines], unit="findings"),),
    )


def _line(finding: Any, scrub: Scrub) -> str:
    entry = {key: scrub.text(str(value)) for key, value in finding.items()} if isinstance(finding, dict) else {}
    who = code(entry["minion"], widest=100) if entry.get("minion") else f"the {shared(entry.get('what', ''))}"
    what, found, wanted, remedy = (code(entry.get(key, "")) for key in ("what", "found", "wanted", "remedy"))
    return f"{who}: {what}: found {found}, wanted {wanted}. {remedy}"


def _cluster(stack: str, scrub: Scrub) -> DriftCheck:
    """What a refresh would take into the state."""
    title = "In the cluster"
    status, out, err = asyncio.run(Pulumi(stack=stack, environment=dict(os.environ)).refreshed())
    try:
        preview = parse(out, scrub=scrub, failed=err if status else None)
    except OpsError as error:
        return DriftCheck(title=title, failed=str(error))
    if preview.errors:
        lines = (f"{it.about}: {it.message}".lstrip(": ") for it in preview.errors)
        return DriftCheck(title=title, failed="\n".join(lines))
    block = fenced(raw_lines(preview.steps), "diff").split("\n")
    return DriftCheck(
        title=title,
        findings=len(preview.steps),
        sections=(
            Section(
                head=f"`-` is gone, `!` is another than the state says:\n\n{block[0]}",
                items=block[1:-1],
                close=block[-1],
            ),
        ),
    )
