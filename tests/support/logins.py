"""What may stand between sshd and our program on a minion: start-up files that print, forced commands, sudo."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

Login = Callable[[str], list[str]]

NOISE = "Welcome to minion-1! {\"motd\": 'read it'}\nlast line without an end"
#: What cloud-init writes before the key of root. Source: its documentation, disable_root_opts.
CLOUD_IMAGE = """echo 'Please login as the user "ubuntu" rather than the user "root".'; echo; exit 142"""
UNRESOLVED = "sudo: unable to resolve host minion-1: Name or service not known"


def noisy(command: str) -> list[str]:
    """A login shell whose start-up file prints on both streams, the last line without a newline."""
    return ["sh", "-c", f'printf %s "$1" && printf %s "$1" >&2; exec {command}', "sh", NOISE]


def forced(instead: str) -> Login:
    """An account that runs ``instead`` (sh) whatever is asked for."""
    return lambda command: ["sh", "-c", instead]


def with_sudo(directory: Path, says: str, *, refuses: bool = False) -> Login:
    """A login whose sudo prints ``says`` on stderr; then it runs the command, or ``refuses``."""
    directory.mkdir(exist_ok=True)
    end = "exit 1" if refuses else 'shift && exec "$@"'
    (directory / "sudo").write_text(f"#!/bin/sh\nprintf '%s\\n' {shlex.quote(says)} >&2\n{end}\n")
    (directory / "sudo").chmod(0o755)
    return lambda command: ["sh", "-c", f"PATH={directory}:$PATH; exec {command}"]
