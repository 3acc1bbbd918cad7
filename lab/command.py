"""Runs the programs the lab builds with: output is kept back and shown only when they fail.

Standard library only, importable by Python 3.8: it is used before any virtual environment exists.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
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
    on_line: Callable[[str], None] | None = None,
) -> str:
    """Run a program to its end and return what it printed (both streams, as one text).

    on_line: is given each line as it is printed.
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
        process = subprocess.Popen(
            guarded,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=cwd,
            # What this process marked as inheritable, which is the lock it builds under, and nothing else.
            close_fds=False,
        )
    except OSError as error:
        raise LabError(f"{doing}: cannot run {words[0]}: {error.strerror}", remedy) from error
    output = _read(process, on_line)
    if process.returncode != 0:
        raise LabError(f"{doing}: {_ending(process.returncode)}\n{tail(output, shlex.join(words))}", remedy)
    return output


def _read(process: subprocess.Popen[bytes], on_line: Callable[[str], None] | None) -> str:
    """All that the process prints until its end. It is killed where that is not waited for."""
    lines = []
    with process:
        try:
            for raw in process.stdout or ():
                lines.append(raw.decode(errors="replace"))
                if on_line:
                    on_line(lines[-1].rstrip())
        except BaseException:
            process.kill()
            raise
    return "".join(lines)


def tail(output: str, command: str) -> str:
    """The command and the last lines of its output, indented, for the end of an error message."""
    lines = [line.rstrip() for line in output.splitlines() if line.strip()]
    shown = lines[-TAIL_LINES:]
    return "\n".join(f"    {line}" for line in [f"$ {command}", *shown])


def _ending(status: int) -> str:
    return f"ended by signal {-status}" if status < 0 else f"exit status {status}"
