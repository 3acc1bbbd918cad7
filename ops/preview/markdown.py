"""Untrusted text in GitHub's Markdown: the only place that quotes it.

File names, values and messages are other people's. They go into a comment as code only (inline, fenced, or HTML's
``<code>``): there GitHub renders no Markdown and no HTML, links no ``#123`` and notifies no ``@name``.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import Final

#: A longer line is cut: it says nothing to a reader, and a fence must be longer than any run in it.
WIDEST: Final = 500
_RUNS: Final = {sign: re.compile(f"{sign}+") for sign in ("`", "~")}
_SHORTEST_FENCE: Final = 3


def visible(text: str, *, widest: int = WIDEST) -> str:
    """``text`` on one line, with every character that does not show as its escape; a long one is cut."""
    cut = text if len(text) <= widest else f"{text[: widest - 1]}…"
    return "".join(it if it.isprintable() else _escape(it) for it in cut)


def _escape(character: str) -> str:
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
    code = ord(character)
    return named.get(character) or (f"\\x{code:02x}" if code <= 0xFF else f"\\u{{{code:x}}}")  # noqa: PLR2004


def code(text: str, *, widest: int = WIDEST) -> str:
    """``text`` as inline code, whatever is in it."""
    shown = visible(text, widest=widest) or "(empty)"
    fence = "`" * (_longest("`", shown) + 1)
    # One space on both sides is taken away again, unless there is nothing but spaces.
    bare = shown[0] not in "` " and shown[-1] not in "` "
    return f"{fence}{shown}{fence}" if bare or not shown.strip() else f"{fence} {shown} {fence}"


def fenced(lines: Iterable[str], language: str = "") -> str:
    """A block of code; ``language`` is one of our own words. A tab stays what it is."""
    shown = [line(it) for it in lines]
    fences = [sign * max(_SHORTEST_FENCE, *(_longest(sign, it) + 1 for it in shown or [""])) for sign in _RUNS]
    fence = min(fences, key=len)
    return "\n".join([f"{fence}{language}", *shown, fence])


def line(text: str) -> str:
    """``text`` as one line of a block of code."""
    return "\t".join(visible(part) for part in text.split("\t"))


def html_code(text: str) -> str:
    """``text`` as code inside HTML of our own, as in a summary."""
    return f"<code>{html.escape(visible(text) or '(empty)')}</code>"


def folded(summary: str, body: str) -> str:
    """``body``, Markdown, under a summary to click on, which is HTML: plain words of ours and ``html_code``."""
    return f"<details><summary>{summary}</summary>\n\n{body}\n\n</details>"


def _longest(sign: str, text: str) -> int:
    return max(map(len, _RUNS[sign].findall(text)), default=0)
