"""Which worker of xdist runs a test: whichever is free, but tests that share what takes long to make stay together."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.lab.side_by_side import process_of

_ROOT = Path(__file__).parents[2]


class OneByOne(LoadScopeScheduling):  # type: ignore[misc]
    """Sends each test by itself, and each group to one worker. Not xdist's own "loadgroup": pytest 9.2 ignores it."""

    def __init__(self, config: pytest.Config, log: Producer) -> None:
        # Groups go out in the order of the command line, and not the largest first: the lab's two take longest.
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return process_of(nodeid) if path.startswith("tests/lab/") else group_of(path) or nodeid


@cache
def group_of(path: str) -> str:
    """The group of the tests in a file, "" if each may run anywhere. Each worker makes a fixture for itself."""
    text = (_ROOT / path).read_text(encoding="utf-8")
    if "cluster: ControlPlane" in text:
        return "control-plane"
    return path if 'scope="module"' in text or "shared_machine: Machine" in text else ""
