"""One comment for each stack, found again and brought up to date; and how GitHub's own troubles are borne."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.github import TOKEN, FakeGitHub
from tests.unit.ops.ci.conftest import Run

TEXT = "## 3 changes: stack `prod`\n\n<!-- glusterfarm preview of prod -->\n"
LIST, POST = "GET /issues/7/comments", "POST /issues/7/comments"


@pytest.fixture(autouse=True)
def comment(tmp_path: Path) -> None:
    (tmp_path / "comment.md").write_text(TEXT)


def test_the_first_one_is_made_and_the_next_ones_bring_it_up_to_date(ci: Run, hub: FakeGitHub, tmp_path: Path) -> None:
    hub.comment("LGTM", "alice")
    hub.comment("## No change\n\n<!-- glusterfarm preview of staging -->")

    assert ci("comment", "comment.md") == (0, "comment created: https://github.example/c/3\n", "")
    (tmp_path / "comment.md").write_text(TEXT.replace("3 changes", "No change"))
    # GitHub gives line ends back as a browser sends them.
    hub.comments[2]["body"] = hub.comments[2]["body"].replace("\n", "\r\n")
    assert ci("comment", "comment.md") == (0, "comment updated: https://github.example/c/3\n", "")
    assert ci("comment", "comment.md") == (0, "comment unchanged: https://github.example/c/3\n", "")

    assert [it["body"].partition("\n")[0] for it in hub.comments] == [
        "LGTM",
        "## No change",
        "## No change: stack `prod`",
    ]
    assert hub.asked == [LIST, POST, LIST, "PATCH /issues/comments/3", LIST]


def test_what_others_write_is_never_edited(ci: Run, hub: FakeGitHub) -> None:
    """Anybody can write the mark, to have their text replaced or ours quoted."""
    hub.comment(TEXT, "mallory")
    hub.comment(f"{TEXT}\nand more", "github-actions[bot]")
    hub.comments.append({"id": 3, "body": TEXT, "user": None})

    assert ci("comment", "comment.md")[1].startswith("comment created")
    assert [it["body"] for it in hub.comments[:3]] == [TEXT, f"{TEXT}\nand more", TEXT]
    assert ci("comment", "comment.md", "--author", "mallory")[1].startswith("comment unchanged")


def test_a_comment_on_a_stack_that_is_not_touched_any_more_says_so(ci: Run, hub: FakeGitHub) -> None:
    hub.comment(TEXT)
    hub.comment(TEXT.replace("prod", "staging"))
    hub.comment(TEXT.replace("prod", "staging"), "mallory")
    hub.comment("## 1 finding\n\n<!-- glusterfarm drift -->")

    assert ci("outdated", "--stacks", '["prod"]') == (0, "outdated: staging\n", "")
    assert ci("outdated", "--stacks", '["prod"]') == (0, "no comment is outdated\n", "")
    assert hub.comments[0]["body"] == TEXT
    assert hub.comments[1]["body"] == (
        "## Not touched any more: stack `staging`\n\nWhat was here was of an earlier state of this pull request.\n\n"
        "<!-- glusterfarm preview of staging -->"
    )
    assert hub.comments[2]["body"].startswith("## 3 changes")
    assert ci("outdated", "--stacks", "[]") == (0, "outdated: prod\n", "")
    assert ci("comment", "comment.md")[1].startswith("comment updated: https://github.example/c/1")
    assert "is not a JSON list of stacks" in ci("outdated", "--stacks", "prod")[2]


def test_it_is_found_on_a_later_page(ci: Run, hub: FakeGitHub) -> None:
    for number in range(250):
        hub.comment(f"comment {number}", "alice")
    hub.comment(TEXT.replace("3", "9"))

    assert ci("comment", "comment.md")[1] == "comment updated: https://github.example/c/251\n"
    assert hub.asked == [LIST, LIST, LIST, "PATCH /issues/comments/251"]


def test_the_number_may_be_given(ci: Run, hub: FakeGitHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_EVENT_PATH")
    status, _, err = ci("comment", "comment.md")
    assert (status, err) == (
        2,
        "error: GITHUB_EVENT_PATH is not set; outside of GitHub Actions name the pull request with --number N\n",
    )
    assert ci("comment", "comment.md", "--number", "7")[0] == 0
    assert "must be the number of a pull request, not '-1'" in ci("comment", "comment.md", "--number=-1")[2]


def test_a_server_that_is_away_for_a_moment(ci: Run, hub: FakeGitHub, pauses: list[float]) -> None:
    hub.failures = [(502, {}, "<html>"), (429, {"Retry-After": "7"}, "{}"), (403, {"Retry-After": "900"}, "{}")]

    assert ci("comment", "comment.md")[1].startswith("comment created")
    assert hub.asked == [*[LIST] * 4, POST]
    assert pauses == [1.0, 7.0, 60.0], "as long as it asks for, but a minute at the most"


def test_a_server_that_stays_away(ci: Run, hub: FakeGitHub, pauses: list[float]) -> None:
    hub.failures = [(503, {}, '{"message": "down\\u001b[2J"}')] * 9

    status, out, err = ci("comment", "comment.md")

    assert (status, out) == (2, "")
    assert err == "error: comment.md: GitHub: GET /issues/7/comments?per_page=100&page=1: 503: down?[2J\n"
    assert len(hub.asked) == len(pauses) + 1 == 4


def test_a_comment_is_not_sent_twice(ci: Run, hub: FakeGitHub, pauses: list[float]) -> None:
    """A server that failed may have taken it; one that says that it is asked too often has not."""
    hub.labels = []
    original = hub.answer

    def answer(method: str, *rest: object) -> tuple[int, object]:
        return (502, {}) if method == "POST" else original(method, *rest)  # type: ignore[arg-type]

    hub.answer = answer  # type: ignore[method-assign,assignment]
    assert ci("comment", "comment.md")[0] == 2
    assert hub.asked == [LIST, POST]
    assert pauses == []


@pytest.mark.parametrize(
    ("status", "headers", "told"),
    [
        (403, {}, "403: no; the job's `permissions` do not allow it"),
        (404, {}, "404: no; it does not exist, or the job's `permissions` do not show it"),
        (401, {}, "401: no; the token is no longer good"),
        (422, {}, "422: no\n"),
    ],
)
def test_what_it_refuses(ci: Run, hub: FakeGitHub, status: int, headers: dict[str, str], told: str) -> None:
    hub.failures = [(status, headers, '{"message": "no"}')]

    found, out, err = ci("comment", "comment.md")

    assert (found, out, err.count("\n")) == (2, "", 1)
    assert told in err
    assert TOKEN not in err


def test_the_token_does_not_follow_a_redirect(ci: Run, hub: FakeGitHub) -> None:
    hub.failures = [(301, {"Location": f"{hub.url}/elsewhere"}, "{}")]

    assert "301; the repository has moved: name it as it is now" in ci("comment", "comment.md")[2]
    assert hub.asked == [LIST]


def test_no_server_at_all(ci: Run, hub: FakeGitHub, pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_API_URL", "http://127.0.0.1:9")
    assert "no answer: [Errno 111] Connection refused" in ci("comment", "comment.md")[2]


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("GITHUB_TOKEN", "", "GITHUB_TOKEN holds no token; give the step"),
        ("GITHUB_TOKEN", "a\nb", "GITHUB_TOKEN holds no token"),
        ("GITHUB_REPOSITORY", "farm", "'farm' is not a repository; it must be OWNER/NAME"),
        ("GITHUB_REPOSITORY", "acme/farm/../x", "is not a repository"),
        ("GITHUB_API_URL", "file:///etc/passwd", "is not the address of a web server"),
        ("GITHUB_EVENT_PATH", "/nowhere", "'/nowhere' holds no event in JSON"),
    ],
)
def test_a_wrong_environment(  # noqa: PLR0917 (three fixtures)
    ci: Run, hub: FakeGitHub, monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(name, value)
    status, out, err = ci("comment", "comment.md")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert told in err
    assert hub.asked == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("no mark\n", "its last line is not a mark"),
        ("", "its last line is not a mark"),
        (f"{'x' * 65536}\n<!-- glusterfarm preview of prod -->\n", "GitHub takes 65,536"),
        (None, "'comment.md' cannot be read: No such file or directory"),
    ],
)
def test_a_wrong_file(ci: Run, hub: FakeGitHub, tmp_path: Path, text: str | None, told: str) -> None:
    if text is None:
        (tmp_path / "comment.md").unlink()
    else:
        (tmp_path / "comment.md").write_text(text)
    status, out, err = ci("comment", "comment.md")
    assert (status, out) == (2, "")
    assert told in err
    assert hub.asked == []


def facts(tmp_path: Path, *subjects: str, verdict: str = "destructive") -> str:
    told = {"stack": "prod", "verdict": verdict, "destructive": [{"subject": it} for it in subjects]}
    (tmp_path / "facts.json").write_text(json.dumps(told))
    return "facts.json"


def test_the_gate_asks_for_the_labels_as_they_are_now(
    ci: Run, hub: FakeGitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shut = "the gate is shut: the preview would delete or replace: mount, service; label the pull request"
    file = facts(tmp_path, "mount", "service", "mount")

    assert ci("gate", file) == (1, f"{shut} 'allow-destructive'\n", "")
    hub.labels = ["docs", "allow-destructive"]
    lifted = "the gate is lifted by the label 'allow-destructive': the preview would delete or replace: mount, service"
    assert ci("gate", file) == (0, f"{lifted}\n", "")
    assert ci("gate", file, "--allow-label", "100%")[1] == f"{shut} '100%'\n"
    monkeypatch.setenv("GLUSTERFARM_DESTRUCTIVE_LABEL", "docs")
    assert ci("gate", file)[0] == 0
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert ci("gate", file, "--allow-label", "100%") == (1, f"::error::{shut} '100%25'\n", "")
    assert hub.asked == ["GET /issues/7/labels"] * 5


def test_a_gate_that_needs_no_label(ci: Run, hub: FakeGitHub, tmp_path: Path) -> None:
    assert ci("gate", facts(tmp_path, verdict="changes")) == (0, "the gate is open: stack 'prod' loses nothing\n", "")
    hub.labels = ["allow-destructive"]
    status, out, _ = ci("gate", facts(tmp_path, verdict="failed"))
    assert (status, out) == (
        1,
        "the gate is shut: the preview of stack 'prod' failed, so nobody knows what would end\n",
    )
    assert hub.asked == []


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"stack": "x", "verdict": "fine", "destructive": []}', "[" * 9999])
def test_a_gate_of_no_preview_does_not_open(ci: Run, hub: FakeGitHub, tmp_path: Path, text: str) -> None:
    (tmp_path / "facts.json").write_text(text)
    status, out, err = ci("gate", "facts.json")
    assert (status, out) == (2, "")
    assert "facts.json" in err
    assert err.count("\n") == 1
