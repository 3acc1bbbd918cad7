"""The table that `make test` prints at its end: what each part took.

pytest and the Makefile append a line for each part to the file that GLUSTERFARM_PARTS names.
Standard library only, importable by Python 3.8: the Makefile runs this before the virtual environment exists.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

VARIABLE = "GLUSTERFARM_PARTS"

#: Characters of a failed test's reason.
REASON = 300
LEGEND = "seconds: the sum over all workers; wall: from the start of the part's first test to the end of its last"


@dataclass
class Part:
    """One part of `make test`.

    ``begun`` and ``ended`` are in seconds since the epoch; ``failed`` has a line for each failed test.
    """

    name: str
    begun: float
    ended: float
    seconds: float = 0
    tests: int = 0
    failed: list[str] = field(default_factory=list)

    @property
    def wall(self) -> float:
        """The seconds between the beginning and the end."""
        return self.ended - self.begun

    def append(self, file: Path) -> None:
        """Add the part to the file, as a line of JSON."""
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(asdict(self)) + "\n")


def read(file: Path) -> list[Part]:
    """The parts that were appended to the file, in the order of their beginning."""
    parts = [Part(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]
    return sorted(parts, key=lambda part: part.begun)


def table(parts: Sequence[Part]) -> str:
    """The parts as lines of text, their sum, and each failed test: of a log that CI cuts, the end remains.

    A part that is not of tests has "-" for their number.
    """
    rows = [(part.name, part.tests, part.seconds, part.wall) for part in parts]
    if parts:
        wall = max(part.ended for part in parts) - parts[0].begun
        rows.append(("all", sum(part.tests for part in parts), sum(part.seconds for part in parts), wall))
    head = f"{'part':12}{'tests':>8}{'seconds':>10}{'wall':>10}"
    lines = [f"{name:12}{tests or '-':>8}{seconds:10.1f}{wall:10.1f}" for name, tests, seconds, wall in rows]
    failed = [f"failed: {line}" for part in parts for line in part.failed]
    return "\n".join([head, *lines, LEGEND, *failed])


@dataclass
class Recorder:
    """A plugin of pytest: at the end of the session it appends each directory of tests/ that was run."""

    file: Path
    parts: dict[str, Part] = field(default_factory=dict)
    tests: set[str] = field(default_factory=set)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add a test's set-up, call or teardown to its part. Under xdist the workers' reports come here, too."""
        name = report.nodeid.split("/")[1]
        part = self.parts.setdefault(name, Part(name=name, begun=report.start, ended=report.stop))
        part.begun, part.ended = min(part.begun, report.start), max(part.ended, report.stop)
        part.seconds += report.duration
        part.tests += report.nodeid not in self.tests
        self.tests.add(report.nodeid)
        if report.failed:
            part.failed.append(f"{report.nodeid} ({report.when}): {_reason(report)}")

    def pytest_sessionfinish(self) -> None:
        """Append all parts to the file."""
        for part in self.parts.values():
            part.append(self.file)


def _reason(report: pytest.TestReport) -> str:
    """The first line of what the test raised."""
    crash = getattr(report.longrepr, "reprcrash", None)
    lines = str(crash.message if crash else report.longrepr).splitlines() or [""]
    return lines[0][:REASON]


def timed(name: str, command: Sequence[str], file: Path) -> int:
    """Run a command that is a part and not of tests. Returns its exit status."""
    begun = time.time()
    try:
        return subprocess.call(command)
    finally:
        ended = time.time()
        Part(name=name, begun=begun, ended=ended, seconds=ended - begun).append(file)


def main(argv: Sequence[str] | None = None) -> int:
    """Run as `python -m tests.support.parts run NAME COMMAND...`, then `... table`."""
    parser = argparse.ArgumentParser(description=f"The parts of `make test`, in the file that {VARIABLE} names.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="run a command and record how long it took")
    run.add_argument("name")
    run.add_argument("command", nargs=argparse.REMAINDER)
    verbs.add_parser("table", help="print what was recorded")
    given = parser.parse_args(argv)
    file = Path(os.environ[VARIABLE])
    if given.verb == "run":
        return timed(given.name, given.command, file)
    print(table(read(file)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
