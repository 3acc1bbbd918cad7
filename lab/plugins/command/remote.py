"""Runs a command on another machine over SSH."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from lab.plugins.command.dial import Show, connection
from lab.plugins.command.output import Output
from lab.plugins.common.model import ProviderError
from lab.plugins.common.values import Properties

if TYPE_CHECKING:
    import asyncssh

Warn = Callable[[str], Awaitable[None]]

_REFUSED = (
    "Unable to set '{name}'. This only works if the SSH server is configured to accept it (AcceptEnv in sshd_config). "
    "Alternatively put it into the command itself: 'NAME=value command'."
)


async def run(
    command: str,
    inputs: Properties,
    previous: dict[str, str],
    output: Output,
    *,
    show: Show,
    warn: Warn,
    fail: Warn,
    cancelled: asyncio.Event,
) -> None:
    """Runs the command to its end; raises with its output when it fails.

    Dialling ends when `cancelled` is set; a command that runs is never interrupted, like the official provider's.
    """
    async with connection(inputs["connection"], show, cancelled) as opened:
        wanted: dict[str, str] = inputs.get("environment") or {}
        environment = {**wanted, **previous}
        for name in await _refused(opened, environment):
            text = _REFUSED.format(name=name)
            if name in wanted:
                await fail(text)
                raise ProviderError(f'could not set environment variable "{name}": the server did not accept it')
            await warn(text)
        await _execute(opened, command, environment, (inputs.get("stdin") or "").encode(), output)


async def _refused(opened: asyncssh.SSHClientConnection, environment: dict[str, str]) -> list[str]:
    """The variables that the server does not accept. It ignores them in silence, so this reads them back."""
    names = [name for name in environment if name.isidentifier()]
    refused = [name for name in environment if name not in names]
    if names:
        shown = await opened.run(
            "; ".join(f'printf "%s\\0" "${{{shlex.quote(name)}-}}"' for name in names), env=environment, encoding=None
        )
        seen = _bytes(shown.stdout).split(b"\0")
        refused += [name for name, value in zip(names, seen, strict=False) if value != environment[name].encode()]
    return refused


def _bytes(output: object) -> bytes:
    return output if isinstance(output, bytes) else b""


async def _execute(
    opened: asyncssh.SSHClientConnection,
    command: str,
    environment: dict[str, str],
    stdin: bytes,
    output: Output,
) -> None:
    import asyncssh  # noqa: PLC0415

    try:
        process: asyncssh.SSHClientProcess[bytes] = await opened.create_process(
            command, env=environment, encoding=None, stdin=asyncssh.PIPE if stdin else asyncssh.DEVNULL
        )
        copies = [_copy("stdout", process.stdout, output), _copy("stderr", process.stderr, output)]
        if stdin:
            copies.append(_feed(process.stdin, stdin))
        await asyncio.gather(*copies)
        await process.wait_closed()
    except (asyncssh.Error, OSError) as error:
        raise ProviderError(output.failure(f"the connection broke: {error}", command)) from None
    status = process.exit_status
    if status is None and process.exit_signal is None:
        reason = "wait: remote command exited without exit status or exit signal"
        raise ProviderError(output.failure(reason, command))
    if process.exit_signal:
        raise ProviderError(output.failure(f"Process exited from signal {process.exit_signal[0]}", command))
    if status:
        raise ProviderError(output.failure(f"Process exited with status {status}", command))


async def _copy(name: str, stream: asyncssh.SSHReader[bytes], output: Output) -> None:
    while chunk := await stream.read(65536):
        output.feed(name, chunk)


async def _feed(stdin: asyncssh.SSHWriter[bytes], data: bytes) -> None:
    try:
        stdin.write(data)
        await stdin.drain()
        stdin.write_eof()
    except (BrokenPipeError, ConnectionResetError):
        return  # the command need not read it
