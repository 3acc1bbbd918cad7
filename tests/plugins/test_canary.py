"""A change of many machines under the real engine: one is changed first, and the others only if it succeeds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.harness import CHECKOUT, Project, copy

PROGRAM = """
    import sys
    sys.path.insert(0, args["checkout"])
    from components.canary import Canary
    from components.failures import dependable
    from pulumi_command import local

    class Machines(pulumi.ComponentResource):
        def __init__(self):
            super().__init__("tests:index:Machines", "machines")
            canary = Canary("machines")
            for name in args["names"]:
                reached = local.Command(
                    f"{name}-reach",
                    create=f"sleep {1 if name in args.get('slow', []) else 0}; " + (
                        f"false {args['text']}" if name in args.get("unreachable", []) else f"true {args['text']}"),
                    update=f"false {args['text']}" if name in args.get("unreachable", []) else f"true {args['text']}",
                    opts=pulumi.ResourceOptions(parent=self),
                )
                works = args.get("broken", {}).get(name, ":")
                change = f"echo begin {name} >>log; sleep 0.3; {works} && echo end {name} {args['text']} >>log"
                hooks = canary.hooks(name, is_new=args["text"] == "new")
                opts = pulumi.ResourceOptions(parent=self, depends_on=[dependable(reached, self)], hooks=hooks)
                dependable(local.Command(name, create=change, update=change, opts=opts), self)

    Machines()
    """
NAMES = ["m1", "m2", "m3", "m4"]


@pytest.fixture
def machines(template: Project, tmp_path: Path) -> Project:
    project = copy(template, tmp_path / "project")
    project.write(PROGRAM)
    return project


def arguments(text: str, **given: object) -> dict[str, Any]:
    return {"checkout": str(CHECKOUT), "names": NAMES, "text": text, **given}


def log_of(project: Project) -> list[str]:
    file = project.directory / "log"
    lines = file.read_text().splitlines() if file.exists() else []
    file.unlink(missing_ok=True)
    return lines


def test_new_ones_wait_for_none(machines: Project) -> None:
    machines.up("--continue-on-error", fails=True, **arguments("new", broken={"m1": "false"}))
    assert sorted(it for it in log_of(machines) if it.startswith("end")) == [f"end {it} new" for it in NAMES[1:]]


def test_one_is_changed_before_the_others(machines: Project) -> None:
    machines.up(**arguments("one"))
    log = log_of(machines)
    (first,) = re.findall(r"begin (\w+)", log[0])
    assert log[1] == f"end {first} one", "the others begin when it is done"
    assert sorted(log[2:]) == sorted(f"{verb} {it}{text}" for it in NAMES if it != first for verb, text in STEPS)
    assert machines.up(**arguments("one")).summary == {"unchanged": 10}
    assert log_of(machines) == []


STEPS = (("begin", ""), ("end", " one"))


@pytest.mark.parametrize(
    "words", [(), ("--continue-on-error",), ("--parallel=1",)], ids=["plain", "goes-on", "in-turn"]
)
def test_when_it_fails_there_no_other_is_touched_and_set_back_all_is_unchanged(
    machines: Project, words: tuple[str, ...]
) -> None:
    machines.up(**arguments("one"))
    log_of(machines)
    failed = machines.up(*words, fails=True, **arguments("two", broken=dict.fromkeys(NAMES, "false")))
    (began,) = log_of(machines)
    first = began.removeprefix("begin ")
    assert "Traceback" not in failed.text
    if words == ("--continue-on-error",):
        for name in set(NAMES) - {first}:
            reason = f"{name} was not changed: {first} was changed first, and failed. Correct what {first} reports"
            assert reason in failed.text
    machines.up(**arguments("one"))
    assert log_of(machines) == []


def test_one_that_cannot_be_reached_holds_up_no_other(machines: Project) -> None:
    machines.up(**arguments("one"))
    log_of(machines)
    failed = machines.up("--continue-on-error", fails=True, **arguments("two", unreachable=["m1"]))
    assert sorted(it for it in log_of(machines) if it.startswith("end")) == [f"end {it} two" for it in NAMES[1:]]
    assert "m1-reach" in failed.text


def test_one_that_is_removed_replaces_no_other(machines: Project) -> None:
    machines.up(**arguments("one"))
    log_of(machines)
    fewer = machines.up(**{**arguments("one"), "names": NAMES[1:]})
    assert fewer.summary == {"deleted": 2, "unchanged": 8}
    assert log_of(machines) == []


def test_a_preview_changes_nothing_and_a_destroy_needs_no_program(machines: Project) -> None:
    machines.up(**arguments("one"))
    log_of(machines)
    assert {name for name, step in machines.preview(**arguments("two")).items() if step.op == "update"} >= set(NAMES)
    assert log_of(machines) == []
    machines.destroy(**arguments("one"))
