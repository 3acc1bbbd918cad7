"""Installs the programs that the Pulumi CLI needs where it finds them: the official ones if they are here, or ours."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.errors import LabError

VARIABLE: Final = "GLUSTERFARM_PLUGINS"
LAUNCHER: Final = Path(__file__).resolve().with_name("launch.py")


@dataclass(frozen=True, kw_only=True)
class Program:
    """One program of the CLI: its kind and name as the CLI has them, its version, and ours in `launch.py`."""

    kind: str
    name: str
    version: str

    @property
    def file(self) -> str:
        """What the executable is called."""
        return f"pulumi-{self.kind}-{self.name}"

    @property
    def directory(self) -> str:
        """Its directory under PULUMI_HOME/plugins."""
        return f"{self.kind}-{self.name}-v{self.version}"

    @property
    def ours(self) -> str:
        """What `launch.py` calls it."""
        return "language" if self.kind == "language" else self.name


PROGRAMS: Final = (
    Program(kind="language", name="python", version="3.259.0"),
    Program(kind="resource", name="command", version="1.2.1"),
    Program(kind="resource", name="kubernetes", version="4.34.2"),
)


def install(pulumi_home: Path, bin_dir: Path, python: Path) -> list[str]:
    """Installs the three programs under `pulumi_home`/plugins; one line each on which is used and where it is from.

    Official programs are taken from $GLUSTERFARM_PLUGINS (a directory; of what it names, all that it holds must be
    executable) or from the user's own ~/.pulumi; nothing is downloaded. `python` runs ours. Nothing goes into
    `bin_dir`: a language host on PATH would earn a warning a run, and one left there by an older lab is removed.
    """
    named = os.environ.get(VARIABLE, "")
    if named and not Path(named).is_dir():
        raise LabError(f"{VARIABLE}={named} is not a directory", "name a directory with the programs, or unset it")
    lines = []
    for program in PROGRAMS:
        (bin_dir / program.file).unlink(missing_ok=True)
        official = next(_official(program, Path(named) if named else None), None)
        if official:
            text = f'#!/bin/sh\nexec {shlex.quote(str(official))} "$@"\n'
            lines.append(f"{program.file} {program.version}: {official}")
        else:
            command = shlex.join([str(python), "-I", str(LAUNCHER), program.ours])
            text = f'#!/bin/sh\nexec {command} "$@"\n'
            lines.append(f"{program.file} {program.version}: the lab's own")
        _write(pulumi_home / "plugins" / program.directory / program.file, text)
    return lines


def _official(program: Program, named: Path | None) -> Iterator[Path]:
    candidates = [named / program.file] if named else []
    user_home = Path(os.environ.get("HOME") or "~").expanduser()
    candidates.append(user_home / ".pulumi" / "plugins" / program.directory / program.file)
    for candidate in candidates:
        if candidate.is_file():
            if not os.access(candidate, os.X_OK):
                raise LabError(f"{candidate} is not executable", f"chmod +x {candidate}")
            yield candidate.absolute()


def _write(path: Path, text: str) -> None:
    """Writes an executable; one that is the same already stays untouched, a running one is never written into."""
    if path.is_file() and path.read_text() == text and os.access(path, os.X_OK):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    new.chmod(0o755)
    new.replace(path)
