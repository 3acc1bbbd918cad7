"""Runs the programs the lab builds with: output is kept back and shown only when they fail.

Standard library only, importable by Python 3.8: it is used before any virtual environment exists.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from lab.errors import LabError

TAIL_LINES = 20

# Root's PATH lacks these after a plain `su`, and Debian's ip, iptables and chroot are there.
_SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def search_path() -> str:
    """PATH with the sbin directories at its end."""
    return os.pathsep.join([os.environ.get("PATH", "/usr/bin:/bin"), *_SBIN])


def which(program: str) -> str | None:
    """Where `program` is, or None; sbin directories are searched too."""
    return shutil.which(program, path=search_path())


def run(
    argv: Iterable[str | Path],
    *,
    doing: str,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    remedy: str = "",
) -> str:
    """Run a program to its end and return what it printed (both streams, as one text).

    doing: what for, e.g. "building pulumi"; it opens the error's message.
    env: added to the environment of this process.
    Raises LabError with the last lines of the output when the program fails or is not there. The program
    is killed when this process dies.
    """
    words = [str(word) for word in argv]
    environment = {**os.environ, "PATH": search_path(), **(env or {})}
    guarded = words
    if setpriv := which("setpriv"):
        guarded = [setpriv, "--pdeathsig", "KILL", "--", *words]
    try:
        done = subprocess.run(
            guarded,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=cwd,
            # What this process marked as inheritable, which is the lock it builds under, and nothing else.
            close_fds=False,
            check=False,
        )
    except OSError as error:
        raise LabError(f"{doing}: cannot run {words[0]}: {error.strerror}", remedy) from error
    output = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        raise LabError(f"{doing}: {_ending(done.returncode)}\n{tail(output, shlex.join(words))}", remedy)
    return output


def tail(output: str, command: str) -> str:
    """The command and the last lines of its output, indented, for the end of an error message."""
    lines = [line.rstrip() for line in output.splitlines() if line.strip()]
    shown = lines[-TAIL_LINES:]
    return "\n".join(f"    {line}" for line in [f"$ {command}", *shown])


def _ending(status: int) -> str:
    return f"ended by signal {-status}" if status < 0 else f"exit status {status}"
