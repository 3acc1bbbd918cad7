"""Opens SSH connections: pinned host keys, a key or the agent, a bastion, bounded and repeated dialling."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from lab.plugins.common.model import ProviderError
from lab.plugins.common.values import Properties

if TYPE_CHECKING:
    import asyncssh

T = TypeVar("T")
Show = Callable[[str], Awaitable[None]]

_HANDSHAKE = 120.0
_PAUSE, _PAUSE_GROWTH, _PAUSE_LIMIT = 0.1, 1.5, 5.0


@asynccontextmanager
async def connection(
    wanted: Properties, show: Show, cancelled: asyncio.Event
) -> AsyncIterator[asyncssh.SSHClientConnection]:
    """A connection as the input `connection` describes it. Errors name the attempts and the last one's reason."""
    async with AsyncExitStack() as stack:
        options = await _options(wanted, stack, "")
        proxy = wanted.get("proxy")
        via: asyncssh.SSHClientConnection | None = None
        if proxy:
            proxy_options = await _options(proxy, stack, "proxy: ")
            dial_proxy = _direct(proxy, proxy_options)
            via = await _repeated(dial_proxy, proxy, show, cancelled, what="Dial proxy", prefix="proxy: ")
            stack.push_async_callback(_close, via)
        dial = _through(via, wanted, options) if via else _direct(wanted, options)
        opened = await _repeated(dial, wanted, show, cancelled, what="Dial", prefix="proxy: " if via else "")
        stack.push_async_callback(_close, opened)
        yield opened


async def _close(opened: asyncssh.SSHClientConnection) -> None:
    opened.close()
    await opened.wait_closed()


async def _options(wanted: Properties, stack: AsyncExitStack, prefix: str) -> dict[str, Any]:
    """What asyncssh.connect gets, apart from where to connect to."""
    import asyncssh  # noqa: PLC0415 - 0.2 s that local commands need not pay

    try:
        options: dict[str, Any] = {
            "username": wanted["user"],
            "password": wanted.get("password"),
            "client_keys": await _keys(wanted, stack) or None,
            "known_hosts": None,
            "config": None,  # the deployer's ~/.ssh/config is not an input of the program
            "connect_timeout": _HANDSHAKE,
        }
        if wanted.get("hostKey"):
            pinned = asyncssh.import_public_key(wanted["hostKey"])
            options["known_hosts"] = ([pinned], [], [])
            algorithms = [name.decode() for name in pinned.sig_algorithms]
            options["server_host_key_algs"] = algorithms
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        raise ProviderError(f"{prefix}failed to parse a key: {error}") from None
    except OSError as error:
        raise ProviderError(f"{prefix}ssh-agent: {error}") from None
    return options


async def _keys(wanted: Properties, stack: AsyncExitStack) -> list[Any]:
    import asyncssh  # noqa: PLC0415

    keys: list[Any] = []
    if wanted.get("privateKey"):
        keys.append(asyncssh.import_private_key(wanted["privateKey"], wanted.get("privateKeyPassword")))
    agent_path = wanted.get("agentSocketPath") or os.environ.get("SSH_AUTH_SOCK")
    if agent_path:
        agent = asyncssh.SSHAgentClient(agent_path)
        stack.callback(agent.close)
        try:
            keys += await agent.get_keys()
        except (ValueError, OSError) as error:
            raise OSError(f"no answer at {agent_path}: {error}") from None
    return keys


def _direct(wanted: Properties, options: dict[str, Any]) -> Callable[[], Awaitable[asyncssh.SSHClientConnection]]:
    async def dial() -> asyncssh.SSHClientConnection:
        import asyncssh  # noqa: PLC0415

        sock = await _socket(wanted["host"], wanted["port"], wanted["perDialTimeout"])
        return await asyncssh.connect(wanted["host"], wanted["port"], sock=sock, **options)

    return dial


def _through(
    via: asyncssh.SSHClientConnection, wanted: Properties, options: dict[str, Any]
) -> Callable[[], Awaitable[asyncssh.SSHClientConnection]]:
    async def dial() -> asyncssh.SSHClientConnection:
        import asyncssh  # noqa: PLC0415

        return await asyncssh.connect(wanted["host"], wanted["port"], tunnel=via, **options)

    return dial


async def _socket(host: str, port: int, limit: int) -> socket.socket:
    """A connected TCP socket; `limit` seconds (0: the system's own limit) cover name lookup and connect."""
    where = f"dial tcp {host}:{port}"
    loop = asyncio.get_running_loop()

    async def open_socket() -> socket.socket:
        error: OSError = OSError("no address")
        for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            sock = socket.socket(family, kind, protocol)
            sock.setblocking(False)
            try:
                await loop.sock_connect(sock, address)
            except OSError as failed:
                error = failed
                sock.close()
            except BaseException:
                sock.close()
                raise
            else:
                return sock
        raise error

    try:
        async with asyncio.timeout(limit or None):
            return await open_socket()
    except TimeoutError:
        raise OSError(f"{where}: i/o timeout") from None
    except socket.gaierror as error:
        raise OSError(f"{where}: {error.strerror}") from None
    except OSError as error:
        # asyncio's own text has the address where the reason belongs.
        reason = os.strerror(error.errno).lower() if error.errno else str(error)
        raise OSError(f"{where}: connect: {reason}") from None


async def _repeated(
    dial: Callable[[], Awaitable[T]],
    wanted: Properties,
    show: Show,
    cancelled: asyncio.Event,
    *,
    what: str,
    prefix: str,
) -> T:
    """Dials until it works or `dialErrorLimit` + 1 attempts have failed (-1: without limit)."""
    import asyncssh  # noqa: PLC0415

    limit: int = wanted["dialErrorLimit"]
    failed, pause = 0, _PAUSE
    while True:
        try:
            return await _unless(cancelled, dial())
        except (OSError, asyncssh.Error, ValueError) as error:
            reason = _reason(error)
        if limit >= 0 and failed >= limit:
            raise ProviderError(f"{prefix}after {failed} failed attempts: {reason}")
        failed += 1
        await show(f"{what} {failed}/{limit if limit >= 0 else 'inf'} failed: retrying")
        await _unless(cancelled, asyncio.sleep(pause))
        pause = min(pause * _PAUSE_GROWTH, _PAUSE_LIMIT)


def _reason(error: Exception) -> str:
    import asyncssh  # noqa: PLC0415

    match error:
        case asyncssh.PermissionDenied():
            return f"ssh: handshake failed: ssh: unable to authenticate: {error.reason}"
        case asyncssh.HostKeyNotVerifiable():
            return f"ssh: handshake failed: ssh: host key mismatch: {error.reason}"
        case asyncssh.Error():
            return f"ssh: handshake failed: {error.reason}"
        case _:
            return str(error)


async def _unless(cancelled: asyncio.Event, work: Awaitable[T]) -> T:
    task = asyncio.ensure_future(work)
    stop = asyncio.ensure_future(cancelled.wait())
    try:
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ProviderError("context canceled")
    finally:
        stop.cancel()
        task.cancel()
