"""Progress on the terminal: one line a step, with what it came to and how long it took.

Standard library only, importable by Python 3.8: it is used before any virtual environment exists.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

#: A step that takes longer prints that it still runs, at this interval, because silence would seem to be a hang.
PATIENCE_SECONDS = 15.0


class Step:
    """One running step."""

    def __init__(self, title: str, steps: Steps) -> None:
        self.title = title
        self.result = "done"
        self.reached = ""
        self._steps = steps

    def outcome(self, text: str) -> None:
        """Set what the step came to, e.g. "unchanged" or "from the cache" (default "done")."""
        self.result = text

    def started(self, text: str) -> None:
        """Print a line now, in long steps, where silence would seem to be a hang."""
        self._steps.note(f"{self.title}: {text}")

    def progress(self, text: str) -> None:
        """Set how far the step is, e.g. "812 of 2,310 packages", for the next of the lines that a long step prints."""
        self.reached = text


class Steps:
    """Prints the steps of one command. Safe to use from several threads: a line is written whole."""

    def __init__(self, stream: TextIO | None = None, patience: float = PATIENCE_SECONDS) -> None:
        self._stream = stream
        self._patience = patience
        self._lock = threading.Lock()

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Run one step and, when it ends, print "  <title>: <outcome> (12.3 s)"; "failed" when it raises.

        Every 15 s until then print how long it has taken and how far it is.
        """
        begun = time.monotonic()
        step = Step(title, self)
        ended = threading.Event()
        ticker = threading.Thread(target=self._tick, args=(step, begun, ended), daemon=True)
        ticker.start()
        try:
            yield step
        except BaseException:
            step.outcome("failed")
            raise
        finally:
            ended.set()
            ticker.join()
            self.note(f"{step.title}: {step.result} ({duration(time.monotonic() - begun)})")

    def _tick(self, step: Step, begun: float, ended: threading.Event) -> None:
        while not ended.wait(self._patience):
            reached = f", {step.reached}" if step.reached else ""
            self.note(f"{step.title}: ... {duration(time.monotonic() - begun)}{reached}")

    def note(self, text: str) -> None:
        """Print one indented line that is not a step."""
        with self._lock:
            # Read at each use, so that a later redirection of sys.stdout gets the lines too.
            print(f"  {text}", file=self._stream or sys.stdout, flush=True)


def duration(seconds: float) -> str:
    """How people write a duration: below a minute and a half "12.3 s", above "4 min 05 s"."""
    if seconds < 90:  # noqa: PLR2004
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"
