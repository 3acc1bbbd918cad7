"""Which minions take part in a publish: the first that can publishes, others verify."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from connectors import ssh
from publisher.remote import Place, PublishError, Site
from settings import Minion


@dataclass(frozen=True, kw_only=True)
class Crew:
    """Connected minions with the volume mounted; ``passed_over`` tells of each left out, and why."""

    publisher: Site
    verifiers: tuple[Site, ...]
    passed_over: tuple[str, ...]

    @property
    def everyone(self) -> tuple[Site, ...]:
        """The publisher and those that verify, each once."""
        return tuple({site.minion.name: site for site in (self.publisher, *self.verifiers)}.values())


@asynccontextmanager
async def assemble(
    minions: Sequence[Minion],
    place: Place,
    *,
    verifiers: int = 1,
    proof: Callable[[Site], Awaitable[object]] = Site.state,
) -> AsyncIterator[Crew]:
    """Connect to the first minions, in order, that can be reached and have the volume mounted, as ``proof`` tells.

    One publishes and ``verifiers`` others verify; where only one is up, as the inventory says, it verifies
    itself. Raises PublishError when nobody can publish, or fewer than ``verifiers`` others verify.
    """
    up = [minion for minion in minions if minion.state == "up"]
    passed_over = [f"minion {minion.name} is down, says the inventory" for minion in minions if minion.state != "up"]
    wanted = min(len(up), 1 + verifiers)
    ready: list[Site] = []
    waiting = list(up)
    try:
        while waiting and len(ready) < wanted:
            # Side by side: a black-holed minion costs its 15 s once, not once for every place in the crew.
            turn, waiting = waiting[: wanted - len(ready)], waiting[wanted - len(ready) :]
            for found in await asyncio.gather(*(_reach(minion, place, proof) for minion in turn)):
                if isinstance(found, Site):
                    ready.append(found)
                else:
                    passed_over.append(found)
        if not ready:
            raise PublishError(_nobody("no minion can publish", passed_over))
        if len(ready) < wanted:
            raise PublishError(
                _nobody(f"minion {ready[0].minion.name} can publish, but too few others can verify", passed_over)
            )
        yield Crew(
            publisher=ready[0],
            verifiers=tuple(ready[1:]) or (ready[0],),
            passed_over=tuple(passed_over),
        )
    finally:
        for open_site in ready:
            open_site.connection.close()
        await asyncio.gather(*(open_site.connection.wait_closed() for open_site in ready))


async def _reach(minion: Minion, place: Place, proof: Callable[[Site], Awaitable[object]]) -> Site | str:
    """The site through ``minion``, proven to be on its mounted volume; or why not."""
    try:
        connection = await ssh.connect(minion)
    except ssh.ConnectError as error:
        return str(error)
    reached = Site(minion=minion, connection=connection, place=place)
    try:
        await proof(reached)
    except (PublishError, ssh.ConnectError) as error:
        connection.close()
        return str(error)
    except BaseException:
        connection.close()
        raise
    return reached


def _nobody(what: str, passed_over: Sequence[str]) -> str:
    return f"{what}: " + ("; ".join(passed_over) or "the inventory names no minion")
