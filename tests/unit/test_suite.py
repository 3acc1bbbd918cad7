"""The suite itself: Hypothesis's profile."""

from __future__ import annotations

from hypothesis import settings


def test_no_example_has_a_deadline_and_each_failure_can_be_reproduced() -> None:
    assert (settings().deadline, settings().print_blob) == (None, True)
    assert settings.get_profile("glusterfarm").deadline is None
