"""The clients of a volume, as its servers know them. One of the minions asks, with the gluster command.

glusterd answers ``volume status VOLUME clients`` to every machine, peer or not, and locks the whole cluster for it. So
it is asked once for all minions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from xml.etree import ElementTree

from connectors.login_shell import announced, as_root
from connectors.ssh import ConnectError, connect, run
from ops.comparison import CONNECT_SECONDS, first_line
from ops.endpoints import SocketAddress, endpoint_of
from ops.recorded_stack import Mount
from settings import Minion

CLIENTS = Path(__file__).with_name("scripts") / "clients.sh"
#: The script goes from server to server for 30 s, and may then have begun with the last.
SILENT_SECONDS = 50
_WIDEST = 64 << 20


class ClientsUnknownError(Exception):
    """The servers did not list their clients; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Client:
    """One connection of a client's to a brick, and the highest op-version that client's program supports."""

    at: SocketAddress
    op_version: int


async def clients_of(minion: Minion, mount: Mount) -> tuple[Client, ...]:
    """Have ``minion`` ask the servers of ``mount``; bounded in time. Raises ClientsUnknownError."""
    try:
        connection = await connect(minion, timeout=CONNECT_SECONDS)
        async with connection:
            result = await run(connection, command(mount), timeout=SILENT_SECONDS)
    except ConnectError as error:
        raise ClientsUnknownError(str(error)) from None
    if result.exit_status != 0:
        raise ClientsUnknownError(first_line(result.stderr) or f"exit status {result.exit_status}")
    return read(result.stdout)


def command(mount: Mount) -> str:
    """The command line that asks the servers, the one first that the mount asks first."""
    script = CLIENTS.read_text(encoding="utf-8")
    return announced(*as_root(sudo=mount.sudo), "sh", "-c", script, "clients", mount.volume, *mount.servers)


def read(xml: bytes) -> tuple[Client, ...]:
    """Read what ``gluster volume status VOLUME clients --xml`` printed. Raises ClientsUnknownError, for a refusal too.

    A brick that is down lists none. A client without an IP address (on a Unix socket) is left out.
    """
    if len(xml) > _WIDEST:
        raise ClientsUnknownError(f"an answer of {len(xml) >> 20} MiB is not read")
    try:
        root = ElementTree.XML(xml, parser=ElementTree.XMLParser(target=_Plain()))  # noqa: S314 (see _Plain)
        if root.findtext("opRet") != "0":
            said = root.findtext("opErrstr") or root.findtext("output") or "gluster gave no reason"
            raise ClientsUnknownError(said)
        return tuple(_clients(root))
    except (ElementTree.ParseError, ValueError) as error:
        raise ClientsUnknownError(f"gluster's answer cannot be read ({error})") from None


def _clients(root: ElementTree.Element) -> Iterator[Client]:
    for client in root.iterfind("volStatus/volumes/volume/node/clientsStatus/client"):
        at, op_version = endpoint_of(client.findtext("hostname", "")), int(client.findtext("opVersion", ""))
        if at is not None:
            yield Client(at=at, op_version=op_version)


class _Plain(ElementTree.TreeBuilder):
    """Refuses a document type, because entities could make a short answer endless."""

    def doctype(self, name: str, public: str | None, system: str | None) -> NoReturn:
        """Refuse; gluster never writes one."""
        del name, public, system
        raise ValueError("it has a document type")
