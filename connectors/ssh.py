"""SSH connections to minions: pinned host keys, bounded in time, nothing of the user's own configuration.

``connect`` opens a connection (``connect_bastion`` one to go through), ``run`` a command on it, ``hold`` one that
lasts. ~/.ssh is never read; for the private key see connectors/keys.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import asyncssh

from connectors.command_start import MARK_LINE, after_mark, refusal
from connectors.keys import UnusableKeyError, private_keys
from connectors.login_shell import is_announced
from settings import Bastion, Minion

_KEEPALIVE_SECONDS = 15  # a minion that vanished without a word is noticed after three of these
_BEAT_SECONDS = 10  # how often a held command hears of us
_TICK_SECONDS = 0.5  # how often ``run`` checks for progress
_SESSION_SECONDS = 2.0  # how long sshd may still count a session that has ended
_ASK_SECONDS = 0.2  # how often a session is asked for that sshd did not allow
_CHUNK_BYTES = 1 << 16
#: What an inventory may pin, the best first. All are asked for, behind the pinned key's own type, so that a server
#: without that shows what it has instead.
HOST_KEY_ALGORITHMS = (
    "ssh-ed25519",
    *(f"ecdsa-sha2-nistp{bits}" for bits in (256, 384, 521)),
    "rsa-sha2-512",
    "rsa-sha2-256",
)
#: Connections in use keep their bastion's watcher alive here; asyncio itself holds tasks only weakly.
_watchers: set[asyncio.Task[None]] = set()


class ConnectError(Exception):
    """A minion could not be reached, or was lost. Names it, host:port, the reason and the remedy."""


class NotRunError(ConnectError):
    """sshd let us in, and what ran there was not our command. Names the minion, the ``reason`` and the ``remedy``."""

    def __init__(self, minion: str, reason: str, remedy: str) -> None:
        super().__init__(f"minion {minion}: {reason}; {remedy}")
        self.reason = reason
        self.remedy = remedy


async def connect(minion: Minion, *, timeout: float = 15) -> asyncssh.SSHClientConnection:
    """Open a connection to ``minion``, through its bastion where it has one, in ``timeout`` seconds in all.

    Raises ConnectError. The connection knows its minion: see ``minion_of``.
    """
    peer: Minion | Bastion = minion
    try:
        async with asyncio.timeout(timeout), private_keys() as keys, AsyncExitStack() as unwind:
            tunnel: asyncssh.SSHClientConnection | None = None
            if minion.bastion is not None:
                peer = minion.bastion
                tunnel = await _dial(peer, keys, None)
                unwind.push_async_callback(_close, tunnel)
                peer = minion
            connection = await _dial(minion, keys, tunnel)
            connection.set_extra_info(minion=minion.name)
            unwind.pop_all()
            if tunnel is not None:
                _close_with(connection, tunnel)
            return connection
    except UnusableKeyError as error:
        reason = f": {error}"
    except (TimeoutError, OSError, asyncssh.Error) as error:
        reason = " " + "; ".join(_explain(error, peer, timeout))
    hop = "" if peer is minion else "its bastion "
    raise ConnectError(f"minion {minion.name}: {hop}{peer.host}:{peer.port}{reason}")


async def connect_bastion(bastion: Bastion, *, timeout: float) -> asyncssh.SSHClientConnection:
    """Open a connection to go through, in ``timeout`` seconds. Raises ConnectError."""
    try:
        async with asyncio.timeout(timeout), private_keys() as keys:
            return await _dial(bastion, keys, None)
    except UnusableKeyError as error:
        reason = f": {error}"
    except (TimeoutError, OSError, asyncssh.Error) as error:
        reason = " " + "; ".join(_explain(error, bastion, timeout))
    raise ConnectError(f"its bastion {bastion.host}:{bastion.port}{reason}")


def minion_of(connection: asyncssh.SSHClientConnection) -> str:
    """The name of the minion that ``connect`` opened ``connection`` to."""
    return str(connection.get_extra_info("minion", "?"))


class _Pinned(asyncssh.SSHClient):
    """Notes the host key that was offered in place of the pinned one, for the message; trusts nothing."""

    offered = "of a type that is no longer trusted"

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Called only when the key is not the pinned one: never accept it."""
        del host, addr, port
        self.offered = key.get_fingerprint()
        return False


class _HostKeyMismatchError(asyncssh.Error):
    """The reason is the fingerprint that was offered."""


