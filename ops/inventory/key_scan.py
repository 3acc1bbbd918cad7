"""Which host key each machine of an inventory shows now, beside the one that is pinned: side by side, bounded in time.

Through a bastion nobody is asked until its own key was pinned before: what comes through another one proves nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncssh

from connectors import host_keys, ssh
from connectors.ssh import ConnectError
from ops.inventory.inventory_file import InventoryFile
from ops.inventory.merge import address
from settings import Bastion

_SECONDS: Final = 15
_AT_ONCE: Final = 64
_REMEDY: Final = "was it made anew, pin the new one with --replace {name}; was it not, somebody else answers there"


@dataclass(frozen=True, kw_only=True)
class SshHost:
    """A minion or a bastion; ``pinned`` is its key, ``through`` its bastion, where ``user`` logs in."""

    name: str
    host: str
    port: int
    pinned: str | None
    through: SshHost | None = None
    user: str = ""
    is_bastion: bool = False
    is_down: bool = False

    @property
    def replaced_as(self) -> str:
        """What --replace calls it."""
        return self.host if self.is_bastion else self.name


@dataclass(frozen=True, kw_only=True)
class KeyResult:
    """What came of it: ``outcome`` is "new" (no key is pinned), "same", "replaced", "differs", "unreached", "waits"
    (for its bastion's key) or "down" (not asked); ``key`` is what it shows, None where it showed nothing."""

    machine: SshHost
    outcome: str
    key: str | None
    reason: str

    @property
    def fingerprint(self) -> str | None:
        return host_keys.fingerprint(self.key) if self.key else None


def machines_of(file: InventoryFile) -> list[SshHost]:
    """The bastions, then the minions."""
    entries = [it["bastion"] for it in file.minions if it.get("bastion")]
    # What has no key yet is the same machine as one that has; two different keys are for --replace to settle.
    known = {address(it): str(it["hostKey"]) for it in reversed(entries) if "hostKey" in it}

    def bastion(it: Mapping[str, Any]) -> SshHost:
        host, port = address(it)
        pinned = it.get("hostKey") or known.get((host, port))
        return SshHost(name=f"bastion {host}", host=host, port=port, pinned=pinned, is_bastion=True)

    minions = (
        SshHost(
            name=it["name"],
            host=it["host"],
            port=it.get("port", 22),
            pinned=it.get("hostKey"),
            through=bastion(it["bastion"]) if it.get("bastion") else None,
            user=it["bastion"]["user"] if it.get("bastion") else "",
            is_down=it.get("state") == "down",
        )
        for it in file.minions
    )
    return [*dict.fromkeys(map(bastion, entries)), *minions]


async def ask_keys(machines: Sequence[SshHost], *, replace: Collection[str]) -> list[KeyResult]:
    """Ask all of them; gives them in the same order. ``replace`` are names whose new key is wanted."""
    places = asyncio.Semaphore(_AT_ONCE)
    asked = {
        it: asyncio.ensure_future(_direct(it, places, replace)) for it in machines if not (it.through or it.is_down)
    }
    await asyncio.gather(*asked.values())
    seen = {it: task.result() for it, task in asked.items()}
    behind: dict[tuple[SshHost, str], list[SshHost]] = {}
    for it in machines:
        if it.is_down:
            seen[it] = KeyResult(machine=it, outcome="down", key=None, reason="is down, says the inventory: not asked")
        elif it.through:
            behind.setdefault((it.through, it.user), []).append(it)
    groups = (_behind(seen[bastion], user, its, places, replace) for (bastion, user), its in behind.items())
    for group in await asyncio.gather(*groups):
        seen |= {it.machine: it for it in group}
    return [seen[it] for it in machines]


async def _behind(
    bastion: KeyResult, user: str, machines: Sequence[SshHost], places: asyncio.Semaphore, replace: Collection[str]
) -> Iterable[KeyResult]:
    if bastion.outcome != "same":
        if bastion.outcome in ("new", "replaced"):
            why = "is not asked until its bastion's new fingerprint was compared; then scan again"
            return [_without(it, "waits", why) for it in machines]
        wrong = "shows another key than the pinned one" if bastion.outcome == "differs" else "was not reached"
        return [_without(it, "unreached", f"is not asked: its bastion {wrong}") for it in machines]
    its = bastion.machine
    peer = Bastion(host=its.host, port=its.port, user=user, host_key=str(its.pinned))
    try:
        tunnel = await ssh.connect_bastion(peer, timeout=_SECONDS)
    except ConnectError as error:
        return [_without(it, "unreached", f"is not asked: {error}") for it in machines]
    try:
        return await asyncio.gather(*(_direct(it, places, replace, tunnel) for it in machines))
    finally:
        tunnel.close()
        await tunnel.wait_closed()


async def _direct(
    machine: SshHost,
    places: asyncio.Semaphore,
    replace: Collection[str],
    tunnel: asyncssh.SSHClientConnection | None = None,
) -> KeyResult:
    wanted = machine.replaced_as in replace
    like = None if wanted else machine.pinned
    try:
        async with places:
            key = await host_keys.shown_by(machine.host, machine.port, like=like, tunnel=tunnel, timeout=_SECONDS)
    except ConnectError as error:
        return _without(machine, "unreached", str(error))
    if machine.pinned is None:
        return KeyResult(machine=machine, outcome="new", key=key, reason="is new")
    if key == machine.pinned:
        return KeyResult(machine=machine, outcome="same", key=key, reason="as pinned")
    pinned = host_keys.fingerprint(machine.pinned)
    if wanted:
        return KeyResult(machine=machine, outcome="replaced", key=key, reason=f"in place of {pinned}")
    reason = f"and not {pinned}, which is pinned; {_REMEDY.format(name=machine.replaced_as)}"
    return KeyResult(machine=machine, outcome="differs", key=key, reason=reason)


def _without(machine: SshHost, outcome: str, reason: str) -> KeyResult:
    return KeyResult(machine=machine, outcome=outcome, key=None, reason=reason)
