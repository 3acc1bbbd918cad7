"""The nightly look: what `ops drift` finds and what a previewed refresh would change, as a part of the issue."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ops.ci import drifting
from tests.support.stack import StackFiles
from tests.unit.ops.ci.conftest import FakePulumi, Run, job
from tests.unit.ops.preview.cases import RECORDED

FINDING = {
    "minion": "minion-2",
    "what": "mount",
    "wanted": "a mount of gluster-1:MyVolume",
    "found": "nothing `@team`",
    "remedy": "`python -m ops drift --repair` mends it",
    "mend": "mount",
}
Look = Callable[..., None]


@pytest.fixture
def minions(project: StackFiles, pulumi: FakePulumi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Look:
    """Have `ops drift` say something else than it would."""
    job(monkeypatch, tmp_path)

    def say(*findings: dict[str, Any], status: int = 0, err: str = "") -> None:
        told = json.dumps({"findings": findings}) if status < 2 else ""
        script = f"import sys; print({told!r}); print({err!r}, file=sys.stderr); sys.exit({status})"
        (pulumi.directory / "drift.py").write_text(script)
        monkeypatch.setattr(drifting, "DRIFT", (sys.executable, str(pulumi.directory / "drift.py")))

    return say


def refresh(name: str) -> str:
    return (RECORDED / f"{name}.json").read_text().replace("pulumi:dev::", "pulumi:prod::")


def test_no_drift(ci: Run, pulumi: FakePulumi, minions: Look, tmp_path: Path) -> None:
    minions()
    pulumi.says("refresh", refresh("drift-none"))

    assert ci("drift", "--stack", "prod", "--output", "out") == (0, "## No drift: stack `prod`\n", "")
    assert json.loads((tmp_path / "out" / "drift.json").read_text()) == {
        "stack": "prod",
        "drift": False,
        "markdown": "## No drift: stack `prod`",
    }
    assert pulumi.calls.startswith("refresh --preview-only --json --stack prod --non-interactive --color never\n"), (
        "a refresh that changes nothing"
    )


def test_drift_of_a_minion_is_told_by_its_name(ci: Run, pulumi: FakePulumi, minions: Look) -> None:
    of_all = {**FINDING, "minion": "", "what": "content"}
    minions(FINDING, of_all, {**of_all, "what": "cluster", "found": "password=hunter2"}, status=1)
    pulumi.says("refresh", refresh("drift-none"))

    status, out, _ = ci("drift", "--stack", "prod", "--output", "out")

    assert status == 1
    assert out == (
        "## 3 findings: stack `prod`\n\n### Minions and their nodes\n\n"
        "- `minion-2`: `mount`: found `` nothing `@team` ``, wanted `a mount of gluster-1:MyVolume`."
        " `` `python -m ops drift --repair` mends it ``\n"
        "- the site: `content`: found `` nothing `@team` ``, wanted `a mount of gluster-1:MyVolume`."
        " `` `python -m ops drift --repair` mends it ``\n"
        "- the cluster: `cluster`: found `password=[secret]`, wanted `a mount of gluster-1:MyVolume`."
        " `` `python -m ops drift --repair` mends it ``\n"
    )


def test_drift_in_the_cluster(ci: Run, pulumi: FakePulumi, minions: Look) -> None:
    minions()
    pulumi.says("refresh", refresh("drift"))

    status, out, _ = ci("drift", "--stack", "prod", "--output", "out")

    assert status == 1
    assert out.startswith(
        "## 2 findings: stack `prod`\n\n### In the cluster\n\n`-` is gone, `!` is another than the state says:\n\n"
        "```diff\n"
        "- delete ConfigMap php-ini\n"
    )
    assert out.endswith("\n! update Service web\n+     spec.externalIPs.0: 192.0.2.66\n```\n")


def test_what_could_not_be_looked_at_is_no_all_clear(ci: Run, pulumi: FakePulumi, minions: Look) -> None:
    minions(status=2, err="error: no private key for the minions")
    pulumi.says("refresh", err="error: get https://ci:hunter2@state: EOF\n", status=255)

    status, out, _ = ci("drift", "--stack", "prod", "--output", "out")

    assert status == 1
    assert out == (
        "## Not everything could be checked: stack `prod`\n\n"
        "### Minions and their nodes: could not check\n\n```\nerror: no private key for the minions\n```\n\n"
        "### In the cluster: could not check\n\n```\nerror: get https://[secret]@state: EOF\n```\n"
    )


def test_both_at_once_and_very_many(ci: Run, pulumi: FakePulumi, minions: Look) -> None:
    minions(*({**FINDING, "minion": f"minion-{number}"} for number in range(900)), status=1)
    pulumi.says("refresh", "no JSON")

    out = ci("drift", "--stack", "prod", "--output", "out")[1]

    assert out.startswith("## 900 findings, not everything could be checked: stack `prod`\n")
    assert len(out) <= 15_001
    assert "of 900 findings.*" in out
    assert "### In the cluster: could not check" in out
