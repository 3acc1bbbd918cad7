"""A proxy that adds latency, for kernels that have no netem: a process of its own, to cost nobody else's time.

    python -m bench.proxy HOST PORT MILLISECONDS

It says on stdout ``listening PORT``, then a line for each connection, and ends with its stdin.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

#: What may be under way in one direction: more than any latency here times any bandwidth.
_UNDER_WAY_CHUNKS = 256
_CHUNK_BYTES = 1 << 16


@dataclass(kw_only=True)
class Proxy:
    """A port of this machine that leads to another machine's; ``connections`` made through it so far."""

    port: int
    connections: int = field(default=0)


@contextmanager
def proxied(host: str, port: int, *, milliseconds: float) -> Iterator[Proxy]:
    """``host:port`` with a longer round trip, in milliseconds."""
    argv = [sys.executable, "-m", "bench.proxy", host, str(port), str(milliseconds)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the proxy has no pipes")
        proxy = Proxy(port=int(process.stdout.readline().split()[1]))
        counting = threading.Thread(target=_count, args=(process.stdout, proxy))
        counting.start()
        try:
            yield proxy
        finally:
            process.stdin.close()
            process.wait(timeout=10)
            counting.join(10)


def _count(lines: Iterator[str], proxy: Proxy) -> None:
    for _ in lines:
        proxy.connections += 1


async def _serve(host: str, port: int, seconds: float) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        print("connection", flush=True)
        try:
            their_reader, their_writer = await asyncio.open_connection(host, port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pass_on(reader, their_writer, seconds), _pass_on(their_reader, writer, seconds))
        their_writer.close()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print("listening", server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    os._exit(0)  # and every connection with it


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    """What one side sends, half a round trip later."""
    loop = asyncio.get_running_loop()
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_UNDER_WAY_CHUNKS)

    async def read() -> None:
        chunk = b"-"
        while chunk:
            try:
                chunk = await reader.read(_CHUNK_BYTES)
            except OSError:
                chunk = b""
            await under_way.put((loop.time() + seconds / 2, chunk))

    reading = asyncio.create_task(read())
    with contextlib.suppress(OSError):
        while True:
            due, chunk = await under_way.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not chunk:
                writer.write_eof()
                break
            writer.write(chunk)
            await writer.drain()
    reading.cancel()
    await asyncio.wait({reading})


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]) / 1000))
