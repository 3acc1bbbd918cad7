"""Directories of the lab on the host.

Standard library only, importable by Python 3.8 (see lab/preflight.py).
"""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """The directory of the toolchain, outside every checkout. It need not exist yet."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification: a relative path is invalid and to be ignored.
    root = Path(base) if base.startswith("/") else Path.home() / ".cache"
    return root / "glusterfarm"


def visible_directory(path: Path) -> bool:
    """Whether a directory exists and this user may see it."""
    try:
        return path.is_dir()
    except PermissionError:
        return False
