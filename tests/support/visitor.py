"""A visitor who never stops: asks for one page at a steady pace and notes what came back."""

from __future__ import annotations

import errno
import threading
import time
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from itertools import cycle, pairwise
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

#: Each visit comes from a port of its own, as visitors do. The kernel gives a port again within minutes, and for two of
#: them conntrack sends whoever has it where its last connection went: to a pod that may be no more.
_PORTS = cycle(range(15_000, 60_000))
_MOST_BEHIND_SECONDS = 1.0


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
    own, so that each is balanced anew. What a slow answer keeps from being asked in time is asked after it, but for
    what is older than a second: a pace is kept, and no flood follows a silence.
    """

    def __init__(
        self, url: str, page: str, *, timeout: float = 5, per_second: float = 25, side_by_side: int = 4
    ) -> None:
        self._url, self._page, self._timeout = urlsplit(url), page.encode(), timeout
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
        due = time.monotonic()
        while not self._stop.is_set():
            self.visits.append(self._ask())
            due = max(due + self._pause, time.monotonic() - _MOST_BEHIND_SECONDS)
            self._stop.wait(max(0.0, due - time.monotonic()))

    def _ask(self) -> Visit:
        begun = time.monotonic()
        fault, lied = "", False
        try:
            status, body = self._get()
            lied = status == HTTPStatus.OK and body != self._page
            if status != HTTPStatus.OK:
                fault = f"HTTP {status}"
            elif lied:
                fault = f"200 with {body[:80]!r}"
        except OSError as error:
            fault = str(error)
        except Exception as error:  # noqa: BLE001 (an answer that is not HTTP)
            fault = repr(error)
        return Visit(at=begun, seconds=time.monotonic() - begun, fault=fault, lied=lied)

    def _get(self) -> tuple[int, bytes]:
        while True:
            connection = HTTPConnection(
                self._url.hostname or "", self._url.port, timeout=self._timeout, source_address=("", next(_PORTS))
            )
            try:
                connection.request("GET", self._url.path or "/", headers={"Connection": "close"})
                answer = connection.getresponse()
                return answer.status, answer.read()
            except OSError as error:
                if error.errno not in (errno.EADDRINUSE, errno.EADDRNOTAVAIL):
                    raise
            finally:
                connection.close()
