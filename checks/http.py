"""HTTP from a minion: requests over an SSH channel to an address that only the cluster's machines reach."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

import asyncssh

from checks.errors import CheckError
from connectors.ssh import minion_of

_CHUNK_BYTES = 1 << 16
#: More of an answer than this is not read: the next request then takes a connection of its own.
_BODY_BYTES = 1 << 22
_SHOWN_CHARACTERS = 80


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An HTTP response, or (status 0) none: then ``body`` is the reason."""

    path: str
    status: int
    body: bytes
    seconds: float

    @property
    def fine(self) -> bool:
        """Whether it is a success or a redirect."""
        return 200 <= self.status < 400  # noqa: PLR2004 (HTTP's own classes)

    @property
    def shown(self) -> str:
        """Status and first bytes on one line, for a message."""
        text = " ".join(self.body[: 4 * _SHOWN_CHARACTERS].decode("utf-8", errors="replace").split())
        text = "".join(character if character.isprintable() else "?" for character in text)[:_SHOWN_CHARACTERS]
        return f"HTTP {self.status} {text!r}" if self.status else text


async def ask(
    connection: asyncssh.SSHClientConnection, host: str, port: int, paths: Sequence[str], *, timeout: float
) -> list[Answer]:
    """GET ``paths`` one after the other, on one kept-alive connection as long as the server keeps it.

    ``timeout`` seconds bound the whole. What could not be asked is an answer with status 0. Raises CheckError
    when the minion does not forward TCP at all.
    """
    answers: list[Answer] = []
    began = time.monotonic()
    while len(answers) < len(paths):
        left = timeout - (time.monotonic() - began)
        path = paths[len(answers)]
        if left <= 0:
            answers.append(_none(path, f"no answer within {timeout:g} s", timeout))
            continue
        try:
            reader, writer = await asyncio.wait_for(connection.open_connection(host, port, encoding=None), left)
        except TimeoutError:
            continue
        except asyncssh.ChannelOpenError as error:
            if error.code in {asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, asyncssh.OPEN_UNKNOWN_CHANNEL_TYPE}:
                raise CheckError(
                    f"minion {minion_of(connection)} does not forward TCP over SSH, which the checks need to reach"
                    " pods; set AllowTcpForwarding yes (or local) in its sshd_config"
                ) from None
            # Everything else would only repeat itself: nobody listens there, or no route leads there.
            answers += [
                _none(path, f"connection failed: {error.reason}", time.monotonic() - began)
                for path in paths[len(answers) :]
            ]
            break
        answers += await _talk(reader, writer, f"{host}:{port}", paths[len(answers) :], left)
    return answers


async def _talk(
    reader: asyncssh.SSHReader[bytes],
    writer: asyncssh.SSHWriter[bytes],
    host: str,
    paths: Sequence[str],
    timeout: float,
) -> list[Answer]:
    """Give at least one answer, and more while the server keeps the connection."""
    near, far = socket.socketpair()
    local_reader, local_writer = await asyncio.open_connection(sock=far)
    pumps = (_pump(reader, local_writer), _pump(local_reader, writer))
    tasks = [asyncio.ensure_future(pump) for pump in pumps]
    answers: list[Answer] = []
    began = time.monotonic()
    try:
        async with asyncio.timeout(timeout):
            await asyncio.to_thread(_requests, near, host, paths, answers)
    except TimeoutError:
        if not answers:
            answers.append(_none(paths[0], f"no answer within {timeout:g} s", time.monotonic() - began))
    finally:
        # The thread, should it still wait, comes back at once; http.client may have closed it already.
        with contextlib.suppress(OSError):
            near.shutdown(socket.SHUT_RDWR)
        near.close()
        for task in tasks:
            task.cancel()
        local_writer.close()
        writer.close()
    return answers


def _requests(near: socket.socket, host: str, paths: Sequence[str], answers: list[Answer]) -> None:
    """The blocking half: append an answer for each path until the server wants to close."""
    http_connection = http.client.HTTPConnection(host)
    http_connection.auto_open = 0
    http_connection.sock = near
    for path in paths:
        began = time.monotonic()
        try:
            http_connection.request("GET", path, headers={"User-Agent": "glusterfarm-check"})
            response = http_connection.getresponse()
            body = response.read(_BODY_BYTES)
        except (OSError, http.client.HTTPException) as error:
            if not answers:
                reason = "the connection was closed without an answer" if isinstance(error, OSError) else repr(error)
                answers.append(_none(path, reason, time.monotonic() - began))
            return
        answers.append(Answer(path=path, status=response.status, body=body, seconds=time.monotonic() - began))
        if not response.isclosed() or http_connection.sock is None:
            return


async def _pump(
    reader: asyncio.StreamReader | asyncssh.SSHReader[bytes],
    writer: asyncio.StreamWriter | asyncssh.SSHWriter[bytes],
) -> None:
    try:
        while chunk := await reader.read(_CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()
    except (OSError, asyncssh.Error):
        return


def _none(path: str, reason: str, seconds: float) -> Answer:
    return Answer(path=path, status=0, body=reason.encode(), seconds=seconds)
