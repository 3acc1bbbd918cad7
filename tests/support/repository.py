"""Git repositories of tests, which know nothing of the user's own settings."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def git(directory: Path, *words: str) -> str:
    """Run git as nobody in particular; give its stdout."""
    environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    who = ("-c", "user.name=tests", "-c", "user.email=tests@example.org", "-c", "init.defaultBranch=main")
    done = subprocess.run(
        ["git", *who, *words], cwd=directory, env=environment, check=True, timeout=30, capture_output=True, text=True
    )
    return done.stdout.strip()
