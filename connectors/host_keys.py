"""The host key that an SSH server presents. It does not prove yet that this is the right server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import asyncssh

from connectors.ssh import HOST_KEY_ALGORITHMS, ConnectError, explain

_OF_RSA: Final = ("rsa-sha2-512", "rsa-sha2-256")


async def shown_by(
    host: str, port: int, *, like: str | None = None, tunnel: asyncssh.SSHClientConnection | None = None, timeout: float
) -> str:
    """The server's key as TYPE BASE64, of the type of the key ``like`` if it has one of that; nobody logs in.

    ``tunnel`` is a connection to go through. Raises ConnectError (reason and remedy), in ``timeout`` seconds.
    """
    try:
        async with asyncio.timeout(timeout):
            # One list, the wanted type first: a server that has none of those asked for hangs up, and whether its
            # reason arrives is a race.
            return await _ask(host, port, [*_algorithms(like), *HOST_KEY_ALGORITHMS], tunnel)
    except (TimeoutError, OSError, asyncssh.Error) as error:
        raise ConnectError("; ".join(explain(error, timeout))) from None


def fingerprint(key: str) -> str:
    """``SHA256:...`` as ssh-keygen shows it, of a key TYPE BASE64."""
    return asyncssh.import_public_key(key).get_fingerprint()


def _algorithms(key: str | None) -> Sequence[str]:
    if key is None:
        return ()
    kind = key.partition(" ")[0]
    others: Mapping[str, Sequence[str]] = {"ssh-rsa": _OF_RSA}
    return others.get(kind, (kind,))


async def _ask(host: str, port: int, algorithms: Sequence[str], tunnel: asyncssh.SSHClientConnection | None) -> str:
    key = await asyncssh.get_server_host_key(
        host, port, tunnel=tunnel or (), server_host_key_algs=list(dict.fromkeys(algorithms)), config=None
    )
    if key is None:
        raise asyncssh.ConnectionLost("it showed no host key")
    return " ".join(key.export_public_key().decode().split()[:2])
