"""The program around a servicer: print the port, serve, end when the engine is gone."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress

import grpc.aio

_GRACE = 0.5
"""Seconds for what runs to end; the engine kills a program one second after it interrupted it."""
_MEGABYTES = 400
OPTIONS = [
    ("grpc.max_receive_message_length", _MEGABYTES << 20),
    ("grpc.max_send_message_length", _MEGABYTES << 20),
]


def engine_address(arguments: list[str]) -> str:
    """The one positional argument that the engine passes beside its flags; "" without one."""
    return next((argument for argument in arguments if not argument.startswith("-")), "")


async def serve(add: Callable[[grpc.aio.Server], None], close: Callable[[], Awaitable[None]]) -> None:
    """Serves until the engine interrupts this program or is gone itself; `close` then ends what is still running.

    An engine that was killed cannot interrupt anything, so the parent process is watched. Does not return.
    """
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    server = grpc.aio.server(options=OPTIONS)
    add(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    parent = os.getppid()
    while os.getppid() == parent and not ended.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), 1)
    await close()
    await server.stop(_GRACE)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
