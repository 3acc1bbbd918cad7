"""The suite itself: Hypothesis's profile, the scripts' constants, and the chosen cases."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.support import examples
from tests.support.constants import with_constants

SCRIPT = """\
#!/bin/sh
PROBE_SECONDS=10 # for one answer
STALE_SECONDS=1.1
TEXT='PROBE_SECONDS=10'
main() {
    LATER=3 :
}
main "$@"
"""


def test_no_example_has_a_deadline_and_each_failure_can_be_reproduced() -> None:
    assert (settings().deadline, settings().print_blob) == (None, True)
    assert settings.get_profile("glusterfarm").deadline is None


def test_constants_are_replaced_where_the_script_assigns_them() -> None:
    text = with_constants(SCRIPT, {"PROBE_SECONDS": 2, "STALE_SECONDS": 0.1})
    changed = SCRIPT.replace("PROBE_SECONDS=10 #", "PROBE_SECONDS=2 #").replace("=1.1", "=0.1")
    assert text == changed


@pytest.mark.parametrize("name", ["PROBE", "SECONDS", "TEXT", "LATER", "ABSENT"])
def test_a_constant_that_the_script_does_not_have_is_an_error(name: str) -> None:
    with pytest.raises(LookupError, match=rf"the script has 0 lines {name}=NUMBER"):
        with_constants(SCRIPT, {name: 1})


def test_a_constant_that_is_assigned_twice_is_an_error() -> None:
    with pytest.raises(LookupError, match="the script has 2 lines PROBE_SECONDS=NUMBER"):
        with_constants(f"PROBE_SECONDS=3\n{SCRIPT}", {"PROBE_SECONDS": 1})


def test_only_what_is_a_case_can_be_chosen() -> None:
    for chosen in ((), (4,), (1, 4)):
        with pytest.raises(ValueError, match="choose some of the cases"):
            examples.examples([1, 2, 3], *chosen)


@pytest.mark.parametrize(("every_case", "taken"), [(False, [3, 1]), (True, [1, 2, 3])])
def test_the_chosen_cases_are_run_or_all(every_case: bool, taken: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "EVERY_CASE", every_case)
    assert examples.examples([1, 2, 3], 3, 1) == taken
