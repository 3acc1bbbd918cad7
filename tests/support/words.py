"""Words that STYLE rules out of messages, docstrings, comments and module names, and where they are."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from typing import Final, NamedTuple

#: Each word, and what to write instead.
BANNED: Final = {
    r"tell(s|ing)?|told": "print, report, show or say",
    r"look(s|ed|ing)?|glances?": "check, read or search",
    r"is no(?! longer)|are no(?! longer)": "is not a",
    r"so many": "the number itself, or 'at most N'",
    r"jury|crew": "confirmation, participants",
    r"sending|passed[ _]over": "upload, unreachable",
    r"whoever": "whose it is, by name",
}
_WORDS: Final = {re.compile(rf"\b({words})\b", re.IGNORECASE): instead for words, instead in BANNED.items()}


class Hit(NamedTuple):
    """A banned word: its line, the word, what to write instead, and the text around it."""

    line: int
    word: str
    instead: str
    around: str


def banned(text: str, first: int = 1) -> Iterator[Hit]:
    """The banned words in ``text``, which begins in line ``first``."""
    for pattern, instead in _WORDS.items():
        for found in pattern.finditer(text):
            around = " ".join(text[max(0, found.start() - 40) : found.end() + 40].split())
            yield Hit(first + text.count("\n", 0, found.start()), found[0], instead, around)


def in_source(source: str) -> Iterator[Hit]:
    """The banned words in a module's docstrings, comments and messages."""
    for line, text in (*texts(ast.parse(source)), *comments(source)):
        yield from banned(text, line)


def texts(syntax: ast.Module) -> Iterator[tuple[int, str]]:
    """Docstrings and messages with their lines. A string of one word is data and not a message."""
    inside: set[ast.AST] = set()
    for node in ast.walk(syntax):
        if isinstance(node, ast.JoinedStr):
            # Each inserted value is one word of the message.
            inside |= set(node.values)
            text = "".join(str(it.value) if isinstance(it, ast.Constant) else "0" for it in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inside:
            text = node.value
        else:
            continue
        if " " in text.strip():
            yield node.lineno, text


def comments(source: str) -> Iterator[tuple[int, str]]:
    """Comments with their lines."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
