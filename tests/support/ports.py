"""Ports of the loopback on which nobody listens."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


def free_port() -> int:
    """A port for a server that is started at once: who comes between takes it."""
    with refusing_port() as port:
        return port


@contextmanager
def refusing_port() -> Iterator[int]:
    """A port that refuses connections, and that nobody else gets, for as long as the context lasts."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield int(bound.getsockname()[1])
