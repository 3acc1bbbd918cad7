"""The workflows do nothing but what is a command of this repository, with no more rights than it takes."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops import ci
from ops.ci import reporting

CHECKOUT = Path(__file__).parents[4]
WORKFLOWS = sorted((CHECKOUT / ".github" / "workflows").glob("*.yml"))
PREPARE = CHECKOUT / ".github" / "actions" / "prepare" / "action.yml"
MAY_WRITE = {
    ("preview", "preview"): {"id-token"},
    ("preview", "comment"): {"pull-requests"},
    ("preview", "outdated"): {"pull-requests"},
    ("deploy", "staging"): {"id-token"},
    ("deploy", "prod"): {"id-token"},
    ("drift", "look"): {"id-token"},
    ("drift", "issue"): {"issues"},
}


def read(path: Path) -> dict[str, Any]:
    found = yaml.safe_load(path.read_text())
    # YAML 1.1 takes `on` for true.
    return {("on" if key is True else key): value for key, value in found.items()}


def jobs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path in WORKFLOWS:
        for name, job in read(path)["jobs"].items():
            yield path.stem, name, job


JOBS = list(jobs())
STEPS = [(f"{workflow}.{name}", step) for workflow, name, job in JOBS for step in job["steps"]]
STEPS += [("prepare", step) for step in read(PREPARE)["runs"]["steps"]]


def test_there_are_the_four() -> None:
    assert [path.stem for path in WORKFLOWS] == ["deploy", "drift", "preview", "test"]


def test_every_action_is_pinned_to_a_commit_and_says_which_version_that_is() -> None:
    told = []
    for path in (*WORKFLOWS, PREPARE):
        for line in path.read_text().splitlines():
            if match := re.search(r"uses: (\S+)(.*)", line):
                told.append(match[1])
                assert match[1] == "./.github/actions/prepare" or re.fullmatch(
                    r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", match[1] + match[2]
                ), line
    assert len(told) > 10
    versions: dict[str, set[str]] = {}
    for it in told:
        versions.setdefault(it.partition("@")[0], set()).add(it)
    assert all(len(it) == 1 for it in versions.values()), "one action, two versions"


@pytest.mark.parametrize(("where", "step"), [it for it in STEPS if "run" in it[1]])
def test_every_step_is_one_command_of_this_repository(where: str, step: dict[str, Any]) -> None:
    (line,) = step["run"].splitlines()
    assert "${{" not in line, "what others write gets into a shell"
    program, *words = shlex.split(line)
    if program == "make":
        assert re.search(rf"^{words[0]}:", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)
        return
    assert program in {".venv/bin/python", "python3"}
    assert words[:3] == ["-m", "ops", "ci"]
    parser = argparse.ArgumentParser(exit_on_error=False)
    ci.options(parser)
    given = {"$STACK": "prod", "$STACKS": '["prod"]', "$NEEDS": "{}"}
    assert {it for it in words if it.startswith("$")} <= given.keys()
    parser.parse_args([given.get(it, it) for it in words[3:]])


def test_a_job_without_packages_runs_only_what_needs_none() -> None:
    for _, step in STEPS:
        if step.get("run", "").startswith("python3"):
            action = step["run"].split()[4]
            assert getattr(reporting, action), "what is in that module imports nothing but what Python brings"
    bare = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        f"import sys; sys.path.insert(0, {str(CHECKOUT)!r}); import ops.ci.reporting",
    ]
    assert subprocess.run(bare, capture_output=True, text=True, timeout=60, check=False).stderr == ""


@pytest.mark.parametrize(("workflow", "name", "job"), JOBS)
def test_no_job_may_do_more_than_it_needs(workflow: str, name: str, job: dict[str, Any]) -> None:
    may = {it for it, right in job["permissions"].items() if right == "write"}
    assert may == MAY_WRITE.get((workflow, name), set())
    assert set(job["permissions"]) - may == {"contents"}
    assert job["timeout-minutes"]
    text = json.dumps(job)
    assert not re.search(r"secrets\.", text) or "environment" in job, "a secret is an environment's"
    assert not (may & {"issues", "pull-requests"} and re.search(r"secrets\.|prepare", text)), "who writes runs no code"
    checkouts = [step for step in job["steps"] if "checkout" in step.get("uses", "")]
    assert [step["with"]["persist-credentials"] for step in checkouts] == [False]
    if workflow == "preview" and "python3" in text:
        assert checkouts[0]["with"]["ref"] == "${{ github.event.pull_request.base.sha }}"


def test_nobody_has_a_right_by_default() -> None:
    for path in WORKFLOWS:
        assert read(path)["permissions"] == {}
        assert "pull_request_target" not in path.read_text()
        assert "workflow_run" not in path.read_text()


def test_strangers_code_runs_on_no_machine_of_ones_own_and_has_no_secret() -> None:
    for workflow, name, job in JOBS:
        if workflow in {"preview", "test"} and ("environment" in job or "self-hosted" in job["runs-on"]):
            own = "github.event.pull_request.head.repo.full_name == github.repository"
            needs = read(CHECKOUT / ".github" / "workflows" / f"{workflow}.yml")["jobs"]
            gate = job if own in job.get("if", "") else needs[job["needs"]]
            assert own in gate["if"], name


def test_a_superseded_preview_is_cancelled_and_a_deployment_never_is() -> None:
    preview = read(CHECKOUT / ".github" / "workflows" / "preview.yml")
    assert preview["concurrency"] == {
        "group": "preview-${{ github.event.pull_request.number }}",
        "cancel-in-progress": True,
    }
    deploy = read(CHECKOUT / ".github" / "workflows" / "deploy.yml")
    assert "concurrency" not in deploy, "of the whole run: one that waits for an approval would keep all others away"
    for name, job in deploy["jobs"].items():
        assert job["concurrency"] == {"group": f"deploy-{name}", "cancel-in-progress": False}
        assert job["environment"] == name


def test_stacks_are_deployed_one_after_the_other() -> None:
    deployed = read(CHECKOUT / ".github" / "workflows" / "deploy.yml")["jobs"]
    assert list(deployed) == ["dev", "staging", "prod"]
    assert {f"Pulumi.{it}.yaml" for it in deployed} == {it.name for it in CHECKOUT.glob("Pulumi.*.yaml")}
    assert (deployed["staging"]["needs"], deployed["prod"]["needs"]) == ("dev", "staging")
    for name in ("staging", "prod"):
        assert f"ops ci deploy --stack {name}" in json.dumps(deployed[name])


def test_the_cli_is_the_one_that_the_program_is_locked_to() -> None:
    (pulumi,) = (step for step in read(PREPARE)["runs"]["steps"] if step.get("uses", "").startswith("pulumi/actions"))
    assert f"pulumi=={pulumi['with']['pulumi-version']}\n" in (CHECKOUT / "requirements" / "runtime.in").read_text()
    go = (CHECKOUT / "lab" / "toolchain" / "pulumi" / "go.mod").read_text()
    assert f"pkg/v3 v{pulumi['with']['pulumi-version']}" in go


def test_every_variable_and_secret_is_told_of() -> None:
    told = (CHECKOUT / "docs" / "pull-requests.md").read_text()
    named = {it for path in WORKFLOWS for it in re.findall(r"(?:vars|secrets)\.(\w+)", path.read_text())}
    assert named
    assert {it for it in named if f"`{it}`" not in told} == set()
