"""The suite itself: Hypothesis's profile, the scripts' constants, and the table of parts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support import examples
from tests.support.constants import with_constants
from tests.support.parts import VARIABLE, Part, Recorder, main, read, table

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


def test_the_table_has_each_part_in_order_and_their_sum() -> None:
    parts = [
        Part(name="check", begun=100, ended=160.5, seconds=60.5),
        Part(name="unit", begun=161, ended=261, seconds=190, tests=3500),
    ]
    head, *lines, _ = table(parts).splitlines()
    assert [line.split() for line in (head, *lines)] == [
        ["part", "tests", "seconds", "wall"],
        ["check", "-", "60.5", "60.5"],
        ["unit", "3500", "190.0", "100.0"],
        ["all", "3500", "250.5", "161.0"],
    ]


def test_an_empty_table_is_one(tmp_path: Path) -> None:
    (tmp_path / "parts").touch()
    assert len(table(read(tmp_path / "parts")).splitlines()) == 2


def report(nodeid: str, when: str, start: float, stop: float, failure: str | None = None) -> pytest.TestReport:
    duration = stop - start
    location = (nodeid, 0, nodeid)
    keywords: dict[str, object] = {}
    outcome = "passed" if failure is None else "failed"
    return pytest.TestReport(nodeid, location, keywords, outcome, failure, when, (), duration, start, stop)  # type: ignore[arg-type]


def test_a_parts_seconds_are_of_all_workers_and_its_wall_is_from_first_to_last(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "parts")
    for nodeid, begun in (("tests/unit/a.py::one", 10), ("tests/unit/b/c.py::two", 11), ("tests/lab/d.py::one", 12)):
        recorder.pytest_runtest_logreport(report(nodeid, "setup", begun, begun + 1))
        recorder.pytest_runtest_logreport(report(nodeid, "call", begun + 1, begun + 4))
    recorder.pytest_sessionfinish()
    assert read(tmp_path / "parts") == [
        Part(name="unit", begun=10, ended=15, seconds=8, tests=2),
        Part(name="lab", begun=12, ended=16, seconds=4, tests=1),
    ]


def test_failed_tests_are_named_after_the_table(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "parts")
    recorder.pytest_runtest_logreport(report("tests/lab/d.py::one", "call", 1, 2, "AssertionError: no page\nmore"))
    recorder.pytest_sessionfinish()
    last = table(read(tmp_path / "parts")).splitlines()[-1]
    assert last == "failed: tests/lab/d.py::one (call): AssertionError: no page"


def test_a_command_that_is_a_part_keeps_its_exit_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "parts"))
    assert main(["run", "venv", sys.executable, "-c", "raise SystemExit(3)"]) == 3
    assert main(["run", "check", "true"]) == 0
    assert main(["table"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:-2]] == ["venv", "check"]


def test_only_what_is_a_case_can_be_chosen() -> None:
    for chosen in ((), (4,), (1, 4)):
        with pytest.raises(ValueError, match="choose some of the cases"):
            examples.examples([1, 2, 3], *chosen)


@pytest.mark.parametrize(("every_case", "taken"), [(False, [3, 1]), (True, [1, 2, 3])])
def test_the_chosen_cases_are_run_or_all(every_case: bool, taken: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "EVERY_CASE", every_case)
    assert examples.examples([1, 2, 3], 3, 1) == taken
