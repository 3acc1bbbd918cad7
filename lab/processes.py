"""Running programs, and knowing whether a process is still the one that was started."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from lab.errors import LabError

T = TypeVar("T")
R = TypeVar("R")

_START_TIME_FIELD = 19  # field 22 of /proc/PID/stat, counted after the command's name


def boot_id() -> str:
    """Identity of this boot of the host: start times count from it."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None if it does not exist, or is only a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name may hold blanks and parentheses, so fields count from the last ")".
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else int(fields[_START_TIME_FIELD])


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process that cannot be mistaken for a later one with the same number."""

    pid: int
    start: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """The process that has this number now."""
        start = start_time(pid)
        return None if start is None else cls(pid=pid, start=start, boot=boot_id())

    def alive(self) -> bool:
        """Whether it still runs."""
        return self.boot == boot_id() and start_time(self.pid) == self.start

    def kill(self, number: signal.Signals = signal.SIGKILL, *, wait: float = 10) -> bool:
        """Send a signal and wait up to `wait` seconds for its end; True when it has ended."""
        if self.alive():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return True
        return wait_until(lambda: not self.alive(), timeout=wait, interval=0.02)

    def as_json(self) -> dict[str, int | str]:
        return asdict(self)


def run(
    argv: Sequence[str | Path],
    *,
    check: bool = True,
    stdin: str | None = None,
    timeout: float = 60,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    what: str = "",
    remedy: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run a program by argv and capture what it prints. With check, a LabError says what failed and shows
    the tail of its output; `what` names the work for that message. A program that overruns `timeout` seconds
    is killed and always a LabError."""
    words = [str(word) for word in argv]
    name = what or " ".join(words[:4])
    source = subprocess.DEVNULL if stdin is None else None
    try:
        done = subprocess.run(
            words,
            input=stdin,
            stdin=source,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
            env=dict(env) if env is not None else None,
            cwd=cwd,
        )
    except FileNotFoundError:
        raise LabError(f"{words[0]} is not installed", f"apt-get install the package that has {words[0]}") from None
    except subprocess.TimeoutExpired:
        raise LabError(f"{name}: did not end within {timeout:g} s", remedy) from None
    if check and done.returncode != 0:
        tail = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise LabError(f"{name}: exit status {done.returncode}\n{tail}".rstrip(), remedy)
    return done


def spawn(argv: Sequence[str | Path], *, log: Path, env: Mapping[str, str] | None = None, cwd: Path) -> Process:
    """Start a program that outlives this one: a session of its own, no terminal, its output appended to
    `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        child = subprocess.Popen(
            [str(word) for word in argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=dict(env) if env is not None else None,
            cwd=cwd,
        )
    process = Process.of(child.pid)
    if process is None:
        raise LabError(f"{argv[0]} ended at once", f"see {log}")
    return process


def wait_until(condition: Callable[[], bool], *, timeout: float, interval: float = 0.1) -> bool:
    """Poll until the condition holds (True) or `timeout` seconds have passed (its last value)."""
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() >= end:
            return condition()
        time.sleep(interval)
    return True


def side_by_side(work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Do the work for every item in a thread of its own; the first failure is raised when all have ended."""
    everything = list(items)
    if not everything:
        return []
    with ThreadPoolExecutor(max_workers=len(everything)) as pool:
        return [future.result() for future in [pool.submit(work, item) for item in everything]]
