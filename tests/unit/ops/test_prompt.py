"""What changes a site or a minion asks before it acts: on a terminal, by --yes, or not at all."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest

from tests.support.ops import said_by
from tests.support.site import ONE, TWO
from tests.support.stack import StackFiles
from tests.support.trees import write_tree
from tests.unit.ops.conftest import SiteStack


class Terminal(io.StringIO):
    """A terminal on which somebody has typed."""

    def isatty(self) -> bool:
        return True


def typed(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    """Have the next command run on a terminal, where somebody answers."""
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)


def run(site_stack: SiteStack, *words: str) -> tuple[int, str, str]:
    return said_by(site_stack.output, *words)


@pytest.mark.parametrize("words", [["rollback"], ["adopt"], ["drift", "--repair"]])
def test_without_a_terminal_nothing_is_asked_and_nothing_is_done(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert said_by(capsys, *words) == (
        2,
        "",
        f"error: `{' '.join(words)}` asks before it acts, and stdin and stderr are not a terminal; run it with --yes,"
        " or with --dry-run to see what it would do\n",
    )


@pytest.mark.parametrize("word", ["--yes", "--dry-run"])
def test_what_changes_nothing_has_nothing_to_agree_to(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = said_by(capsys, "drift", word)
    assert (status, out) == (2, "")
    assert err == f"error: {word} is for `drift --repair`; without it nothing is changed\n"


@pytest.mark.parametrize("verb", ["rollback", "adopt", "drift"])
def test_yes_and_dry_run_exclude_each_other(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = said_by(capsys, verb, "--yes", "--dry-run")
    assert status == 2
    assert "argument --dry-run: not allowed with argument --yes" in err


def test_a_rollback_asks_and_does_what_was_agreed_to(site_stack: SiteStack, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = site_stack.up(ONE), site_stack.up(TWO)
    place = f"stack dev, {site_stack.site.path} on volume MyVolume"
    plan = f"release {one}, in slot a, would be live instead of {two}: {place}"

    status, out, err = run(site_stack, "rollback", "--dry-run")
    assert (status, out) == (0, f"{plan}\n")
    told = json.loads(run(site_stack, "rollback", "--dry-run", "--json")[1])
    assert told == {"dryRun": True, "stack": "dev", "release": one, "slot": "a", "replaced": two, "stackRelease": two}
    status, _, err = run(site_stack, "rollback", "--dry-run", "--to", two)
    assert (status, "is live already" in err) == (2, True)

    for answer in ("no\n", ""):
        typed(monkeypatch, answer)
        status, out, err = run(site_stack, "rollback")
        assert (status, out) == (1, "")
        assert f"{plan}\nMake release {one} live? [y/N] nothing was changed\n" in err
    assert site_stack.site.live() == TWO
    assert [record.kind for record in site_stack.site.log()] == ["published", "published"]

    typed(monkeypatch, "yes\n")
    status, out, _ = run(site_stack, "rollback")
    assert status == 0
    assert out.startswith(f"release {one} is live in slot a instead of {two}")
    assert site_stack.site.live() == ONE


def test_an_adoption_asks(site_stack: SiteStack, monkeypatch: pytest.MonkeyPatch) -> None:
    html = site_stack.site.path / "html"
    html.parent.mkdir()
    write_tree(html, ONE)
    subprocess.run(["chmod", "-R", "u=rwX,go=rX", html], check=True)
    (html / "gone").symlink_to("nowhere")
    plan = (
        f"{html}, 3 files, 5 bytes, would move into a slot and be the live release; for some milliseconds new requests"
        " would not find it\nof the next releases: gone is a link to what is not there, which no publish takes\n"
    )
    assert run(site_stack, "adopt", "--dry-run")[:2] == (0, plan)
    told = json.loads(run(site_stack, "adopt", "--dry-run", "--json")[1])
    assert (told["dryRun"], told["path"], told["files"], len(told["notKept"])) == (True, str(html), 3, 1)

    typed(monkeypatch, "n\n")
    status, out, err = run(site_stack, "adopt")
    assert (status, out) == (1, "")
    assert f"{plan}Adopt it? [y/N] nothing was changed\n" in err
    assert not html.is_symlink()

    typed(monkeypatch, "y\n")
    status, out, _ = run(site_stack, "adopt")
    assert (status, html.is_symlink()) == (0, True)
    assert " is adopted: release " in out
    assert run(site_stack, "adopt", "--dry-run")[0] == 1, "there is nothing to adopt any more"


def test_a_repair_shows_what_it_would_do_and_asks(site_stack: SiteStack, monkeypatch: pytest.MonkeyPatch) -> None:
    one = site_stack.up(ONE)
    site_stack.publishes_again()
    (site_stack.site.path / "html").unlink()
    finding = f"site: release: found nothing live at {site_stack.site.path}, wanted {one}"
    would = "site: `pulumi up` would publish again"

    status, out, _ = run(site_stack, "drift", "--repair", "--dry-run")
    first, *rest = out.splitlines()
    assert (status, first) == (1, f"dry run: {would}")
    assert any(line.startswith(finding) for line in rest)
    told = json.loads(run(site_stack, "drift", "--repair", "--dry-run", "--json")[1])
    assert (told["dryRun"], told["planned"], told["repairs"]) == (True, [would], [])

    typed(monkeypatch, "\n")
    status, out, err = run(site_stack, "drift", "--repair")
    assert status == 1
    assert f"{would}\nRepair this? [y/N] nothing was changed\n" in err
    assert finding in err
    assert finding in out
    assert not (site_stack.site.path / "html").exists()

    typed(monkeypatch, "y\n")
    status, out, err = run(site_stack, "drift", "--repair")
    assert (status, site_stack.site.live()) == (0, ONE), err
    assert "site: content repaired: published again" in out


STACK_COMMANDS = [
    *(["drift"], ["rollback"], ["adopt"], ["releases"], ["preview"], ["inventory", "scan"]),
    *(["ci", "preview", "--output", "x"], ["ci", "drift", "--output", "x"], ["ci", "deploy"]),
]


@pytest.mark.parametrize("words", STACK_COMMANDS, ids=" ".join)
def test_a_stack_that_is_empty_or_a_file_is_refused(
    stack: StackFiles, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    """`--stack "$STACK"` with an unset variable must not choose the selected stack."""
    for name in ("dev", "prod"):
        stack.write(f"Pulumi.{name}.yaml", "config: {}\n")
    for empty in ("", " "):
        status, out, err = said_by(capsys, *words, "--stack", empty)
        assert (status, out) == (2, "")
        assert err.splitlines()[-1].endswith(
            "argument --stack: is empty; is a variable not set? Name a stack; there are dev, prod"
        )
    status, _, err = said_by(capsys, *words, "--stack", "Pulumi.prod.yaml")
    assert status == 2
    assert err.splitlines()[-1].endswith("argument --stack: 'Pulumi.prod.yaml' is a file; name the stack: prod")


@pytest.mark.parametrize(
    "words",
    [
        *(
            ["ci", "stacks", "--base", ""],
            ["preview", "--base", ""],
            ["preview", "--against", ""],
            ["config", "check", ""],
        ),
        ["ci", "drift", "--stack", "dev", "--output", ""],
    ],
    ids=" ".join,
)
def test_other_arguments_of_unset_variables_are_refused_too(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = said_by(capsys, *words)
    assert (status, out) == (2, "")
    assert err.splitlines()[-1].endswith(": is empty; is a variable not set?")


@pytest.mark.parametrize(
    ("complaint", "said"),
    [
        (
            "error: no stack selected; please use `pulumi stack select` or `pulumi stack init` to choose one",
            "error: no stack is selected; name one with --stack; there are dev, prod\n",
        ),
        (
            "error: no stack named 'pord' found",
            "error: stack pord is not in the state's backend; there are dev, prod. Correct --stack, or log in to"
            " the backend that has it (`pulumi login`); `pulumi stack init pord` makes a new one\n",
        ),
    ],
)
def test_a_stack_that_pulumi_does_not_find_is_told_with_those_that_are_here(
    stack: StackFiles,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    complaint: str,
    said: str,
) -> None:
    for name in ("dev", "prod"):
        stack.write(f"Pulumi.{name}.yaml", "config: {}\n")
    stack.write("bin/pulumi", f"#!/bin/sh\ncat >&2 <<'EOF'\n{complaint}\nEOF\nexit 255\n")
    (stack.directory / "bin" / "pulumi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{stack.directory}/bin:/usr/bin:/bin")
    # The preview of a stack that is named but unknown is a comment, which a reviewer reads.
    previews = [["preview"]] if "selected" in said else []
    for words in (["releases"], ["rollback", "--yes"], ["adopt", "--dry-run"], *previews):
        assert said_by(capsys, *words) == (2, "", said)
