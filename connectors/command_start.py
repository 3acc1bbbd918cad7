"""Whether an announced command began on a minion, and if not, why not.

A login may run something else: a forced command of authorized_keys, as cloud images have for root, a start-up file that
ends the shell, or nologin(8). sudo may refuse. In each case the mark is missing, and what was printed is the reason.
"""

from __future__ import annotations

import re

from connectors.login_shell import MARK

#: Ends with a newline: nobody else prints it, with or without one before it.
MARK_LINE = f"{MARK}\n".encode()
_SHOWN_CHARACTERS = 200
_NO_SUDO = re.compile(r"sudo: .*not found|unknown command:? .?sudo", re.IGNORECASE)
_OF_SUDO = re.compile(r"sudo: |Sorry, user |.* sudoers file")
#: sudo prints these and goes on.
_WARNING = re.compile(r"sudo: (unable to (resolve host|send audit message|send mail|mail)|setrlimit)")


def after_mark(stream: bytes) -> bytes | None:
    """What the program itself wrote, without what its login printed before; None if the program never began."""
    _, mark, written = stream.partition(MARK_LINE)
    return written if mark else None


def refusal(line: str, *, user: str, status: int, stdout: bytes, stderr: str) -> tuple[str, str]:
    """The reason and the remedy for the command ``line``, which did not begin and ended with ``status``."""
    printed = [text.strip() for text in (*_text(stdout).splitlines(), *stderr.splitlines()) if text.strip()]
    if line.startswith("sudo "):
        if absent := [text for text in printed if _NO_SUDO.search(text)]:
            return f"sudo is missing for user {user} ({_shown(absent)})", "install sudo there, or let root log in"
        if refused := [text for text in printed if _OF_SUDO.match(text) and not _WARNING.match(text)]:
            return (
                f"user {user} may not become root ({_shown(refused[:1])})",
                "allow it `sudo -n sh` without a password (NOPASSWD), or let root log in",
            )
    said = f"it printed '{_shown(printed)}'" if printed else "it printed nothing"
    return (
        f"the login of user {user} did not run the command: {said} and ended with status {status}",
        "correct `user` in the inventory, or the forced command, login shell or start-up files of that account",
    )


def _text(stream: bytes) -> str:
    return stream[: 16 * _SHOWN_CHARACTERS].decode("utf-8", errors="replace")


def _shown(lines: list[str]) -> str:
    """Lines as one, without what would move a terminal's cursor."""
    text = "".join(character if character.isprintable() else "?" for character in " / ".join(lines))
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 3]}..."
