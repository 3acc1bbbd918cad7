"""A shell script of ours and its arguments, as the command line that runs it on a minion.

This module and connectors/login_shell.py are the only places that quote. Everything a user configures travels as one
argument, so nothing of it is ever shell text.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from connectors.login_shell import announced, as_root, check_words, command_line

_SCRIPTS = Path(__file__).with_name("scripts")
_READ_WHOLE = 'GLUSTERFARM_SCRIPT=$(cat) && eval "$GLUSTERFARM_SCRIPT"'
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def argv(*words: str) -> str:
    """Give the command line in which a POSIX shell, as on the deployer's side, finds exactly these words.

    Raises ValueError for a word with a NUL byte, which no command line can carry, and for no words at all.
    """
    check_words(words)
    return shlex.join(words)


@dataclass(frozen=True, kw_only=True)
class RemoteScript:
    """One of the programs in components/scripts/, by its name without `.sh`."""

    name: str

    def __post_init__(self) -> None:
        """Refuse a name that is not one of our scripts, at the line that wrote it."""
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"script name {self.name!r} must match {_NAME.pattern}")
        if not self._path.is_file():
            known = ", ".join(sorted(path.stem for path in _SCRIPTS.glob("*.sh")))
            raise ValueError(f"script {self.name!r} is not in components/scripts/, only: {known}")

    @property
    def _path(self) -> Path:
        return _SCRIPTS / f"{self.name}.sh"

    @cached_property
    def text(self) -> str:
        """The program that is sent: the file without its comments.

        The state holds it twice for each minion. Without the comments, a better comment does not change every mount.
        In these scripts a line that begins with # is always a comment. The tests run this text.
        """
        first, *lines = self._path.read_text(encoding="utf-8").splitlines(keepends=True)
        return first + "".join(line for line in lines if not line.lstrip().startswith("#"))

    def over_stdin(self, verb: str, *args: str, sudo: bool) -> str:
        """Give the command line for a script that is fed to the command's stdin.

        One stdin serves create, update and delete, so the text is in the state once per copy, not per verb.
        """
        return command_line(*as_root(sudo=sudo), "sh", "-s", "--", verb, *args)

    def resident(self, verb: str, *args: str, sudo: bool) -> str:
        """Like `over_stdin`, for a script that may leave itself on the minion: it finds its text in a variable.

        It is read whole before any of it runs.
        """
        return command_line(*as_root(sudo=sudo), "sh", "-c", _READ_WHOLE, self.name, verb, *args)

    def inline(self, verb: str, *args: str, sudo: bool) -> str:
        """Give the announced command line that carries the script itself: stdin is free for data."""
        return announced(*as_root(sudo=sudo), "sh", "-c", self.text, self.name, verb, *args)
