"""The two ends of TCP connections, as /proc/net/tcp and as Gluster's servers write them."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

#: /proc/net/tcp writes addresses as hexadecimal words of four bytes.
_WORD = 8


@dataclass(frozen=True, kw_only=True)
class SocketAddress:
    """An address and a port. The local one of a connection identifies it, unless the address is a loopback address."""

    address: IPv4Address | IPv6Address
    port: int


@dataclass(frozen=True, kw_only=True)
class Connection:
    """A TCP connection of a minion's: from ``local`` to ``remote``."""

    local: SocketAddress
    remote: SocketAddress


def connection_of(text: str) -> Connection:
    """Read "LOCAL REMOTE" as /proc/net/tcp and tcp6 have them. Raises ValueError.

    Their words are in the byte order of the machine. It is taken for little-endian; one of s390x has addresses then
    that no server knows.
    """
    local, remote = (_kernels(word) for word in text.split(" "))
    return Connection(local=local, remote=remote)


def _kernels(text: str) -> SocketAddress:
    digits, _, port = text.partition(":")
    words = (digits[start : start + _WORD] for start in range(0, len(digits), _WORD))
    packed = b"".join(bytes.fromhex(word)[::-1] for word in words)
    return SocketAddress(address=_plain(ip_address(packed)), port=int(port, 16))


def endpoint_of(text: str) -> SocketAddress | None:
    """Read "ADDRESS:PORT" as a brick writes its clients (IPv6 without brackets); None for another text."""
    address, _, port = text.rpartition(":")
    try:
        return SocketAddress(address=_plain(ip_address(address)), port=int(port))
    except ValueError:
        return None


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """An IPv4 address also when a socket for both wrote it."""
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address
