"""Fixtures for publish.sh: a volume, once for each shell of this host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scripts.conftest import SHELLS
from tests.support.publish_script import Volume


@pytest.fixture(params=SHELLS, ids=lambda shell: Path(shell).name)
def volume(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Volume]:
    """An empty volume that TOKEN's deployment may write to once it has called ``lock``."""
    shell = [request.param, "sh"] if Path(request.param).name == "busybox" else [request.param]
    mount = tmp_path / "mnt gluster\\fs"
    mount.mkdir()
    made = Volume(shell=shell, scratch=tmp_path, mount=mount)
    yield made
    made.unlock()


@pytest.fixture
def locked(volume: Volume) -> Volume:
    """The same with the lock taken."""
    volume.lock()
    return volume
