"""Fixtures for publish.sh: a volume."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.publish_script import Volume


@pytest.fixture
def volume(shell: str, tmp_path: Path) -> Iterator[Volume]:
    """An empty volume that TOKEN's deployment may write to once it has called ``lock``."""
    mount = tmp_path / "mnt gluster\\fs"
    mount.mkdir()
    made = Volume(shell=[shell], scratch=tmp_path, mount=mount)  # noqa: S604 (which shell it is)
    yield made
    made.unlock()


@pytest.fixture
def locked(volume: Volume) -> Volume:
    """The same with the lock taken."""
    volume.lock()
    return volume
