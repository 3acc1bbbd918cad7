"""Which stacks a change touches: those whose preview it may change."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from ops.arguments import stacks_here
from ops.config import stack_file
from ops.errors import OpsError
from settings import OF_THE_LAB

#: What no stack is made of. Whatever is not here touches all of them: a preview too many is cheap.
_APART: Final = frozenset(
    {".github", "bench", "docs", "lab", "ops", "requirements", "tests", "Makefile", "pyproject.toml", ".gitignore"}
)
_GIT_SECONDS: Final = 60


@dataclass(frozen=True, kw_only=True)
class StackSources:
    """The files of one stack alone: its ``file``, its ``inventory``, the directory ``source``.

    Paths are as git has them; '' if the file does not show one. With ``lab`` its machines are the lab's.
    """

    name: str
    file: str
    inventory: str
    source: str

    @property
    def lab(self) -> bool:
        """Whether its inventory is made by the lab: without one there is nothing to preview."""
        return PurePosixPath(self.inventory).parts[:1] == (OF_THE_LAB,)

    def owns(self, path: str) -> bool:
        """Whether ``path`` is one of its own files."""
        return path in {self.file, self.inventory} or (bool(self.source) and path.startswith(f"{self.source}/"))


def stacks() -> tuple[StackSources, ...]:
    """All stacks that have a file here. Raises OpsError where there is none."""
    names = stacks_here()
    if not names:
        raise OpsError("this directory has no Pulumi.STACK.yaml; run this in the project's directory")
    project = stack_file.project()
    return tuple(_stack(name, project) for name in names)


def touched(all_: Sequence[StackSources], paths: Iterable[str]) -> list[str]:
    """The names of the stacks that a change of ``paths`` touches, in order, the lab's left out."""
    found: set[str] = set()
    for path in paths:
        owners = {it.name for it in all_ if it.owns(path)}
        apart = PurePosixPath(path).parts[0] in _APART or (path.endswith(".md") and "/" not in path)
        found |= owners or (set() if apart or _is_of_no_stack(path) else {it.name for it in all_})
        # A stack whose file does not say what it is made of may be made of this.
        found |= {it.name for it in all_ if not it.inventory}
    return [it.name for it in all_ if it.name in found and not it.lab]


def changed_since(base: str) -> list[str]:
    """The paths of all files that differ between where HEAD left ``base`` and HEAD. Raises OpsError."""
    words = ("diff", "--name-only", "--no-renames", "-z", "--relative", "--end-of-options", f"{base}...HEAD", "--")
    try:
        done = subprocess.run(
            ["git", *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=_GIT_SECONDS, check=False
        )
    except FileNotFoundError:
        raise OpsError("git is not on PATH; install it") from None
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise OpsError(f"git diff failed: {error}") from None
    if done.returncode != 0:
        said = " ".join(done.stderr.decode(errors="replace").split())
        raise OpsError(
            f"--base {base!a} cannot be compared with HEAD; fetch it (a shallow checkout lacks it): {said!a}"
        )
    return [it.decode(errors="surrogateescape") for it in done.stdout.split(b"\0") if it]


def _is_of_no_stack(path: str) -> bool:
    """Whether it is a stack's file or an inventory, of a stack that is not here (any more)."""
    parts = PurePosixPath(path).parts
    return parts[0] == "inventory" or (len(parts) == 1 and path.startswith("Pulumi.") and path != "Pulumi.yaml")


def _stack(name: str, project: str) -> StackSources:
    path = stack_file.stack_file(name)
    config = stack_file.read(path, project).config or {}
    site = stack_file.site_files(config, project)
    return StackSources(
        name=name,
        file=str(path),
        inventory=_normal(config.get(f"{project}:inventory", "")),
        source=_normal(site.source if site else ""),
    )


def _normal(path: object) -> str:
    """``path`` as git writes it; '' for one that is none in this repository."""
    if not isinstance(path, str) or not path or Path(path).is_absolute():
        return ""
    pure = PurePosixPath(path)
    return "" if ".." in pure.parts or not pure.parts else str(pure)
