from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.stack import StackFiles


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StackFiles:
    """A complete stack in a project directory of its own, which is the working directory, as the engine has it."""
    monkeypatch.chdir(tmp_path)
    return StackFiles(directory=tmp_path)
