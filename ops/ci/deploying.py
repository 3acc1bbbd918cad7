"""``python -m ops ci deploy``: `pulumi up` of one stack, with what a job has to be lent for it."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

from ops.ci.credentials import lent
from ops.ci.event import summary
from ops.config.checking import report_of
from ops.errors import OpsError
from ops.preview.markdown import code

#: Commands beside those of the minions that may run at once.
_BESIDE = 8


def run(options: argparse.Namespace) -> int:
    """Deploy; give the exit status. Raises OpsError."""
    report = report_of(options.stack)
    if report.config is None or report.minions is None:
        reasons = "; ".join([*map(str, report.mistakes), *report.notes])
        raise OpsError(f"{report.file} is not deployed: {reasons}")
    program = shutil.which("pulumi")
    if program is None:
        raise OpsError("pulumi is not on PATH; install it")
    with lent(report.config.kubernetes.kubeconfig):
        environment = {
            "PULUMI_PARALLEL": str(report.minions + _BESIDE),
            # One dead minion must not keep the others waiting.
            "PULUMI_CONTINUE_ON_ERROR": "true",
            **os.environ,
        }
        words = ("--stack", options.stack, "--non-interactive", "--color", "never")
        status = _ended([program, "up", "--yes", *words], environment)
        if status == 0:
            summary(os.environ, _summary(options.stack, _outputs([program, "stack", "output", "--json", *words])))
    return 0 if status == 0 else 1


def _ended(argv: list[str], environment: Mapping[str, str]) -> int:
    """Run it to its end. Asked to stop, it ends by itself; killed, it would leave the stack locked."""
    process = subprocess.Popen(argv, env=dict(environment), stdin=subprocess.DEVNULL)
    with _handed_on(process):
        return process.wait()


@contextmanager
def _handed_on(process: subprocess.Popen[bytes]) -> Iterator[None]:
    def hand_on(number: int, _frame: FrameType | None) -> None:
        # Pulumi stops in order at an interrupt; at anything else it is just gone.
        process.send_signal(signal.SIGINT)

    former = {number: signal.signal(number, hand_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _outputs(argv: list[str]) -> Mapping[str, Any]:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    try:
        found = json.loads(done.stdout)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _summary(stack: str, outputs: Mapping[str, Any]) -> str:
    lines = [f"- {name}: {code(str(outputs[name]))}" for name in ("url", "release") if outputs.get(name)]
    return "\n".join([f"### Deployed: stack {code(stack)}", "", *lines])
