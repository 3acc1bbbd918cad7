"""The previews that the comments' tests are made of are what the engine prints of this program today."""

from __future__ import annotations

import json

import pytest

from tests.support.record_previews import RECORDED, recordings


@pytest.mark.timeout(900)  # many commands, and a machine may be busy
def test_the_recordings_are_true() -> None:
    for name, digest in recordings():
        kept = json.loads((RECORDED / f"{name}.json").read_text())
        assert digest == kept, f"{name}: renew with `python -m tests.support.record_previews` and look at the comments"
