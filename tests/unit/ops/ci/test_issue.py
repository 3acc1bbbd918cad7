"""One issue for all drift: opened, brought up to date, closed; and one result for all jobs of a preview."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.github import FakeGitHub
from tests.unit.ops.ci.conftest import Run

MARK = "<!-- glusterfarm drift -->"


def found(tmp_path: Path, stack: str, *, drift: bool) -> None:
    directory = tmp_path / "found" / f"drift-{stack}"
    directory.mkdir(parents=True, exist_ok=True)
    markdown = f"## {'1 finding' if drift else '0 findings'}: stack `{stack}`"
    (directory / "drift.json").write_text(json.dumps({"stack": stack, "drift": drift, "markdown": markdown}))


def test_an_issue_is_opened_updated_closed_and_opened_again(ci: Run, hub: FakeGitHub, tmp_path: Path) -> None:
    words = ("issue", "found", "--stacks", '["prod", "staging"]')
    hub.issue(f"not ours\n{MARK}", "mallory")
    hub.issue(f"a pull request\n{MARK}", pull_request={})
    found(tmp_path, "prod", drift=False)
    found(tmp_path, "staging", drift=False)

    assert ci(*words) == (0, "issue unchanged\n", "")
    found(tmp_path, "staging", drift=True)
    assert ci(*words) == (1, "issue created: https://github.example/i/3\n", "")
    assert hub.issues[2]["title"] == "Drift: the farm is not as its stacks say"
    assert hub.issues[2]["body"] == (
        "## 1 finding: stack `staging`\n\n## 0 findings: stack `prod`\n\n"
        f"Found by [this run](https://github.example/acme/farm/actions/runs/42).\n\n{MARK}"
    )
    found(tmp_path, "prod", drift=True)
    assert ci(*words) == (1, "issue updated: https://github.example/i/3\n", "")
    assert hub.issues[2]["body"].startswith("## 1 finding: stack `prod`\n\n## 1 finding: stack `staging`\n")
    found(tmp_path, "prod", drift=False)
    found(tmp_path, "staging", drift=False)
    assert ci(*words) == (0, "issue closed: https://github.example/i/3\n", "")
    assert hub.issues[2]["state"] == "closed"
    assert hub.issues[2]["body"].startswith("## 0 findings: stack `prod`")
    found(tmp_path, "prod", drift=True)
    assert ci(*words)[1] == "issue created: https://github.example/i/4\n"
    assert [it["body"] for it in hub.issues[:2]] == [f"not ours\n{MARK}", f"a pull request\n{MARK}"]


def test_a_stack_that_nobody_looked_at_is_not_well(ci: Run, hub: FakeGitHub, tmp_path: Path) -> None:
    hub.issue(f"old\n{MARK}")
    found(tmp_path, "prod", drift=False)

    assert ci("issue", "found", "--stacks", '["prod", "staging"]')[0] == 1
    assert hub.issues[0]["state"] == "open"
    assert "## Not checked: stack `staging`\n\nIts job failed; its log says why." in hub.issues[0]["body"]


@pytest.mark.parametrize("stacks", ["", "prod", '"prod"', '["../x"]', "[3]", "{}"])
def test_stacks_that_are_none(ci: Run, hub: FakeGitHub, stacks: str) -> None:
    status, out, err = ci("issue", "found", "--stacks", stacks)
    assert (status, out) == (2, "")
    assert "is not a JSON list of stacks" in err


@pytest.mark.parametrize("text", ["", "{}", '{"drift": "no", "markdown": "x"}', '{"drift": true}'])
def test_a_file_that_no_drift_wrote(ci: Run, hub: FakeGitHub, tmp_path: Path, text: str) -> None:
    found(tmp_path, "prod", drift=False)
    (tmp_path / "found" / "drift-prod" / "drift.json").write_text(text)
    status, out, err = ci("issue", "found", "--stacks", '["prod"]')
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "drift.json" in err
    assert hub.asked == []


@pytest.mark.parametrize(
    ("results", "status", "told"),
    [
        ({"stacks": "success", "preview": "success", "comment": "success"}, 0, "passed\n"),
        ({"stacks": "success", "preview": "skipped", "comment": "skipped"}, 0, "passed\n"),
        ({"stacks": "success", "preview": "success", "comment": "failure"}, 1, "comment failure\n"),
        (
            {"stacks": "success", "preview": "failure", "comment": "cancelled"},
            1,
            "preview failure\ncomment cancelled\n",
        ),
        ({"stacks": "failure", "preview": "skipped", "comment": "skipped"}, 1, "stacks failure\n"),
        (
            {"stacks": "skipped", "preview": "skipped", "comment": "skipped"},
            1,
            "a preview was not made: a pull request from a fork does not get credentials; if you trust it, push the"
            " branch to this repository\n",
        ),
    ],
)
def test_one_result_for_all_jobs(
    ci: Run, monkeypatch: pytest.MonkeyPatch, results: dict[str, str], status: int, told: str
) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    needs = {name: {"result": result, "outputs": {}} for name, result in results.items()}
    assert ci("verdict", json.dumps(needs)) == (status, told, "")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"stacks": {}}', '{"stacks": 3}'])
def test_results_that_are_none(ci: Run, text: str) -> None:
    assert ci("verdict", text) == (2, "", "error: the jobs' results are not what `toJSON(needs)` gives\n")
