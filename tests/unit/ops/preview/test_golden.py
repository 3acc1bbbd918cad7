"""Every comment as it is kept in golden/, and that the collection is what a reviewer may meet."""

from __future__ import annotations

import difflib
import itertools
import re

import pytest

from ops.preview.comment import LIMIT
from tests.unit.ops.preview.cases import CASES, GOLDEN, made

VERDICTS = {
    "nothing": "## No change: stack `dev`",
    "content": "## 4 changes: stack `dev`",
    "content-without-base": "## 4 changes: stack `dev`",
    "minion-added": "## 7 changes: stack `dev`",
    "minion-removed": "## DESTRUCTIVE: stack `dev`, 7 changes",
    "minion-renamed": "## DESTRUCTIVE: stack `dev`, 11 changes",
    "minion-moved": "## DESTRUCTIVE: stack `dev`, 10 changes",
    "image": "## 3 changes: stack `dev`",
    "scaled": "## 3 changes: stack `dev`",
    "volume": "## DESTRUCTIVE: stack `dev`, 10 changes",
    "mount-path": "## DESTRUCTIVE: stack `dev`, 10 changes",
    "service": "## 2 changes: stack `dev`",
    "service-replaced": "## DESTRUCTIVE: stack `dev`, 2 changes",
    "namespace": "## DESTRUCTIVE: stack `dev`, 11 changes",
    "secret": "## 9 changes: stack `dev`",
    "plain-secrets": "## 3 changes: stack `dev`",
    "hostile": "## 4 changes: stack `dev`",
    "large": "## 4 changes: stack `dev`",
    "large-changed": "## 4 changes: stack `dev`",
    "large-changed-without-base": "## 4 changes: stack `dev`",
    "huge": "## DESTRUCTIVE: stack `dev`, 1,210 changes",
    "first": "## 28 changes: stack `dev`",
    "deleted": "## DESTRUCTIVE: stack `dev`, 28 changes",
    "failing": "## FAILED: the preview of stack `dev`",
    "unreachable": "## FAILED: the preview of stack `dev`",
}


def test_every_case_has_its_golden_and_its_verdict() -> None:
    assert {path.stem for path in GOLDEN.glob("*.md")} == set(CASES) == set(VERDICTS)


@pytest.mark.parametrize("name", CASES)
def test_the_comment(name: str) -> None:
    kept, now = (GOLDEN / f"{name}.md").read_text(), made(name)

    difference = "".join(difflib.unified_diff(kept.splitlines(True), now.splitlines(True), "kept", "now"))
    assert not difference, f"renew with `python -m tests.unit.ops.preview.cases`, and look:\n{difference}"
    assert now.splitlines()[0] == VERDICTS[name]
    assert now.endswith("<!-- glusterfarm preview of dev -->\n")
    assert len(now) <= (6000 if name in {"huge", "large"} else LIMIT)


def test_no_secret_is_in_any() -> None:
    for name in ("secret", "plain-secrets"):
        text = (GOLDEN / f"{name}.md").read_text()
        assert "hunter2" not in text
        assert "PRIVATE KEY-----" not in text
        assert "secret]" in text


def test_no_sentence_is_broken_over_lines() -> None:
    """In a comment, unlike in a file, GitHub makes a line break of every line end."""
    for name in CASES:
        outside = re.sub(
            r"^(`{3,}|~{3,}).*?^\1$", "", (GOLDEN / f"{name}.md").read_text(), flags=re.DOTALL | re.MULTILINE
        )
        lines = outside.splitlines()
        for line, following in itertools.pairwise(lines):
            assert not line or not following or following.startswith(("- ", "<", "```", "~~~")), f"{name}: {line}"
