"""Proxies on the loopback: a SOCKS5 server (RFC 1928), and an HTTP proxy. Both lead to one API server."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast

_BY_NAME = 3


@dataclass(kw_only=True)
class Proxy:
    """Where a proxy listens, and for which servers (and with which login) it was asked."""

    port: int = 0
    asked: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)


@contextmanager
def socks_proxy(target: int) -> Iterator[Proxy]:
    """Serve SOCKS5 without a login; whatever is asked for, the connection leads to port ``target`` of this machine."""
    proxy = Proxy()

    class Socks(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            _, methods = self.rfile.read(2)
            self.rfile.read(methods)
            self.wfile.write(b"\5\0")
            *_, kind = self.rfile.read(4)
            by_name = kind == _BY_NAME
            host = self.rfile.read(self.rfile.read(1)[0]).decode() if by_name else socket.inet_ntoa(self.rfile.read(4))
            (port,) = struct.unpack(">H", self.rfile.read(2))
            proxy.asked.append(f"{host}:{port}")
            self.wfile.write(b"\5\0\0\1" + bytes(6))
            with socket.create_connection(("127.0.0.1", target)) as server:
                back = threading.Thread(target=_copy, args=(server, self.request), daemon=True)
                back.start()
                _copy(cast("socket.socket", self.request), server)
                back.join(10)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Socks) as listening:
        listening.daemon_threads = True
        proxy.port = listening.server_address[1]
        threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True).start()
        yield proxy
        listening.shutdown()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(1 << 16):
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)


@contextmanager
def http_proxy(answer: bytes) -> Iterator[Proxy]:
    """Serve as an HTTP proxy that has ``answer`` for every server."""
    proxy = Proxy()

    class Http(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            proxy.asked.append(self.path)
            proxy.logins.append(self.headers.get("Proxy-Authorization", ""))
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
            del format, args

    with ThreadingHTTPServer(("127.0.0.1", 0), Http) as listening:
        proxy.port = listening.server_port
        threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True).start()
        yield proxy
        listening.shutdown()
