"""What a publish is doing, on stderr: the phase, and how far it is; a bar on a terminal, lines anywhere else."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from publisher.parallel import FILE_BYTES

if TYPE_CHECKING:
    import rich.progress

#: Seconds between two lines, at the least; the longer it lasts, the fewer.
_EVERY_SECONDS = 2.0
_FEWER = 5
_MEBIBYTE = 1 << 20


class Progress:
    """Says what is done; within a ``phase`` it counts files and bytes, from any thread."""

    def __init__(self, *, out: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Say it on ``out``, else on stderr; a terminal that can do no more than lines gets lines."""
        self._out, self._clock = out or sys.stderr, clock
        self._lock = threading.Lock()
        self._shown: _Bar | _Lines | None = None

    def say(self, text: str) -> None:
        """One line."""
        if isinstance(self._shown, _Bar):
            self._shown.say(text)
        else:
            print(text, file=self._out, flush=True)

    @contextmanager
    def phase(self, name: str, text: str, *, files: int, size: int, ahead: Ahead | None = None) -> Iterator[None]:
        """Print the line ``text`` for a phase of ``files`` and ``size`` in all; at its end print what was done.

        ``ahead`` is what was already done before the phase.
        """
        self.say(text)
        terminal = self._out.isatty() and os.environ.get("TERM") not in {None, "", "dumb"}
        shown = (_Bar if terminal else _Lines)(self._out, self._clock, name, files, size)
        with self._lock:
            self._shown = shown
            if ahead is not None:
                shown.began = ahead.began
                shown.moved(ahead.files, ahead.size)
                ahead.caught_up = True
        try:
            yield
            done = shown.done()
        finally:
            with self._lock:
                self._shown = None
            shown.close()
        if done:
            self.say(done)

    def ahead(self) -> Ahead:
        """For what begins now and is shown as a phase only when the one before it is over."""
        return Ahead(progress=self, began=self._clock())

    def moved(self, files: int, size: int) -> None:
        """``files`` more are through, and ``size`` more bytes."""
        with self._lock:
            if self._shown is not None:
                self._shown.moved(files, size)


@dataclass(kw_only=True)
class Ahead:
    """Work of a phase that is not shown yet: the ``files`` and bytes that are done since ``began``."""

    progress: Progress
    began: float
    files: int = 0
    size: int = 0
    caught_up: bool = False

    def moved(self, files: int, size: int) -> None:
        """Add files and bytes. Once the phase is shown, it counts them itself. Call it in the event loop only."""
        if self.caught_up:
            self.progress.moved(files, size)
        else:
            self.files += files
            self.size += size


class _Lines:
    """A line now and then."""

    def __init__(self, out: TextIO, clock: Callable[[], float], name: str, files: int, size: int) -> None:
        self.out, self.clock, self.name = out, clock, name
        self.files, self.size = files, size
        self.files_done = self.bytes_done = 0
        self.began = self.printed = clock()

    def moved(self, files: int, size: int) -> None:
        """Count, and print progress if it is time."""
        self.files_done += files
        self.bytes_done += size
        now = self.clock()
        if now - self.printed >= max(_EVERY_SECONDS, (now - self.began) / _FEWER):
            self.printed = now
            print(
                f"  {self.name}: {self.files_done} of {self.files} files,"
                f" {self.bytes_done / _MEBIBYTE:.1f} of {self.size / _MEBIBYTE:.1f} MiB, {self._rate(now)}",
                file=self.out,
                flush=True,
            )

    def done(self) -> str:
        """What was done, at which rate; '' where there was nothing to do."""
        now = self.clock()
        if not self.files:
            return ""
        mebibytes = f"{self.bytes_done / _MEBIBYTE:.1f} MiB"
        return f"  {self.name}: {self.files_done} files, {mebibytes} in {now - self.began:.1f} s, {self._rate(now)}"

    def close(self) -> None:
        """Nothing is left behind by lines."""

    def _rate(self, now: float) -> str:
        seconds = max(now - self.began, 0.001)
        return f"{self.files_done / seconds:.0f} files/s, {self.bytes_done / _MEBIBYTE / seconds:.1f} MiB/s"


class _Bar(_Lines):
    """The same as a bar that stays in its place; what is said meanwhile goes above it."""

    def __init__(self, out: TextIO, clock: Callable[[], float], name: str, files: int, size: int) -> None:
        super().__init__(out, clock, name, files, size)
        from rich.console import Console  # noqa: PLC0415 (a tenth of a second, for a terminal only)
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

        self._console = Console(file=out)
        self._bar = Progress(
            TextColumn("  {task.description}"),
            BarColumn(),
            TextColumn("{task.fields[counted]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        # Small files cost by number, large ones by size: either alone would stand still for long.
        self._task: rich.progress.TaskID = self._bar.add_task(name, total=self._weight(files, size), counted="")
        self._bar.start()

    def moved(self, files: int, size: int) -> None:
        """Count, and draw."""
        self.files_done += files
        self.bytes_done += size
        self._bar.update(
            self._task,
            completed=self._weight(self.files_done, self.bytes_done),
            counted=f"{self.files_done}/{self.files} files"
            f" {self.bytes_done / _MEBIBYTE:.1f}/{self.size / _MEBIBYTE:.1f} MiB {self._rate(self.clock())}",
        )

    def say(self, text: str) -> None:
        """A line above the bar."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Take the bar away, and give the cursor back."""
        self._bar.stop()

    @staticmethod
    def _weight(files: int, size: int) -> int:
        return size + files * FILE_BYTES
