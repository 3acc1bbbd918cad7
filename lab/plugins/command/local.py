"""Runs a command on the deployer's own machine."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress

from lab.plugins.command.output import Output
from lab.plugins.common.model import ProviderError
from lab.plugins.common.values import Properties

_DRAIN = 1.0


async def run(
    command: str, inputs: Properties, environment: dict[str, str], output: Output, cancelled: asyncio.Event
) -> None:
    """Runs the command to its end; raises with its output when it fails, kills it when `cancelled` is set."""
    argv = [*(inputs.get("interpreter") or ["/bin/sh", "-c"]), command]
    stdin: str = inputs.get("stdin") or ""
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            cwd=inputs.get("dir"),
            env=os.environ | environment,
            stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except (OSError, ValueError) as error:
        raise ProviderError(output.failure(_cannot_start(error, inputs), command)) from None
    copies = [
        asyncio.create_task(_copy("stdout", process.stdout, output)),
        asyncio.create_task(_copy("stderr", process.stderr, output)),
        asyncio.create_task(_feed(process.stdin, stdin.encode())),
    ]
    killer = asyncio.create_task(_kill_when(cancelled, process))
    try:
        await process.wait()
        # A grandchild may hold the pipes for ever; after a kill nobody waits for it.
        await asyncio.wait(copies, timeout=_DRAIN if cancelled.is_set() else None)
    finally:
        for task in (*copies, killer):
            task.cancel()
        _kill(process)  # the engine is gone when this is left before its end
    if process.returncode:
        raise ProviderError(output.failure(_reason(process.returncode), command))


async def _copy(name: str, stream: asyncio.StreamReader | None, output: Output) -> None:
    while stream and (chunk := await stream.read(65536)):
        output.feed(name, chunk)


async def _feed(stdin: asyncio.StreamWriter | None, data: bytes) -> None:
    if stdin is None:
        return
    with suppress(BrokenPipeError, ConnectionResetError):  # the command need not read it
        stdin.write(data)
        await stdin.drain()
        stdin.close()
        await stdin.wait_closed()


async def _kill_when(cancelled: asyncio.Event, process: asyncio.subprocess.Process) -> None:
    await cancelled.wait()
    _kill(process)


def _kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()


def _reason(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    return f"signal: {(signal.strsignal(-status) or str(-status)).lower()}"


def _cannot_start(error: OSError | ValueError, inputs: Properties) -> str:
    if not isinstance(error, OSError):
        return str(error)
    why = (error.strerror or str(error)).lower()
    directory = inputs.get("dir")
    if directory and not os.path.isdir(directory):  # noqa: PTH112 - a path from the program, as text
        return f"chdir {directory}: {why}"
    return f"{error.filename}: {why}"
