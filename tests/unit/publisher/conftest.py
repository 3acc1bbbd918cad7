"""Fixtures of the publisher's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.site import PublishedSite, unpublished


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PublishedSite]:
    """A volume that nobody has published to yet, on two minions."""
    with unpublished(tmp_path, monkeypatch) as made:
        yield made
