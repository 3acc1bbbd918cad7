from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.ops import said_by
from tests.unit.ops.preview.cases import RECORDED

Run = Callable[..., tuple[int, str, str]]

#: A pulumi that prints what it is told to, and remembers how it was called.
PULUMI = """#!/bin/sh
cd "$(dirname "$0")" && printf '%s|%s\\n' "$*" "${PULUMI_ENABLE_STREAMING_JSON_PREVIEW-unset}" >>calls
cat out; cat err >&2; exit "$(cat status)"
"""


@pytest.fixture
def ops(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `ops preview` in a directory of its own; give exit status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    return partial(said_by, capsys, "preview")


@pytest.fixture
def pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Put a stand-in for the CLI on PATH."""

    def install(out: str, err: str = "", status: int = 0) -> Path:
        directory = tmp_path / "bin"
        directory.mkdir()
        for name, text in {"pulumi": PULUMI, "out": out, "err": err, "status": str(status)}.items():
            (directory / name).write_text(text)
        (directory / "pulumi").chmod(0o755)
        monkeypatch.setenv("PATH", f"{directory}{os.pathsep}{os.environ['PATH']}")
        return directory / "calls"

    return install


def against(name: str) -> tuple[str, str]:
    return "--against", str(RECORDED / f"{name}.json")


def written(digest: dict[str, Any]) -> tuple[str, str]:
    Path("preview.json").write_text(json.dumps(digest))
    return "--against", "preview.json"
