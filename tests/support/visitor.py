"""A visitor who never stops: asks for one page at a steady pace and notes what came back."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from itertools import pairwise
from types import TracebackType
from typing import Self


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One request: when it was made, how long it took, and what was wrong with it ('' for nothing).

    ``lied``: the answer was a 200 with another body than the page's.
    """

    at: float
    seconds: float
    fault: str
    lied: bool = False


class Visitor:
    """Asks ``url`` from ``side_by_side`` threads, each ``per_second`` times, for as long as the context lasts.

    ``page`` is what must come; ``timeout`` in seconds is the visitor's patience. Each request is a connection of its
    own, so that each is balanced anew.
    """

    def __init__(
        self, url: str, page: str, *, timeout: float = 5, per_second: float = 25, side_by_side: int = 4
    ) -> None:
        self._url, self._page, self._timeout = url, page.encode(), timeout
        self._pause = 1 / per_second
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask_on, daemon=True) for _ in range(side_by_side)]
        self.visits: list[Visit] = []

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def faults(self) -> list[Visit]:
        return [visit for visit in self.visits if visit.fault]

    @property
    def lies(self) -> list[Visit]:
        return [visit for visit in self.visits if visit.lied]

    def longest_silence(self) -> float:
        """Seconds between two right answers that followed each other, at most."""
        ends = sorted(visit.at + visit.seconds for visit in self.visits if not visit.fault)
        return max((later - earlier for earlier, later in pairwise(ends)), default=float("inf"))

    def _ask_on(self) -> None:
        while not self._stop.is_set():
            visit = self._ask()
            self.visits.append(visit)
            self._stop.wait(max(0.0, self._pause - visit.seconds))

    def _ask(self) -> Visit:
        begun = time.monotonic()
        fault, lied = "", False
        try:
            with urllib.request.urlopen(self._url, timeout=self._timeout) as answer:
                body = answer.read()
                lied = body != self._page
                fault = f"200 with {body[:80]!r}" if lied else ""
        except urllib.error.HTTPError as error:
            fault = f"HTTP {error.code}"
        except OSError as error:
            fault = str(getattr(error, "reason", error))
        except Exception as error:  # noqa: BLE001 (an answer that is not HTTP)
            fault = repr(error)
        return Visit(at=begun, seconds=time.monotonic() - begun, fault=fault, lied=lied)
