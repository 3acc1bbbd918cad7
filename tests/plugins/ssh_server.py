"""An SSH server on loopback whose sessions run a real shell, as the minions of the `command` tests.

It counts connections, takes only the keys it is told, accepts environment variables that begin with OK_ (as an
AcceptEnv line would) and forwards TCP connections, so that it serves as a bastion too.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh

ACCEPTED_PREFIX = "OK_"


@dataclass(kw_only=True)
class SshServer:
    """One running server."""

    port: int
    host_key: str
    user_key: str
    user_key_path: Path
    connections: list[str] = field(default_factory=list)
    """The user name of each connection that was authenticated, in order."""
    forwarded: list[int] = field(default_factory=list)
    """The port of each forwarded connection, in order."""


def _accept_env(channel: Any, packet: Any) -> bool:
    """Takes or refuses one variable; asyncssh itself has no AcceptEnv and takes all."""
    name, value = packet.get_string(), packet.get_string()
    packet.check_end()
    accepted: bool = name.decode().startswith(ACCEPTED_PREFIX)
    if accepted:
        channel._env[name] = value
    return accepted


class _Connection(asyncssh.SSHServer):
    def __init__(self, server: SshServer) -> None:
        self._server = server

    def auth_completed(self) -> None:
        self._server.connections.append("connected")

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        self._server.forwarded.append(dest_port)
        return True


async def _session(process: asyncssh.SSHServerProcess[bytes]) -> None:
    shell = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-c",
        process.command or "",
        env={"PATH": os.environ["PATH"]} | {str(name): str(value) for name, value in process.env.items()},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    input_task = asyncio.create_task(_feed(process.stdin, shell.stdin))
    await asyncio.gather(_copy(shell.stdout, process.stdout), _copy(shell.stderr, process.stderr))
    status = await shell.wait()
    input_task.cancel()
    if status < 0:
        process.exit_with_signal(signal.Signals(-status).name.removeprefix("SIG"))
    else:
        process.exit(status)


async def _copy(source: asyncio.StreamReader | None, target: asyncssh.SSHWriter[bytes]) -> None:
    while source and (chunk := await source.read(65536)):
        target.write(chunk)
        await target.drain()


async def _feed(source: asyncssh.SSHReader[bytes], target: asyncio.StreamWriter | None) -> None:
    assert target
    with suppress(BrokenPipeError, ConnectionResetError):  # the command need not read it
        while chunk := await source.read(65536):
            target.write(chunk)
            await target.drain()
        target.close()


@contextmanager
def running(directory: Path) -> Iterator[SshServer]:
    """Runs a server with fresh keys until the end of the block."""
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    user_key = asyncssh.generate_private_key("ssh-ed25519")
    user_key_path = directory / "id_ed25519"
    user_key.write_private_key(user_key_path)
    user_key_path.chmod(0o600)
    server = SshServer(
        port=0,
        host_key=host_key.export_public_key().decode().strip(),
        user_key=user_key.export_private_key().decode(),
        user_key_path=user_key_path,
    )
    authorized = directory / "authorized_keys"
    user_key.write_public_key(authorized)
    loop = asyncio.new_event_loop()
    asyncssh.SSHServerChannel._process_env_request = _accept_env  # type: ignore[assignment]

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=lambda: _Connection(server),
            server_host_keys=[host_key],
            authorized_client_keys=str(authorized),
            process_factory=_session,
            encoding=None,
        )

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    acceptor = asyncio.run_coroutine_threadsafe(listen(), loop).result(timeout=20)
    server.port = acceptor.get_port()
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(_stop(acceptor), loop).result(timeout=20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=20)


async def _stop(acceptor: asyncssh.SSHAcceptor) -> None:
    acceptor.close()
    await acceptor.wait_closed()
