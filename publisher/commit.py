"""The git commit that a content directory is at."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Final

_SECONDS: Final = 10
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def commit_of(source: Path) -> str | None:
    """The commit of the work tree that ``source`` is in, with "-dirty" where ``source`` is not just what it holds.

    A file that git ignores or does not track counts: it is published too. None without git or a commit.
    """
    found = _git(source, "rev-parse", "--verify", "HEAD")
    if found is None or not _COMMIT.fullmatch(found.strip()):
        return None
    # Of a submodule git tells here what differs in it, too.
    status = _git(source, "status", "--porcelain", "--untracked-files=normal", "--ignored=traditional", "--", ".")
    return None if status is None else found.strip() + ("-dirty" if status else "")


def _git(source: Path, *words: str) -> str | None:
    # Inside a hook of git its variables name another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "-C", str(source), "-c", "core.fsmonitor=false", *words],
            env=environment | {"GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
