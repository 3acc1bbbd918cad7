"""The clients of a volume, as its servers know them: one of the minions asks, with the gluster command.

glusterd answers ``volume status VOLUME clients`` to whoever reaches it, peer or not, and takes a lock of the whole
cluster for it: so it is asked once, however many minions there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from xml.etree import ElementTree

from connectors.login_shell import announced, as_root
from connectors.ssh import ConnectError, connect, run
from ops.endpoints import SocketAddress, endpoint_of
from ops.look import CONNECT_SECONDS, first_line
from ops.recorded import Mount
from settings import Minion

CLIENTS = Path(__file__).with_name("scripts") / "clients.sh"
#: The script goes from server to server for 30 s, and may then have begun with the last.
SILENT_SECONDS = 50
_WIDEST = 64 << 20


class NotToldError(Exception):
    """The servers did not tell their clients; the text is why."""


@dataclass(frozen=True, kw_only=True)
class Client:
    """One connection of a client's to a brick, and the highest op-version that client's program supports."""

    at: SocketAddress
    op_version: int


async def clients_of(minion: Minion, mount: Mount) -> tuple[Client, ...]:
    """Have ``minion`` ask the servers of ``mount``; bounded in time. Raises NotToldError."""
    try:
        connection = await connect(minion, timeout=CONNECT_SECONDS)
        async with connection:
            result = await run(connection, command(mount), timeout=SILENT_SECONDS)
    except ConnectError as error:
        raise NotToldError(str(error)) from None
    if result.exit_status != 0:
        raise NotToldError(first_line(result.stderr) or f"exit status {result.exit_status}")
    return read(result.stdout)


def command(mount: Mount) -> str:
    """The command line that asks the servers, the one first that the mount asks first."""
    script = CLIENTS.read_text(encoding="utf-8")
    return announced(*as_root(sudo=mount.sudo), "sh", "-c", script, "clients", mount.volume, *mount.servers)


def read(xml: bytes) -> tuple[Client, ...]:
    """Read what ``gluster volume status VOLUME clients --xml`` printed. Raises NotToldError, for a refusal too.

    A brick that is down tells none. A client whose address is no IP address (a Unix socket) is left out.
    """
    if len(xml) > _WIDEST:
        raise NotToldError(f"an answer of {len(xml) >> 20} MiB is not read")
    try:
        root = ElementTree.XML(xml, parser=ElementTree.XMLParser(target=_Plain()))  # noqa: S314 (see _Plain)
        if root.findtext("opRet") != "0":
            said = root.findtext("opErrstr") or root.findtext("output") or "gluster gave no reason"
            raise NotToldError(said)
        return tuple(_clients(root))
    except (ElementTree.ParseError, ValueError) as error:
        raise NotToldError(f"gluster's answer cannot be read ({error})") from None


def _clients(root: ElementTree.Element) -> Iterator[Client]:
    for client in root.iterfind("volStatus/volumes/volume/node/clientsStatus/client"):
        at, op_version = endpoint_of(client.findtext("hostname", "")), int(client.findtext("opVersion", ""))
        if at is not None:
            yield Client(at=at, op_version=op_version)


class _Plain(ElementTree.TreeBuilder):
    """Takes no document type: without one there are no entities, by which a short answer becomes an endless one."""

    def doctype(self, name: str, public: str | None, system: str | None) -> NoReturn:
        """Refuse; gluster never writes one."""
        del name, public, system
        raise ValueError("it has a document type")
