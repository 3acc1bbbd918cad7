"""No test is forgotten: what is under tests/ is run by `make test`, or by the target that is named for it."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_test_is_run_by_make_test_or_make_test_soak() -> None:
    configured = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["testpaths"]
    there = {path.relative_to(ROOT).parts[1] for path in (ROOT / "tests").glob("*/**/test_*.py")}
    assert {f"tests/{name}" for name in there - {"soak"}} == set(configured)
    recipe = (ROOT / "Makefile").read_text().partition("\ntest-soak:")[2].partition("\n\n")[0]
    assert "pytest tests/soak" in recipe
    assert not list((ROOT / "tests").glob("test_*.py")), "these would be in no directory that is run"