async def _dial(
    peer: Minion | Bastion,
    keys: Sequence[asyncssh.SSHKeyPair],
    tunnel: asyncssh.SSHClientConnection | None,
) -> asyncssh.SSHClientConnection:
    client = _Pinned()
    pinned = asyncssh.import_public_key(peer.host_key)
    own_type = [algorithm.decode() for algorithm in pinned.sig_algorithms]
    try:
        return await asyncssh.connect(
            peer.host,
            peer.port,
            username=peer.user,
            tunnel=tunnel or (),
            # Only this key, and nothing of the user's own: no ~/.ssh/config, known_hosts, keys or agent.
            known_hosts=([pinned], [], []),
            # A server that has none of the types asked for hangs up, and whether its reason arrives is a race.
            server_host_key_algs=[*own_type, *HOST_KEY_ALGORITHMS],
            client_keys=keys,
            client_factory=lambda: client,
            config=None,
            agent_path=None,
            x509_trusted_certs=None,
            preferred_auth="publickey",
            gss_host=None,
            # asyncio.timeout bounds the whole; asyncssh's own bounds would only add other messages.
            connect_timeout=None,
            login_timeout=0,
            keepalive_interval=_KEEPALIVE_SECONDS,
        )
    except (asyncssh.HostKeyNotVerifiable, asyncssh.KeyExchangeFailed) as error:
        if isinstance(error, asyncssh.KeyExchangeFailed) and "host key" not in error.reason.lower():
            raise
        raise _HostKeyMismatchError(error.code, client.offered) from None


def _explain(error: Exception, peer: Minion | Bastion, seconds: float) -> tuple[str, str]:
    """The reason and the remedy for ``error`` on the way to ``peer``."""
    match error:
        case _HostKeyMismatchError():
            pinned = asyncssh.import_public_key(peer.host_key).get_fingerprint()
            return (
                f"offers another host key ({error.reason}) than the inventory's ({pinned})",
                "was it reinstalled, put its new key into hostKey; was it not, somebody else answers there",
            )
        case asyncssh.PermissionDenied():
            return (
                f"does not let user {peer.user} in with the key offered",
                f"put the public key into ~{peer.user}/.ssh/authorized_keys there, or correct the user",
            )
    return explain(error, seconds)


def explain(error: Exception, seconds: float) -> tuple[str, str]:
    """The reason and the remedy for ``error`` of a connection that was given ``seconds``, before anybody logs in."""
    match error:
        case asyncssh.ChannelOpenError():
            return (
                f"was not reached through its bastion ({error.reason})",
                "allow TCP forwarding on the bastion and check that it reaches this address",
            )
        case TimeoutError():
            return (
                f"does not answer within {seconds:g} s",
                "check that the machine is up and the port open",
            )
        case ConnectionRefusedError():
            return "refuses the connection", "check that sshd runs there and that the port is right"
        case socket.gaierror():
            return (
                f"has a name that does not resolve ({error.strerror})",
                "correct the host in the inventory",
            )
        case asyncssh.Error():
            return f"ended the connection ({error.reason})", "see the log of sshd there"
    return f"cannot be reached ({error})", "check the network and the inventory's host"


async def _close(connection: asyncssh.SSHClientConnection) -> None:
    connection.close()
    await connection.wait_closed()


