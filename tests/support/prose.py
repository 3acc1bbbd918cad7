"""Measures of a Markdown page's prose: the words in its sentences, and the length of its lines.

Code blocks, tables, headings, HTML and link targets are left out. Inline code counts as one word.
``python -m tests.support.prose`` prints the measures of every page.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT: Final = Path(__file__).parents[2]
#: A sentence may have this many words, and a line this many characters.
MOST_WORDS: Final = 30
WIDEST: Final = 120
_PARSER: Final = MarkdownIt("commonmark", {"html": True}).enable("table")
#: Each inline code of a block is one character from here on, which is then one word or part of one.
_CODE: Final = 0xE000
#: A dot after one of these does not end a sentence.
_ABBREVIATIONS: Final = ("e.g.", "i.e.", "etc.", "cf.", "vs.", "approx.", "resp.", "ca.")
_END: Final = re.compile(r"[.!?][\"')\]]*\s+(?=\S)")
_LINK_TARGET: Final = re.compile(r"\]\([^)\s]*\)|<https?://[^>]*>")


class Sentence(NamedTuple):
    """A sentence, the line where it begins, and how many words it has."""

    line: int
    words: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Measures:
    """Words per sentence: the mean, the 90th percentile, and how many sentences and lines are too long."""

    mean: float
    p90: int
    over: int
    wide: int


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page's sentences, and the numbers of its lines that are too long."""

    sentences: tuple[Sentence, ...]
    wide: tuple[int, ...]

    def measures(self) -> Measures:
        """The page in numbers; the mean has one decimal."""
        counts = sorted(it.words for it in self.sentences)
        return Measures(
            mean=round(sum(counts) / len(counts), 1) if counts else 0,
            p90=counts[math.ceil(0.9 * len(counts)) - 1] if counts else 0,
            over=sum(count > MOST_WORDS for count in counts),
            wide=len(self.wide),
        )


def pages() -> list[str]:
    """The pages whose prose is measured, as paths from the project's directory."""
    top = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")
    there = [ROOT / name for name in top if (ROOT / name).exists()] + sorted((ROOT / "docs").rglob("*.md"))
    return [path.relative_to(ROOT).as_posix() for path in there]


def measured(markdown: str) -> Page:
    """The prose of a page: paragraphs, those of list items and quotations included."""
    lines = markdown.splitlines()
    sentences: list[Sentence] = []
    wide: list[int] = []
    tokens = _PARSER.parse(markdown)
    for opening, inline in itertools.pairwise(tokens):
        if opening.type != "paragraph_open" or inline.map is None:
            continue
        first, end = inline.map
        sentences += _sentences(inline, first + 1)
        wide += [it + 1 for it in range(first, end) if len(_LINK_TARGET.sub("]", lines[it])) > WIDEST]
    return Page(sentences=tuple(sentences), wide=tuple(wide))


class _Code(NamedTuple):
    """Inline code, and how many line breaks the page has in it."""

    text: str
    breaks: int


def _sentences(inline: Token, first: int) -> Iterator[Sentence]:
    codes = list(_codes(inline))
    standing = itertools.count(_CODE)
    text = "".join(chr(next(standing)) if it.type == "code_inline" else _plain(it) for it in inline.children or [])
    begin, line = 0, first
    for end in [*_ends(text), len(text)]:
        part = text[begin:end]
        inside = {it: codes[ord(it) - _CODE] for it in part if ord(it) >= _CODE}
        if words := count_words(part):
            shown = "".join(f"`{inside[it].text}`" if it in inside else it for it in part)
            yield Sentence(line, words, " ".join(shown.split()))
        line += part.count("\n") + sum(it.breaks for it in inside.values())
        begin = end


def _codes(inline: Token) -> Iterator[_Code]:
    end = 0
    for token in inline.children or []:
        if token.type == "code_inline":
            begin = inline.content.index(token.markup, end) + len(token.markup)
            end = inline.content.index(token.markup, begin) + len(token.markup)
            yield _Code(token.content, inline.content.count("\n", begin, end))


def _plain(token: Token) -> str:
    if token.type in ("softbreak", "hardbreak"):
        return "\n"
    return token.content if token.type.startswith("text") else ""


def _ends(text: str) -> Iterator[int]:
    """Where sentences end, the last one left out."""
    for found in _END.finditer(text):
        before = text[: found.start() + 1].lower().split()[-1].lstrip("(\"'[")
        is_abbreviation = before in _ABBREVIATIONS or (before.endswith("...") and text[found.end()].islower())
        if not is_abbreviation:
            yield found.end()


def count_words(text: str) -> int:
    """How many words there are; what has neither a letter, a digit nor code in it is not one."""
    return sum(any(it.isalnum() or ord(it) >= _CODE for it in word) for word in text.split())


def main() -> None:
    """Print the measures of every page."""
    print(f"{'page':44}{'mean':>6}{'p90':>5}{'over':>6}{'wide':>6}")
    for page in pages():
        found = measured((ROOT / page).read_text()).measures()
        print(f"{page:44}{found.mean:6}{found.p90:5}{found.over:6}{found.wide:6}")


if __name__ == "__main__":
    main()
