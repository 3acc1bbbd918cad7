"""Ports of the loopback on which nobody listens."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager

#: Below those that the kernel gives to whoever connects, or asks for any (32768 and more): only who names it gets one.
_NAMED_ONLY = range(15000, 30000)


def free_port() -> int:
    """A port for a server that is started at once, on whatever addresses of the loopback."""
    while True:
        port = random.choice(_NAMED_ONLY)  # noqa: S311 (no secret)
        with socket.socket() as tried:
            try:
                tried.bind(("", port))
            except OSError:
                continue
            return port


@contextmanager
def refusing_port() -> Iterator[int]:
    """A port that refuses connections, and that nobody else gets, for as long as the context lasts."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield int(bound.getsockname()[1])
