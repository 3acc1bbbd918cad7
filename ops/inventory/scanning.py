"""``python -m ops inventory scan``: asks each machine for its host key once, and pins what nobody has pinned yet."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

from ops.errors import OpsError
from ops.finding import plain
from ops.inventory.inventory_file import InventoryFile
from ops.inventory.key_scan import KeyResult, SshHost, ask_keys, machines_of
from ops.inventory.source_machines import listed
from ops.inventory.target_file import add_inventory_options, chosen_inventory

_SIGNS: Final = {
    "new": "+",
    "same": "=",
    "replaced": "~",
    "differs": "!",
    "unreached": "?",
    "waits": ".",
    "down": "-",
}
_COMPARE: Final = (
    "compare every new fingerprint with the machine's own, on its console or from the person who installed it:"
    " `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`"
)


def options(parser: argparse.ArgumentParser) -> None:
    """The action's options."""
    add_inventory_options(parser, flag="inventory")
    parser.add_argument(
        "--replace",
        action="append",
        default=[],
        metavar="NAME",
        help="pin the key that this minion, or the bastion with this host, shows now, in place of another one;"
        " can be given several times",
    )
    parser.add_argument("--check", action="store_true", help="write nothing, only compare with what is pinned")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.epilog = (
        "Machines behind a bastion are asked through it, with the same key as `pulumi up`, once the bastion's own key"
        " has been pinned by an earlier scan. Exit status: 0 every machine shows the key that is pinned; 1 some do"
        " not, or were not reached, or with --check have none pinned; 2 could not check."
    )


def run(options: argparse.Namespace) -> int:
    """Ask for the keys, pin them, print them; return the exit status. Raises OpsError."""
    file = InventoryFile.read(chosen_inventory(options), new=False)
    machines = machines_of(file)
    known = {name for it in machines for name in (it.name, it.host if it.is_bastion else it.name)}
    if strange := [name for name in options.replace if name not in known]:
        raise OpsError(f"--replace {listed(strange)}: {file.path} has no such minion or bastion")
    seen = asyncio.run(ask_keys(machines, replace=frozenset(options.replace)))
    _pin(file, seen)
    file.text()  # refused before anything is said
    written = file.changed and not options.check
    if written:
        file.write()
    result = _object(file, seen, written=written)
    print(json.dumps(result) if options.json else "\n".join(_text(file, seen, written=written)))
    right = ("same", "down") if options.check else ("same", "down", "new", "replaced")
    return 0 if all(it.outcome in right and (it.key or it.machine.pinned) for it in seen) else 1


def _pin(file: InventoryFile, seen: Sequence[KeyResult]) -> None:
    places = {it["name"]: index for index, it in enumerate(file.minions)}
    for it in seen:
        if it.key is None or it.outcome == "differs":
            continue
        if it.machine.is_bastion:
            file.pin_bastion(it.machine.host, it.machine.port, it.key, was=it.machine.pinned)
        elif it.outcome != "same":
            file.set(places[it.machine.name], "hostKey", it.key)


def _object(file: InventoryFile, seen: Sequence[KeyResult], *, written: bool) -> dict[str, Any]:
    return {"inventory": str(file.path), "written": written, "machines": [_entry(it) for it in seen]}


def _entry(it: KeyResult) -> dict[str, Any]:
    machine = {key: value for key, value in asdict(it.machine).items() if key in ("name", "host", "port")}
    shown = {"fingerprint": it.fingerprint, "type": it.key and it.key.partition(" ")[0]}
    return {**machine, "isBastion": it.machine.is_bastion, "outcome": it.outcome, **shown, "reason": it.reason}


def _text(file: InventoryFile, seen: Sequence[KeyResult], *, written: bool) -> Iterator[str]:
    new = [it for it in seen if it.outcome in ("new", "replaced")]
    keys = f"{len(new)} host key{'' if len(new) == 1 else 's'}"
    verdict = f"{keys} pinned" if written else f"{keys} not pinned (--check)" if new else "nothing to pin"
    yield f"{file.path}: {verdict}; {len(seen)} machine{'' if len(seen) == 1 else 's'}"
    yield from (f"  {_SIGNS[it.outcome]} {plain(_line(it))}" for it in seen)
    holders: dict[str, list[str]] = {}
    for it in seen:
        if it.key:
            holders.setdefault(it.key, []).append(it.machine.name)
    for names in holders.values():
        if len(names) > 1:
            yield f"note: {listed(names)} show the same host key: copied with the image? `ssh-keygen -A` makes new ones"
    if new:
        yield _COMPARE


def _line(it: KeyResult) -> str:
    machine: SshHost = it.machine
    address = f"[{machine.host}]" if ":" in machine.host else machine.host
    shown = f" {it.fingerprint} ({(it.key or '').partition(' ')[0]})" if it.key else ""
    return f"{machine.name} {address}:{machine.port}{shown} {it.reason}"
