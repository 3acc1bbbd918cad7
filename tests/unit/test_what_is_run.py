"""No test is forgotten: what is under tests/ is run by `make test`, or by the target that is named for it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_test_is_run_by_make_test_or_make_test_soak() -> None:
    configured = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["testpaths"]
    there = {path.relative_to(ROOT).parts[1] for path in (ROOT / "tests").glob("*/**/test_*.py")}
    assert {f"tests/{name}" for name in there - {"soak"}} == set(configured)
    recipe = (ROOT / "Makefile").read_text().partition("\ntest-soak:")[2].partition("\n\n")[0]
    assert "pytest tests/soak" in recipe
    assert re.search(r"GLUSTERFARM_EVERY_CASE=1 .* tests/scripts tests/unit/publisher;", recipe)
    assert not list((ROOT / "tests").glob("test_*.py")), "these would be in no directory that is run"


def test_what_has_more_cases_is_where_make_test_soak_runs_all_of_them() -> None:
    using = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests").glob("*/**/test_*.py")
        if re.search(r"^from tests\.support\.examples import|mark\.every_shell", path.read_text(), re.MULTILINE)
    }
    assert using
    assert not [path for path in using if not path.startswith(("tests/scripts/", "tests/unit/publisher/"))]
