"""Chance, repeated: how many rounds, and the seed by which a run that failed can be had again."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator

import pytest

from tests.lab.conftest import lab, made, project, trial

__all__ = ["lab", "made", "project", "trial"]  # the same lab, by the same fixtures

ROUNDS = int(os.environ.get("GLUSTERFARM_SOAK_ROUNDS", "20"))
SEED = os.environ.get("GLUSTERFARM_SOAK_SEED") or str(time.time_ns())


def pytest_report_header() -> str:
    """What a second run of the same needs."""
    return f"soak: GLUSTERFARM_SOAK_ROUNDS={ROUNDS} GLUSTERFARM_SOAK_SEED={SEED}"


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """The same sequence for the same seed and test."""
    return random.Random(f"{SEED} {request.node.name}")  # noqa: S311 (nothing secret)


@pytest.fixture
def rounds() -> Iterator[int]:
    """The numbers of the rounds, said aloud: a soak runs long."""

    def counted() -> Iterator[int]:
        for number in range(1, ROUNDS + 1):
            print(f"round {number} of {ROUNDS}", flush=True)
            yield number

    return counted()
