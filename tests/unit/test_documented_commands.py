"""Every command of ours that README and docs name is one that exists, with the options that they give it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

import lab.__main__
import ops.__main__

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("**/*.md"))]
#: Placeholders of a page where the command wants a word from a list.
WORDS = {"KIND": "reboot"}


def commands(text: str) -> Iterator[str]:
    """The command lines of ours in a page, of its code blocks and between the backquotes of its sentences."""
    block = False
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            block = not block
        elif block or line.startswith("    "):
            yield from _ours(line)
        else:
            for span in re.findall("`([^`]+)`", line):
                yield from _ours(span)


def _ours(line: str) -> Iterator[str]:
    if found := re.match(r"\s*(?:\$ )?((?:\.venv/bin/)?python -m (?:ops|lab)|make)((?: +[^\s|;&]+)*)", line):
        words = re.split(r" #| {3,}", f"{found[1]}{found[2]}")[0]
        yield re.sub(r"\[[^]]*\.\.\.\]|[\[\]]", "", words)


def documented() -> list[tuple[str, str]]:
    found = {(page.relative_to(ROOT).as_posix(), line) for page in PAGES for line in commands(page.read_text())}
    return sorted(found)


def test_commands_are_found_in_blocks_and_sentences() -> None:
    text = """\
Run `make up` or `pulumi up`, then `python -m ops drift --json`.

    python -m lab up [--minions N]     make it
    eval "$(python -m lab env)"

```sh
$ python -m ops releases --stack prod   # what is live
for it in a b; do echo "$it"; done
```
"""
    assert list(commands(text)) == [
        "make up",
        "python -m ops drift --json",
        "python -m lab up --minions N",
        "python -m ops releases --stack prod",
    ]


@pytest.mark.parametrize(("page", "line"), documented())
def test_a_documented_command_exists(page: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    if line.startswith("make"):
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        words = [word for word in line.split()[1:] if "=" not in word and word != "..."]
        assert set(words) <= set(targets), f"{page}: {line}"
        return
    _, _, module, *words = (WORDS.get(word, word) for word in shlex.split(line))
    words = ["1" if before == "--minions" else word for before, word in zip(["", *words], words, strict=False)]
    try:
        ops.__main__.parsed(words) if module == "ops" else lab.__main__.parser().parse_args(words)
    except SystemExit as end:
        said = capsys.readouterr().err
        # A sentence may name a command without what it works on; a block is there to be copied.
        is_named = f"`{line}" in (ROOT / page).read_text() and re.search("arguments .*required", said)
        assert end.code == 0 or is_named, f"{page}: {line}: {said}"
