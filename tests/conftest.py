"""What holds for all tests: the profile of Hypothesis."""

from __future__ import annotations

from hypothesis import settings

# No deadline: how long one example takes says how busy the machine is. The rest is inherited from the profile that
# Hypothesis chose, which on CI is one without randomness.
settings.register_profile("glusterfarm", deadline=None, print_blob=True)
settings.load_profile("glusterfarm")
