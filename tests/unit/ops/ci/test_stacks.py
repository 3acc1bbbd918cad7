"""Which stacks a change touches."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.repository import git
from tests.support.stack import StackFiles
from tests.unit.ops.ci.conftest import Run, job

LAB = "note: dev is left out: its machines are the lab's\n"


def change(directory: Path, *paths: str) -> None:
    for path in paths:
        file = directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{file.read_text() if file.exists() else ''}# changed\n")
    git(directory, "add", "-A")
    git(directory, "commit", "-q", "-m", "change")


@pytest.mark.parametrize(
    ("paths", "stacks"),
    [
        (("inventory/prod.yaml",), ["prod"]),
        (("Pulumi.staging.yaml",), ["staging"]),
        (("content/index.php",), ["prod"]),
        (("content/README.md",), ["prod"]),
        (("site-of-staging/index.html",), ["staging"]),
        (("inventory/prod.yaml", "Pulumi.staging.yaml"), ["prod", "staging"]),
        (("settings.py",), ["prod", "staging"]),
        (("components/scripts/gluster_mount.sh",), ["prod", "staging"]),
        (("requirements.txt",), ["prod", "staging"]),
        (("Pulumi.yaml",), ["prod", "staging"]),
        (("something-new/file",), ["prod", "staging"]),
        (("contents",), ["prod", "staging"]),
        (("docs/a.md", "tests/x.py", "README.md", "ops/ci/x.py", "lab/x", ".github/workflows/x.yml"), []),
        (("Pulumi.dev.yaml",), []),
        (("inventory/nobodys.yaml",), []),
        (("docs/é ☃.md", "inventory/\n"), []),
    ],
)
def test_what_a_change_touches(
    ci: Run, project: StackFiles, tmp_path: Path, paths: tuple[str, ...], stacks: list[str]
) -> None:
    change(tmp_path, *paths)
    assert ci("stacks", "--base", "HEAD~1") == (0, f"{json.dumps(stacks)}\n", LAB)


def test_what_main_did_meanwhile_is_no_change_of_the_branch(ci: Run, project: StackFiles, tmp_path: Path) -> None:
    git(tmp_path, "checkout", "-q", "-b", "branch")
    change(tmp_path, "inventory/prod.yaml")
    git(tmp_path, "checkout", "-q", "-")
    change(tmp_path, "settings.py")
    git(tmp_path, "branch", "base")
    git(tmp_path, "checkout", "-q", "branch")

    assert ci("stacks", "--base", "base")[1] == '["prod"]\n'


def test_a_file_that_moves_is_changed_at_both_places(ci: Run, project: StackFiles, tmp_path: Path) -> None:
    git(tmp_path, "mv", "content/assets/site.css", "site-of-staging/site.css")
    change(tmp_path)
    assert ci("stacks", "--base", "HEAD~1")[1] == '["prod", "staging"]\n'


def test_a_stack_that_cannot_be_read_is_touched_by_everything(ci: Run, project: StackFiles, tmp_path: Path) -> None:
    project.write("Pulumi.prod.yaml", "config: [\n")
    git(tmp_path, "commit", "-qam", "broken")
    change(tmp_path, "docs/a.md")
    assert ci("stacks", "--base", "HEAD~1")[1] == '["prod"]\n'


def test_a_stack_that_goes_is_not_there_to_preview(ci: Run, project: StackFiles, tmp_path: Path) -> None:
    git(tmp_path, "rm", "-q", "Pulumi.prod.yaml", "inventory/prod.yaml")
    change(tmp_path)
    assert ci("stacks", "--base", "HEAD~1")[1] == "[]\n"


def test_a_new_stack(ci: Run, project: StackFiles, tmp_path: Path) -> None:
    (tmp_path / "Pulumi.qa.yaml").write_text((tmp_path / "Pulumi.prod.yaml").read_text())
    change(tmp_path, "docs/a.md")
    assert ci("stacks", "--base", "HEAD~1")[1] == '["qa"]\n'


def test_the_base_is_the_events_and_the_next_job_is_told(
    ci: Run, project: StackFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job(monkeypatch, tmp_path)
    base = git(tmp_path, "rev-parse", "HEAD")
    change(tmp_path, "inventory/prod.yaml")
    event = json.loads((tmp_path / "event.json").read_text())
    event["pull_request"]["base"]["sha"] = base
    (tmp_path / "event.json").write_text(json.dumps(event))

    assert ci("stacks")[:2] == (0, '["prod"]\n')
    assert (tmp_path / "output").read_text() == 'stacks=["prod"]\n'
    assert ci("stacks", "--all")[:2] == (0, '["prod", "staging"]\n')
    assert (tmp_path / "output").read_text() == 'stacks=["prod"]\nstacks=["prod", "staging"]\n'


def test_what_cannot_be_told(ci: Run, project: StackFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for base in ("nowhere", "--output=x"):
        status, out, err = ci("stacks", f"--base={base}")
        assert (status, out) == (2, "")
        assert err.startswith(f"error: --base {base!r} cannot be compared with HEAD; fetch it (a shallow checkout")
    monkeypatch.delenv("GITHUB_EVENT_PATH", raising=False)
    assert ci("stacks")[2] == (
        "error: GITHUB_EVENT_PATH is not set; outside of GitHub Actions name the commit to compare"
        " with, as --base origin/main, or use --all\n"
    )
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(tmp_path / "event.json"))
    (tmp_path / "event.json").write_text('{"ref": "refs/heads/main"}')
    assert "is not about a pull request; in such a workflow name the commit" in ci("stacks")[2]
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert "this directory has no Pulumi.STACK.yaml" in ci("stacks", "--all")[2]
