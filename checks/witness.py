"""The minion that a check sends its requests through: only the cluster's machines reach pods and cluster IPs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncssh

from checks.errors import CheckError
from connectors import ssh
from settings import Minion


@asynccontextmanager
async def witness(minions: Sequence[Minion]) -> AsyncIterator[asyncssh.SSHClientConnection]:
    """A connection to the first minion, in order, that can be reached. Raises CheckError when there is none."""
    refusals = [f"minion {minion.name} is down, says the inventory" for minion in minions if minion.state != "up"]
    for minion in minions:
        if minion.state != "up":
            continue
        try:
            connection = await ssh.connect(minion)
        except ssh.ConnectError as error:
            refusals.append(str(error))
            continue
        async with connection:
            yield connection
        return
    raise CheckError(f"no minion can be reached to check from: {'; '.join(refusals) or 'none is named'}")
