"""The git commit that a content directory is at."""

from __future__ import annotations

import re
import subprocess
from bisect import bisect_left
from pathlib import Path
from typing import Final

from publisher.environment import without_secrets
from publisher.manifest import Manifest

_SECONDS: Final = 10
_COMMIT: Final = re.compile(rb"[0-9a-f]{40}|[0-9a-f]{64}")


def commit_of(source: Path, manifest: Manifest) -> str | None:
    """The commit of the work tree that ``source`` is in, with "-dirty" where ``manifest`` is not just what it holds.

    A file that git ignores or does not track counts where it is published. None without git or a commit.
    """
    found = _git(source, "rev-parse", "--verify", "HEAD")
    if found is None or not _COMMIT.fullmatch(found := found.strip()):
        return None
    inside = _git(source, "rev-parse", "--show-prefix")
    # For a submodule this also lists what differs inside it.
    status = _git(source, "status", "--porcelain", "-z", "--untracked-files=normal", "--ignored=traditional", "--", ".")
    if inside is None or status is None:
        return None
    return (found + (b"-dirty" if _dirty(status, inside.removesuffix(b"\n"), manifest) else b"")).decode()


def _dirty(status: bytes, inside: bytes, manifest: Manifest) -> bool:
    """Whether ``status`` lists a tracked path or a published one. Git lists the tracked paths first."""
    published = [inside + entry.path for entry in manifest.entries if entry.kind != "dir"]  # which git does not track
    for line in status.split(b"\0")[:-1]:
        if line[:2] not in {b"??", b"!!"}:
            return True
        path = line[3:]  # with a slash at its end for a whole directory
        at = bisect_left(published, path)
        if at < len(published) and (published[at] == path or (path[-1:] == b"/" and published[at].startswith(path))):
            return True
    return False


def _git(source: Path, *words: str) -> bytes | None:
    # Inside a hook of git its variables name another repository. And git runs what a repository's configuration says.
    try:
        return subprocess.run(
            ["git", "-C", str(source), "-c", "core.fsmonitor=false", *words],
            env=without_secrets() | {"GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
