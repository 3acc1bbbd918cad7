"""What a benchmark says of its timings."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.figures import Ratio, Series, report


def series() -> Series:
    return Series(seconds={"up": [3.0, 6.0, 4.0], "bare": [2.0, 2.0, 4.0]})


def test_a_ratio_is_of_medians_and_its_spread_of_single_rounds() -> None:
    assert series().ratio("up", "bare") == Ratio(medians=2.0, least=1.0, most=3.0)


def test_a_ratio_needs_the_same_rounds() -> None:
    with pytest.raises(ValueError, match=r"shorter|longer"):
        Ratio.of([1.0], [1.0, 2.0])


def test_a_machine_gets_ratios_and_raw_figures(capsys: pytest.CaptureFixture[str]) -> None:
    report({"up_vs_bare": series().ratio("up", "bare")}, series(), as_json=True, about={"minions": 3})
    told = json.loads(capsys.readouterr().out)
    assert told["ratios"] == {"up_vs_bare": 2.0}
    assert told["spread"] == {"up_vs_bare": [1.0, 3.0]}
    assert told["seconds"]["bare"] == [2.0, 2.0, 4.0]
    assert told["about"] == {"minions": 3}


def test_people_get_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    report({"up_vs_bare": series().ratio("up", "bare")}, series(), as_json=False, about={"minions": 3})
    assert capsys.readouterr().out.splitlines() == [
        "minions: 3",
        "up: median 4.0 s of 3.0, 6.0, 4.0",
        "bare: median 2.0 s of 2.0, 2.0, 4.0",
        "up_vs_bare: 2.00 (single rounds 1.00 to 3.00)",
    ]


@pytest.mark.parametrize("name", ["fanout", "publish", "serve"])
def test_each_can_be_run_as_the_file_that_it_is(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, Path(__file__).parents[2] / "bench" / f"{name}.py", "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert f"usage: python -m bench.{name} " in done.stdout
