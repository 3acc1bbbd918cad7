"""What holds for all tests: Hypothesis's profile, who runs which, and the record of what each part takes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.remote import Producer

from tests.support.parts import VARIABLE, Recorder
from tests.support.scheduling import OneByOne

# No deadline: how long one example takes says how busy the machine is. The rest is inherited from the profile that
# Hypothesis chose, which on CI is one without randomness.
settings.register_profile("glusterfarm", deadline=None, print_blob=True)
settings.load_profile("glusterfarm")


def pytest_configure(config: pytest.Config) -> None:
    """Record the parts where `make test` asks for it; under xdist that is for the process that has the workers."""
    file = os.environ.get(VARIABLE)
    if file and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder(Path(file)), "glusterfarm-parts")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneByOne:
    """Where tests run side by side: which worker gets which."""
    return OneByOne(config, log)
