"""Fixtures of the publisher's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.site import PublishedSite
from tests.support.sshd import Loopback


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PublishedSite]:
    """A volume that nobody has published to yet, on two minions."""
    volume = tmp_path / "mnt"
    volume.mkdir(mode=0o755)
    with Loopback(tmp_path) as loopback:
        monkeypatch.setenv("GLUSTERFARM_SSH_PRIVATE_KEY", loopback.private_key)
        minions = [loopback.minion(name, volume) for name in ("minion-1", "minion-2")]
        yield PublishedSite(directory=tmp_path, volume=volume, minions=minions, loopback=loopback)