def _close_with(connection: asyncssh.SSHClientConnection, tunnel: asyncssh.SSHClientConnection) -> None:
    """Close ``tunnel`` when ``connection`` is closed."""

    async def watch() -> None:
        await connection.wait_closed()
        await _close(tunnel)

    task = asyncio.get_running_loop().create_task(watch())
    _watchers.add(task)
    task.add_done_callback(_watchers.discard)


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a remote command ended: its exit status (negative: the signal that ended it), what it wrote."""

    exit_status: int
    stdout: bytes
    stderr: str


async def run(
    connection: asyncssh.SSHClientConnection,
    command: str,
    *,
    input: bytes | AsyncIterable[bytes] = b"",  # noqa: A002 (named as in subprocess)
    timeout: float,
) -> Result:
    """Run ``command``, feed it ``input`` and give what it wrote; ``timeout`` bounds silence, not the whole.

    A command may take as long as it likes while bytes move either way; after ``timeout`` seconds without
    any it is given up on. Raises ConnectError then, and when the connection is lost; an exit status is never
    an error here. An exception of the ``input`` iterable closes the channel and is passed on. Where sshd allows no more
    commands at a time (MaxSessions, 10 by default) the end of another one is waited for.

    Of an announced command (connectors/login_shell.py) the result leaves out what its login printed before. Raises
    NotRunError when it never began, whatever the exit status.
    """
    async with _started(connection, command, timeout, ends=True) as process:
        moved = time.monotonic()

        async def feed() -> None:
            nonlocal moved
            try:
                async for chunk in _chunks(input):
                    process.stdin.write(chunk)
                    await process.stdin.drain()
                    moved = time.monotonic()
                process.stdin.write_eof()
            except (BrokenPipeError, ConnectionResetError):
                return  # the command ended without reading on: its exit status says why

        async def collect(reader: asyncssh.SSHReader[bytes]) -> bytes:
            nonlocal moved
            seen = bytearray()
            while chunk := await reader.read(_CHUNK_BYTES):
                seen += chunk
                moved = time.monotonic()
            return bytes(seen)

        work = asyncio.gather(collect(process.stdout), collect(process.stderr), feed(), process.wait_closed())
        try:
            while not (await asyncio.wait({work}, timeout=min(_TICK_SECONDS, timeout)))[0]:
                if time.monotonic() - moved > timeout:
                    raise TimeoutError
            stdout, stderr, _, _ = work.result()
        finally:
            work.cancel()
            await asyncio.wait({work})
            with contextlib.suppress(BaseException):
                work.result()  # read, so that asyncio does not report it as forgotten
        return _result(connection, process, stdout, stderr, line=command)


@asynccontextmanager
async def hold(
    connection: asyncssh.SSHClientConnection, command: str, *, timeout: float
) -> AsyncIterator[Result | bytes]:
    """Run ``command`` for as long as the context lasts; on leaving, its stdin ends and it is waited for.

    The context is entered once the command has written a line: then it gives that, and the command gets an
    empty line every few seconds by which it knows that we are there. A command that ends without a line
    gives its result. Raises ConnectError as ``run`` does.
    """
    async with _started(connection, command, timeout, ends=False) as process:
        before = await asyncio.wait_for(_until_mark(process.stdout), timeout) if is_announced(command) else b""
        has_begun = not is_announced(command) or before.endswith(MARK_LINE)
        line = await asyncio.wait_for(process.stdout.readline(), timeout) if has_begun else b""
        if line:
            alive = asyncio.ensure_future(_beat(process.stdin))
            try:
                yield line
            finally:
                alive.cancel()
            process.stdin.write_eof()
            await asyncio.wait_for(process.wait_closed(), timeout)
        else:
            stderr = await asyncio.wait_for(process.stderr.read(), timeout)
            await asyncio.wait_for(process.wait_closed(), timeout)
            yield _result(connection, process, before, stderr, line=command)


async def _until_mark(stdout: asyncssh.SSHReader[bytes]) -> bytes:
    """What comes before the mark, and the mark; or all there is, without one."""
    try:
        return await stdout.readuntil(MARK_LINE)
    except asyncio.IncompleteReadError as error:
        return error.partial + await stdout.read()


async def _beat(stdin: asyncssh.SSHWriter[bytes]) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        while True:
            await asyncio.sleep(_BEAT_SECONDS)
            stdin.write(b"\n")
            await stdin.drain()


@asynccontextmanager
async def _started(
    connection: asyncssh.SSHClientConnection, command: str, timeout: float, *, ends: bool
) -> AsyncIterator[asyncssh.SSHClientProcess[bytes]]:
    """A process for ``command``. With ``ends`` it ends by itself, so that others may wait for its session."""
    minion = minion_of(connection)
    try:
        process = await _session(connection, command, timeout)
        _count(connection, ends)
        try:
            yield process
        finally:
            _count(connection, -ends)
            process.close()
    except TimeoutError:
        raise ConnectError(
            f"minion {minion}: a command showed no life for {timeout:g} s; check the machine and its mount"
        ) from None
    except (asyncssh.Error, ConnectionError) as error:
        reason = error.reason if isinstance(error, asyncssh.Error) else error.strerror
        raise ConnectError(f"minion {minion}: the connection was lost ({reason}); run again") from None


def _at_work(connection: asyncssh.SSHClientConnection) -> int:
    """How many commands run on it that will end by themselves."""
    return int(connection.get_extra_info("at_work", 0))


def _count(connection: asyncssh.SSHClientConnection, more: int) -> None:
    connection.set_extra_info(at_work=_at_work(connection) + more)


async def _session(
    connection: asyncssh.SSHClientConnection, command: str, timeout: float
) -> asyncssh.SSHClientProcess[bytes]:
    alone = time.monotonic()
    while True:
        try:
            return await asyncio.wait_for(connection.create_process(command, encoding=None), timeout)
        except asyncssh.ChannelOpenError:
            if connection.is_closed():
                raise
        now = time.monotonic()
        if _at_work(connection):
            alone = now
        elif now - alone > _SESSION_SECONDS:
            raise ConnectError(
                f"minion {minion_of(connection)}: its sshd allows no further session on one connection;"
                " set MaxSessions to 2 at least in sshd_config there (10 is the default), then run again"
            )
        await asyncio.sleep(_ASK_SECONDS)


def _result(
    connection: asyncssh.SSHClientConnection,
    process: asyncssh.SSHClientProcess[bytes],
    stdout: bytes,
    stderr: bytes,
    *,
    line: str,
) -> Result:
    minion = minion_of(connection)
    if process.returncode is None:
        raise ConnectError(f"minion {minion}: the connection was lost while a command ran; run again")
    status, said = process.returncode, stderr
    if is_announced(line):
        written = after_mark(stdout)
        if written is None:
            user = str(connection.get_extra_info("username", "?"))
            text = stderr.decode("utf-8", errors="replace")
            raise NotRunError(minion, *refusal(line, user=user, status=status, stdout=stdout, stderr=text))
        stdout, said = written, after_mark(stderr) or b""
    return Result(exit_status=status, stdout=stdout, stderr=said.decode("utf-8", errors="replace"))


async def _chunks(data: bytes | AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    if isinstance(data, bytes):
        for start in range(0, len(data), _CHUNK_BYTES):
            yield data[start : start + _CHUNK_BYTES]
        return
    async for chunk in data:
        yield chunk
