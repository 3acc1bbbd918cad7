"""Which minions take part in a publish: the first that can publishes, the others verify as soon as they are there."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncssh

from connectors import ssh
from connectors.cluster import ClusterError
from publisher.confirmation import Confirmation
from publisher.parallel import together
from publisher.remote import Place, PublishError, RemoteSite
from settings import Minion

#: At most this many connections are opened in parallel, and at most this many minions read in parallel.
_AT_ONCE = 64
#: A minion that is silent for longer is checked in the cluster, and skipped if another minion can publish.
PATIENCE_SECONDS = 3.0
#: How long the cluster's answer about its nodes is used.
_FRESH_SECONDS = 5.0
#: A connection that is not closed within this time is aborted.
_LEAVE_SECONDS = 2.0
_NAMED = 5

Proof = Callable[[RemoteSite], Awaitable[object]]


@asynccontextmanager
async def assemble(
    minions: Sequence[Minion],
    place: Place,
    *,
    confirmation: Confirmation,
    turn: str = "",
    say: Callable[[str], None] = lambda _: None,
    proof: Proof = RemoteSite.state,
) -> AsyncIterator[Participants]:
    """Connect to the minions in parallel, and continue as soon as one can publish.

    A participant has the volume mounted, which ``proof`` checks. With a sample, another ``turn`` (a release, for
    example) chooses other minions. ``say`` gets a line for each minion that is missing and may be. Raises PublishError
    if no minion can publish, or if more are missing than ``confirmation`` allows.
    """
    participants = Participants(minions, place, confirmation=confirmation, turn=turn, say=say, proof=proof)
    try:
        await participants.gather()
        yield participants
    finally:
        await participants.dismiss()


@dataclass(frozen=True, kw_only=True)
class _Missing:
    minion: Minion
    reason: str


class Participants:
    """Minions with the volume mounted: the ``publisher``, and those that verify. Use ``assemble``.

    ``verified`` names the minions on which the last ``each`` succeeded. ``unreachable`` has the reason for each minion
    that is left out.
    """

    publisher: RemoteSite
    verified: tuple[str, ...] = ()

    def __init__(
        self,
        minions: Sequence[Minion],
        place: Place,
        *,
        confirmation: Confirmation,
        turn: str,
        say: Callable[[str], None],
        proof: Proof,
    ) -> None:
        """Connect to nobody yet."""
        self._place, self._confirmation, self._say, self._proof = place, confirmation, say, proof
        self._down = [minion.name for minion in minions if minion.state != "up"]
        self._up = up = [minion for minion in minions if minion.state == "up"]
        self._line = _line(up, confirmation, turn)
        self._wanted = len(up) if confirmation.sample is None else min(len(up), 1 + confirmation.sample)
        self._seats: list[asyncio.Task[RemoteSite | None]] = []
        self._opened: list[asyncssh.SSHClientConnection] = []
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._missing: list[_Missing] = []
        self._judged = 0
        self._counted: list[_Missing] = []
        self._judging, self._asking = asyncio.Lock(), asyncio.Lock()
        self._unready: frozenset[str] = frozenset()
        self._asked = float("-inf")
        self._unknown = ""

    @property
    def others(self) -> str:
        """Who is to verify what the publisher does, in words; the publisher itself where nobody else is left."""
        names = self._others()
        if not names:
            return self.publisher.minion.name
        return ", ".join(names) if self.readers == len(names) <= _NAMED else f"{self.readers} minions"

    @property
    def readers(self) -> int:
        """How many that are, as far as is known."""
        count = len(self._others())
        return max(1, count if self._confirmation.sample is None else min(count, self._confirmation.sample))

    def _others(self) -> list[str]:
        gone = [it.minion for it in self._missing]
        return [it.name for it in self._up if it != self.publisher.minion and it not in gone]

    @property
    def unreachable(self) -> tuple[str, ...]:
        """The reason for each minion that does not take part."""
        return (
            *(f"minion {name} is down, says the inventory" for name in self._down),
            *(it.reason for it in self._in_order(self._missing)),
        )

    async def gather(self) -> None:
        """Find who publishes, while the others are still on their way. Raises PublishError."""
        self._seats = [asyncio.create_task(self._fill()) for _ in range(self._wanted)]
        self.publisher = await self._first()
        if self._confirmation.sample != 0:
            for name in self._down:
                self._say(f"warning: left out: minion {name} is down, says the inventory")
        await self._judge()

    async def muster(self) -> None:
        """Wait until everyone is here or known to be missing. Raises PublishError as soon as too many are."""
        waiting = set(self._seats)
        while waiting:
            arrived, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for seat in arrived:
                seat.result()
            await self._judge()

    async def each(self, work: Callable[[RemoteSite], Awaitable[None]], *, publisher: bool = False) -> None:
        """Do ``work`` on those who verify, side by side and on each as soon as it is here; on the ``publisher`` too.

        Where nobody else is left the publisher verifies itself. Raises PublishError for those whose work does, and when
        too many cannot be asked; what the publisher's own raises is passed on.
        """
        wrong: dict[str, PublishError] = {}
        able: set[str] = set()

        async def one(seat: asyncio.Task[RemoteSite | None]) -> None:
            await asyncio.wait({seat})  # which goes on should we be cancelled
            site = seat.result()
            if site is None or site is self.publisher or any(it.minion == site.minion for it in self._missing):
                return
            try:
                async with self._places:
                    await work(site)
                able.add(site.minion.name)
            except ssh.ConnectError as error:
                self._missing.append(_Missing(minion=site.minion, reason=str(error)))
            except PublishError as error:
                wrong[site.minion.name] = error

        async def own() -> None:
            await work(self.publisher)

        await together([*map(one, self._seats), *([own()] if publisher else [])])
        if wrong:
            raise PublishError(_all_of(wrong))
        await self._judge()
        if not able and not publisher:
            await own()
        self.verified = tuple(it.name for it in self._up if it.name in able) or (self.publisher.minion.name,)

    async def dismiss(self) -> None:
        """Close every connection; a machine that is gone takes no leave, and is not waited for."""
        for seat in self._seats:
            seat.cancel()
        await asyncio.gather(*self._seats, return_exceptions=True)
        for connection in self._opened:
            connection.close()
        if leaving := [asyncio.ensure_future(connection.wait_closed()) for connection in self._opened]:
            await asyncio.wait(leaving, timeout=_LEAVE_SECONDS)
            for connection, left in zip(self._opened, leaving, strict=True):
                if not left.done():
                    connection.abort()
            await asyncio.gather(*leaving, return_exceptions=True)

    async def _fill(self) -> RemoteSite | None:
        """A minion for one place: the next in line. In a sample, the next one replaces a missing minion."""
        tried = False
        for minion in self._line:
            if tried:
                await self._judge()
            tried = True
            try:
                return await self._reach(minion)
            except (ssh.ConnectError, PublishError) as error:
                self._missing.append(_Missing(minion=minion, reason=str(error)))
        return None

    async def _reach(self, minion: Minion) -> RemoteSite:
        async with self._places:
            reaching = asyncio.create_task(self._connect(minion))
            try:
                await asyncio.wait({reaching}, timeout=PATIENCE_SECONDS)
                if not reaching.done() and minion.node in await self._unready_nodes() and not reaching.done():
                    raise ssh.ConnectError(f"minion {minion.name}: {minion.host}:{minion.port} does not answer")
                return await reaching
            finally:
                reaching.cancel()
                with contextlib.suppress(BaseException):
                    await reaching

    async def _connect(self, minion: Minion) -> RemoteSite:
        connection = await ssh.connect(minion)
        self._opened.append(connection)
        site = RemoteSite(minion=minion, connection=connection, place=self._place)
        await self._proof(site)
        return site

    async def _first(self) -> RemoteSite:
        """Who is first in line of those who are here; an earlier one that is late is not waited for long."""
        until = float("inf")
        waiting = set(self._seats)
        while True:
            late = False
            for seat in self._seats:
                if not seat.done():
                    late = True
                elif (site := seat.result()) is not None:
                    if not late or time.monotonic() >= until:
                        return site
                    until = min(until, time.monotonic() + PATIENCE_SECONDS)
                    break
            if not waiting:
                raise PublishError(
                    "no minion can publish: " + ("; ".join(self.unreachable) or "the inventory names no minion")
                )
            timeout = None if until == float("inf") else max(0.0, until - time.monotonic())
            _, waiting = await asyncio.wait(waiting, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)

    async def _judge(self) -> None:
        """Say which minions are missing and may be. Raises PublishError if more are missing."""
        if self._confirmation.sample == 0:
            return
        async with self._judging:
            if new := self._missing[self._judged :]:
                self._judged += len(new)
                unready = await self._unready_nodes()
                for it in new:
                    if it.minion.node in unready:
                        self._say(f"warning: left out: {it.reason} (its node {it.minion.node} is NotReady)")
                counted = [it for it in new if it.minion.node not in unready]
                self._counted += counted
                if len(self._counted) <= (most := self._confirmation.max_unreachable):
                    for it in counted:
                        self._say(f"warning: left out: {it.reason} (content.maxUnreachable allows {most})")
            if len(self._counted) > self._confirmation.max_unreachable:
                raise PublishError(self._too_many())

    def _in_order(self, missing: Sequence[_Missing]) -> list[_Missing]:
        return sorted(missing, key=lambda it: self._up.index(it.minion))

    def _too_many(self) -> str:
        counted = self._in_order(self._counted)
        reasons = "; ".join(it.reason for it in counted[:_NAMED])
        more = f"; and {len(counted) - _NAMED} more" if len(counted) > _NAMED else ""
        unknown = f" (whether their nodes are NotReady is not known: {self._unknown})" if self._unknown else ""
        return (
            f"{len(counted)} of the minions that must verify cannot be asked, and content.maxUnreachable allows"
            f" {self._confirmation.max_unreachable}: {reasons}{more}{unknown}. Repair what is wrong there; for planned"
            " work write state: down into the inventory"
        )

    async def _unready_nodes(self) -> frozenset[str]:
        async with self._asking:
            if self._confirmation.unready is not None and time.monotonic() - self._asked > _FRESH_SECONDS:
                try:
                    self._unready, self._unknown = frozenset(await asyncio.to_thread(self._confirmation.unready)), ""
                except ClusterError as error:
                    self._unready, self._unknown = frozenset(), str(error)
                self._asked = time.monotonic()
            return self._unready


def _line(up: Sequence[Minion], confirmation: Confirmation, turn: str) -> Iterator[Minion]:
    """In which order they are asked to take part: as they stand, but behind the first a sample differs by turn."""
    if confirmation.sample is None:
        return iter(up)
    return iter([*up[:1], *sorted(up[1:], key=lambda it: hashlib.sha256(f"{turn}/{it.name}".encode()).digest())])


def _all_of(wrong: dict[str, PublishError]) -> str:
    first, *others = wrong.values()
    return str(first) + (f" (and so for {', '.join(list(wrong)[1:])})" if others else "")
