"""The private keys to log in with: the one given by the environment, else those of the ssh-agent."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncssh

from connectors import KEY_VARIABLE


class UnusableKeyError(Exception):
    """No private key to log in with. The text says why and what to do, and never has the key."""


@asynccontextmanager
async def private_keys() -> AsyncIterator[Sequence[asyncssh.SSHKeyPair]]:
    """The keys to offer. The agent signs over its own connection, which stays open through the login."""
    if text := os.environ.get(KEY_VARIABLE):
        try:
            key = asyncssh.import_private_key(text.strip() + "\n")
        except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
            raise UnusableKeyError(
                f"{KEY_VARIABLE} holds no usable private key;"
                " it must be the whole text of one in OpenSSH or PEM form, without a passphrase"
            ) from None
        yield asyncssh.load_keypairs(key)
        return
    path = os.environ.get("SSH_AUTH_SOCK", "")
    remedy = f"start one and `ssh-add` the key, or set {KEY_VARIABLE} (stack configuration: sshPrivateKey)"
    if not path:
        raise UnusableKeyError(f"no private key: SSH_AUTH_SOCK names no ssh-agent; {remedy}")
    try:
        agent = await asyncssh.connect_agent(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UnusableKeyError(
            f"no private key: the ssh-agent at {path} does not answer ({reason}); {remedy}"
        ) from None
    async with agent:
        try:
            keys = await agent.get_keys()
        except ValueError as error:
            raise UnusableKeyError(f"no private key: the ssh-agent at {path} failed ({error}); {remedy}") from None
        if not keys:
            raise UnusableKeyError(f"no private key: the ssh-agent at {path} holds none; `ssh-add` it")
        yield keys
