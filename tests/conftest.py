"""What holds for all tests: the profile of Hypothesis, and which worker runs which test."""

from __future__ import annotations

import pytest
from hypothesis import settings
from xdist.remote import Producer

from tests.support.scheduling import OneByOne

# No deadline: how long one example takes says how busy the machine is. The rest is inherited from the profile that
# Hypothesis chose, which on CI is one without randomness.
settings.register_profile("glusterfarm", deadline=None, print_blob=True)
settings.load_profile("glusterfarm")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneByOne:
    """Where tests run side by side: which worker gets which."""
    return OneByOne(config, log)
