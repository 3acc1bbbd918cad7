"""How each login shell reads a command line of plain and single-quoted words, by its documentation.

Whatever else a shell would find in the line (an expansion, a redirection, a second command) is an error here.
"""

from __future__ import annotations

import re
from collections.abc import Callable

#: A word without quotes that means itself in each of these shells. = and % are special at its beginning (zsh, fish).
_PLAIN = re.compile(r"[A-Za-z0-9_./-][A-Za-z0-9_./:,@%+=-]*")
#: csh's BUFSIZ.
_LONGEST_IN_CSH = 1023


def posix(line: str) -> list[str]:
    """sh, bash and zsh: everything up to the next single quote stands for itself."""
    return _words(line, re.compile(r"'([^']*)'"), lambda text: text)


def fish(line: str) -> list[str]:
    """fish: in single quotes a backslash before a backslash or a quote is dropped (fishshell.com, Quotes)."""
    return _words(line, re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL), lambda text: re.sub(r"\\([\\'])", r"\1", text))


def csh(line: str) -> list[str]:
    """csh and tcsh: history is replaced in quotes too, and a quote ends with its line (csh(1), Lexical structure)."""
    words = _words(line, re.compile(r"'([^'\n]*)'"), lambda text: text)
    assert "!" not in line, "csh replaces history"
    assert all(len(word.encode()) <= _LONGEST_IN_CSH for word in words), "Word too long."
    return words


def _words(line: str, quoted: re.Pattern[str], meaning: Callable[[str], str]) -> list[str]:
    words, rest = [], line
    while rest:
        found = quoted.match(rest) or _PLAIN.match(rest)
        assert found, f"no word is {rest[:40]!r}"
        words.append(meaning(found[1]) if found.re is quoted else found[0])
        rest = rest[found.end() :]
        assert rest[:1] in {"", " "}, f"more than a word: {rest[:40]!r}"
        rest = rest[1:]
    return words
