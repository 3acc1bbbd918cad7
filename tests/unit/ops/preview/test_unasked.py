"""A preview succeeds without dry runs. It warns, and the comment says so where a reviewer sees it first."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.ops.preview.cases import recorded
from tests.unit.ops.preview.conftest import Run, against, written

HEAD = "### Not compared with the cluster\n"
ABSENT = "namespace glusterfarm does not exist yet"


def test_a_first_preview_was_not_compared(ops: Run) -> None:
    out = ops(*against("first"))[1]

    assert f"```\n{ABSENT}\n```" in out
    assert out.index(HEAD) < out.index("### Minions")
    assert "### Warnings" not in out, "it is said once"
    assert json.loads(ops(*against("first"), "--json")[1])["unasked"] == ABSENT


def test_so_it_is_of_a_preview_that_is_run(ops: Run, pulumi: Callable[..., Path]) -> None:
    digest = recorded("nothing")
    why = "the cluster of kubeconfig does not answer (no route); check that its API server is up"
    digest["diagnostics"] = [{"severity": "warning", "message": f"warning: not compared with the cluster: {why}\n"}]
    pulumi(json.dumps(digest))

    out = ops()[1]

    assert out.startswith(f"## No change: stack `dev`\n\n{HEAD}")
    assert f"```\n{why}\n```" in out


def test_another_warning_stays_a_warning(ops: Run) -> None:
    digest = copy.deepcopy(recorded("first"))
    digest["diagnostics"].append({"severity": "warning", "message": "warning: names differ only in case\n"})

    out = ops(*written(digest))[1]

    assert "### Warnings\n\n```\nnames differ only in case\n```" in out
    assert HEAD in out


@pytest.mark.parametrize("name", ["image", "content", "failing"])
def test_nothing_is_said_of_what_was_compared(ops: Run, name: str) -> None:
    assert HEAD not in ops(*against(name))[1]
