"""Command lines that every login shell reads alike, and the mark that our programs print before anything else.

sshd gives a command line to the user's login shell: sh, bash, zsh, fish, csh or tcsh. All of them take plain words as
they are, and printable ASCII in single quotes, with these exceptions. fish reads ``\\\\`` and ``\\'`` as one character.
csh and tcsh replace ``!`` and end a quote at a newline. csh takes at most 1024 bytes per word. So any other word
travels in an encoding that `sh` decodes.

A login shell may also run start-up files that print something, and an account may have a forced command instead. Hence
the mark: what is printed before it is not ours, and without it our program never ran.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

#: What an announced command prints on stdout and on stderr, as a line of its own, before its program starts.
MARK = "glusterfarm-begins"
_ANNOUNCE = f"echo {MARK}; echo {MARK} >&2; "
_SUDO = ("sudo", "-n")

_PLAIN = re.compile(r"[A-Za-z0-9_./-][A-Za-z0-9_./:,@%+=-]*")
#: What single quotes do not protect in every shell.
_UNSAFE = re.compile(rb"[^ -~]|['\\!]")
_WIDEST = 900

#: A word that ends with + continues in the next one. A word that ends with = is decoded by printf(1).
_DECODE = (
    "v=; for w do shift;"
    ' case $w in *+) v=$v${w%+}; continue;; *=) v=$(printf %b. "$v${w%=}"); v=${v%.};; *) v=$w;; esac;'
    ' set -- "$@" "$v"; v=; done; exec "$@"'
)
_DECODER = ("sh", "-c", _DECODE, "sh")
_ANNOUNCER = ("sh", "-c", _ANNOUNCE + _DECODE, "sh")


def command_line(*words: str) -> str:
    """Give the command line in which any login shell finds exactly these words.

    Words without anything special are quoted as usual, so such a line is the same as from `shlex.join`. Raises
    ValueError for a word with a NUL byte, and for no words at all.
    """
    encoded = _encoded(words)
    return _join(words if all(map(_is_quotable, words)) else (*_DECODER, *encoded))


def announced(*words: str) -> str:
    """Give a command line like `command_line`, whose program starts behind the mark.

    With ``sudo -n`` at the head of the words, root prints the mark. So a refusal of sudo is known from a failure of
    the program.
    """
    root = words[:2] if words[:2] == _SUDO else ()
    program = words[len(root) :]
    return _join((*root, *_ANNOUNCER, *_encoded(program)))


def as_root(*, sudo: bool) -> tuple[str, ...]:
    """Give the words before a program's own that have root run it; with ``sudo`` the user is another one."""
    # -n: without the right to run sudo this must fail, never wait for a password nobody can type.
    return _SUDO if sudo else ()


def is_announced(line: str) -> bool:
    """Whether ``line`` was made by `announced`."""
    return _ANNOUNCE in line


def words_of(line: str) -> list[str]:
    """Give the words of a `command_line` or of an `announced` one. Raises ValueError for an unclosed quote."""
    words = shlex.split(line)
    root = words[: len(_SUDO)] if tuple(words[: len(_SUDO)]) == _SUDO else []
    program = words[len(root) :]
    if tuple(program[:4]) not in (_DECODER, _ANNOUNCER):
        return words
    decoded, text = root, ""
    for word in program[4:]:
        text += word
        if text.endswith("+"):
            text = text[:-1]
            continue
        decoded.append(_decoded(text[:-1]) if text.endswith("=") else text)
        text = ""
    return decoded


def _join(words: tuple[str, ...]) -> str:
    return " ".join(word if _PLAIN.fullmatch(word) else f"'{word}'" for word in words)


def check_words(words: tuple[str, ...]) -> None:
    """Refuse what no command line can carry. Raises ValueError."""
    if not words:
        raise ValueError("a command line needs at least one word")
    for position, word in enumerate(words):
        if "\0" in word:
            raise ValueError(f"word {position} of a command line holds a NUL byte: {word!r}")


def _encoded(words: tuple[str, ...]) -> list[str]:
    check_words(words)
    return [piece for word in words for piece in _pieces(word)]


def _is_quotable(word: str) -> bool:
    return len(word) <= _WIDEST and not _UNSAFE.search(_bytes(word))


def _pieces(word: str) -> Iterator[str]:
    if _is_quotable(word) and not word.endswith(("+", "=")):
        yield word
        return
    text = _UNSAFE.sub(_escaped, _bytes(word)).decode("ascii") + "="
    while len(text) > _WIDEST:
        escape = text.rfind("\\", _WIDEST - 4, _WIDEST)
        cut = _WIDEST if escape < 0 else escape
        yield text[:cut] + "+"
        text = text[cut:]
    yield text


def _bytes(word: str) -> bytes:
    return word.encode("utf-8", "surrogateescape")


def _escaped(found: re.Match[bytes]) -> bytes:
    return b"\\n" if found[0] == b"\n" else b"\\0%03o" % found[0][0]


def _decoded(text: str) -> str:
    """The inverse of the encoding: what ``printf %b`` makes of it."""
    plain = re.sub(
        rb"\\(?:n|0([0-7]{3}))",
        lambda found: b"\n" if found[1] is None else bytes([int(found[1], 8)]),
        text.encode("ascii"),
    )
    return plain.decode("utf-8", "surrogateescape")
