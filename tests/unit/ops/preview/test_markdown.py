"""Nothing that others write gets out of the code that it is quoted as, read by a CommonMark parser."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from ops.preview.fit import Section, fit, size
from ops.preview.markdown import code, fenced, folded, html_code, line, visible

#: What has a meaning in Markdown, HTML or on GitHub, and everything else besides.
PIECES = st.sampled_from(
    [
        *("`", "``", "```", "~~~", "|", "\n", "\r", "\t", " ", "\0", "\u202e", "\u2028", "\ud800", "\\", "$"),
        *("<script>", "</details>", "<b>", "<!--", "-->", "&lt;", "@team", "#123", "](x)", "[a]", "![", "**", "__"),
        *("# ", "> ", "- ", "=="),
    ]
)
TEXTS = st.lists(PIECES | st.text(max_size=5), max_size=12).map("".join)


def parsed(markdown: str) -> list[Token]:
    return MarkdownIt("commonmark", {"html": True}).enable("table").parse(markdown)


def flat(tokens: list[Token]) -> list[Token]:
    return [it for token in tokens for it in (token, *flat(token.children or []))]


@given(text=TEXTS, before=TEXTS.map(code))
@example(text="`", before="")
@example(text=" ` ", before="")
@example(text="  ", before="")
@example(text="x" * 600, before="")
def test_inline_code_holds_exactly_the_text(text: str, before: str) -> None:
    tokens = flat(parsed(f"- added {before} {code(text)}, 3 B"))

    found = [it.content for it in tokens if it.type == "code_inline"]
    assert found[-1] == (visible(text) or "(empty)")
    assert {it.type for it in tokens} <= {
        *("bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close"),
        *("paragraph_open", "paragraph_close", "inline", "text", "code_inline"),
    }
    told = "".join(it.content for it in tokens if it.type == "text")
    assert re.fullmatch(r"added ?,? *, 3 B", told), told


@given(lines=st.lists(TEXTS, max_size=6), language=st.sampled_from(["", "diff"]))
def test_a_fence_holds_exactly_the_lines(lines: list[str], language: str) -> None:
    tokens = parsed(fenced(lines, language))

    assert [it.type for it in tokens] == ["fence"]
    assert tokens[0].info == language
    assert tokens[0].content == "".join(f"{line(it)}\n" for it in lines)


@given(summary=TEXTS, lines=st.lists(TEXTS, max_size=4))
def test_what_is_folded_stays_folded(summary: str, lines: list[str]) -> None:
    markdown = folded(html_code(summary), fenced(lines))
    first, fence, last = parsed(markdown)

    assert first.type == last.type == "html_block"
    assert fence.type == "fence"
    assert last.content == "</details>"
    inside = re.fullmatch(r"<details><summary><code>([^<>]*)</code></summary>\n", first.content)
    assert inside, first.content
    assert html.unescape(inside[1]) == (visible(summary) or "(empty)")


@given(text=TEXTS)
def test_what_is_shown_can_be_printed(text: str) -> None:
    visible(text).encode()
    assert visible(text).isprintable()
    assert len(visible("\u202e" * 10_000)) < 6_000


SECTIONS = st.builds(
    Section,
    head=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    items=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=50), max_size=20),
    close=st.sampled_from(["", "```"]),
    foot=st.sampled_from(["", "</details>"]),
)


@given(sections=st.lists(SECTIONS, max_size=8), spare=st.integers(0, 3000))
def test_the_limit_holds_and_what_comes_first_is_cut_last(sections: list[Section], spare: int) -> None:
    limit = sum(size(it.text(0)) + 2 for it in sections) + spare
    text = fit(sections, limit)

    assert size(text) <= limit
    whole = fit(sections, 10**9)
    assert (text == whole) == (size(whole) <= limit)
    assert ("Cut here" in text) == (text != whole)


@pytest.mark.parametrize("text", ["a", "😀"])
def test_size_counts_as_no_way_of_counting_characters_exceeds(text: str) -> None:
    assert size(text) == len(text.encode("utf-16-le")) // 2
