"""``python -m connectors.reach --minion ENTRY``: checks that a minion's SSH server answers within 15 s.

With ``--node`` it also checks that the minion is the machine of that Kubernetes node (``cluster.identity``).

GlusterMount runs it before each mount, and a drain does the same check before an unmount. The reason: Pulumi's provider
limits the time of the TCP connection only (pulumi-command 1.2.1, ``connection.go``). If a server accepts the connection
and then hangs, as on a machine out of memory, the provider waits forever. Through a bastion it waits as long as the
bastion dials.

Without a bastion the server's first line is enough. Only what that needs is imported, because a hundred minions are a
hundred of these commands. With a bastion it has to log in there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from cluster import identity
from connectors.cluster import Cluster, ClusterError, add_cluster_options, chosen_cluster
from connectors.ending import end
from connectors.login_shell import announced, as_root

TIMEOUT_SECONDS = 15
_GREETING = b"SSH-"
#: A server may say something else first (RFC 4253, 4.2), but not for ever.
_MOST_BYTES = 1 << 13
_SHOWN = 80
_PAUSE_SECONDS = 1.0
_NO_ENTRY = "--minion: no entry of an inventory"


class UnreachedError(Exception):
    """A minion did not answer. Names it, host:port, the reason and the remedy."""


class EntryError(Exception):
    """The value of ``--minion`` is not an entry of an inventory. The text says what is wrong with it."""


def reach(entry: str) -> str:
    """See that the minion of ``entry`` (``connectors.selection.entry_of``) answers; give its name.

    Raises UnreachedError, EntryError.
    """
    try:
        minion = json.loads(entry)
        name, host, port = str(minion["name"]), str(minion["host"]), int(minion["port"])
        check = _login(minion) if minion.get("bastion") else partial(_greeted, host, port)
    except (TypeError, KeyError) as error:
        raise EntryError(f"{_NO_ENTRY}: name, host and port are not all there ({error})") from None
    except ValueError as error:
        raise EntryError(f"{_NO_ENTRY}: {str(error).splitlines()[0]}") from None
    try:
        _again(check)
    except OSError as error:
        from connectors.ssh import explain  # noqa: PLC0415 (half a second, for those who are not reached only)

        raise UnreachedError(f"minion {name}: {host}:{port} {'; '.join(explain(error, TIMEOUT_SECONDS))}") from None
    return name


def verify(entry: str, node: str, cluster: Callable[[], Cluster]) -> str:
    """Verify that the minion of ``entry``, which answers, is the machine of ``node``; give a warning, or ''.

    Raises UnreachedError, ClusterError, IdentityError.
    """
    from connectors import ssh  # noqa: PLC0415 (a second of imports, for those who ask only)
    from settings import Minion  # noqa: PLC0415

    minion = Minion.model_validate(json.loads(entry))
    known = identity.nodes(cluster())
    if reason := identity.missing(minion.name, node, known):
        raise identity.IdentityError(reason)

    async def machine() -> identity.MachineIdentity:
        connection = await ssh.connect(minion, timeout=TIMEOUT_SECONDS)
        async with connection:
            # As the mount will be run: what the login or sudo has against that is an error before anything changes.
            question = announced(*as_root(sudo=minion.user != "root"), "sh", "-c", identity.QUESTION)
            answer = await ssh.run(connection, question, timeout=TIMEOUT_SECONDS)
        return identity.MachineIdentity.of(answer.stdout.decode("utf-8", errors="replace"), minion.host)

    try:
        return identity.verify(minion.name, node, asyncio.run(machine()), known)
    except ssh.ConnectError as error:
        raise UnreachedError(str(error)) from None


def _again(check: Callable[[float], None]) -> None:
    """Check, and check again if that fails and there is time: under load sshd refuses connections (MaxStartups)."""
    until = time.monotonic() + TIMEOUT_SECONDS
    try:
        check(until)
    except (OSError, UnreachedError):
        if time.monotonic() + _PAUSE_SECONDS >= until:
            raise
        time.sleep(_PAUSE_SECONDS)
        check(until)


def _greeted(host: str, port: int, until: float) -> None:
    """Wait for the line with which an SSH server begins, at any of the host's addresses; each gets its share of time.

    Raises OSError, TimeoutError being one.
    """
    failure: OSError = TimeoutError()
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for tried, (family, kind, protocol, _, address) in enumerate(addresses):
        try:
            by = time.monotonic() + _left(until) / (len(addresses) - tried)
            with socket.socket(family, kind, protocol) as connection:
                connection.settimeout(_left(by))
                connection.connect(address)
                _listen(connection, by)
        except OSError as error:
            failure = error
        else:
            return
    raise failure


def _left(until: float) -> float:
    if (left := until - time.monotonic()) <= 0:
        raise TimeoutError
    return left


def _listen(connection: socket.socket, until: float) -> None:
    heard = b""
    while not any(line.startswith(_GREETING) for line in heard.split(b"\n")):
        connection.settimeout(_left(until))
        more = connection.recv(1024)
        if not more or len(heard) > _MOST_BYTES:
            first = heard[:_SHOWN].split(b"\n")[0].decode("ascii", errors="replace").strip()
            raise OSError(f"no SSH server answers there, but says {first!r}" if first else "it hangs up at once")
        heard += more


def _login(minion: Mapping[str, Any]) -> Callable[[float], None]:
    """What logs in and out again until a time, or raises UnreachedError."""
    from connectors import ssh  # noqa: PLC0415 (it takes a second, so only where it is needed)
    from settings import Minion  # noqa: PLC0415

    entry = Minion.model_validate(minion)

    async def there_and_back(until: float) -> None:
        connection = await ssh.connect(entry, timeout=max(1, math.ceil(until - time.monotonic())))
        connection.close()
        await connection.wait_closed()

    def log_in(until: float) -> None:
        try:
            asyncio.run(there_and_back(until))
        except ssh.ConnectError as error:
            raise UnreachedError(str(error)) from None

    return log_in


def main(words: Sequence[str] | None = None) -> int:
    """Run the command; give its exit status: 0 reached, 1 not reached or another machine, 2 used wrongly."""
    parser = argparse.ArgumentParser(
        prog="python -m connectors.reach", description="See that a minion's SSH server answers, or say why not."
    )
    add_entry_option(parser, required=True)
    parser.add_argument(
        "--before", default="", help="what is to be done there; a new value makes Pulumi run the check again"
    )
    parser.add_argument("--node", help="the Kubernetes node that the minion must be")
    add_cluster_options(parser, required=False)
    parser.set_defaults(namespace="default")
    options = parser.parse_args(words)
    if options.node and not options.kubeconfig:
        parser.error("--node needs --kubeconfig")
    try:
        name = reach(options.minion)
        if options.node and (warning := verify(options.minion, options.node, lambda: chosen_cluster(options))):
            print(f"warning: {warning}", file=sys.stderr)
    except EntryError as error:
        parser.error(str(error))
    except (UnreachedError, ClusterError, identity.IdentityError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 1
    print(json.dumps({"minion": name}))
    return 0


def add_entry_option(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Give ``parser`` the option of whom to reach."""
    parser.add_argument("--minion", required=required, metavar="ENTRY", help="an entry of an inventory, as JSON")


if __name__ == "__main__":
    end(main())
