"""A failed `up` of the real program: the engine interrupts the program, and a user sees the reason and nothing else."""

from __future__ import annotations

import pytest

from tests.support.handless import FAILS, FAILURE
from tests.support.program import program


@pytest.mark.parametrize("command", ["mount-minion-1", "content-publish", "php-gate"])
def test_a_failed_up_shows_the_reason_and_no_traceback(command: str) -> None:
    """Without PULUMI_CONTINUE_ON_ERROR: with it, the program goes on to its end."""
    with program() as it:
        it.environment.update({FAILS: command, "PULUMI_CONTINUE_ON_ERROR": "false"})
        run = it.run("up", "--yes")
    assert run.status != 0
    assert f"({command}):\n    error: {FAILURE}" in run.text
    assert "Traceback" not in run.text
    assert "KeyboardInterrupt" not in run.text
