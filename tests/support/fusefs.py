"""A real FUSE file system in one file: what a Gluster client is to the kernel, without Gluster.

    fusefs.py [--read-only] [--pid-file=FILE] [--connection=ADDRESS:PORT,ADDRESS:PORT]... SOURCE MOUNTPATH

Runs as root, and returns when the mount stands; the server goes on alone. The mount's type is fuse.glusterfs and the
server's process name glusterfs, so nothing that looks at mountinfo or /proc can tell. It holds flat files in memory,
and open each connection from the first address to the second.
Signals change how it behaves from then on:

    SIGUSR1   never answers (requests are taken and kept), as when a brick's host has vanished
    SIGUSR2   answers everything with ENOTCONN, as when the quorum is lost
    SIGHUP    answers again, the requests it kept included
    SIGKILL   leaves a dead mount behind, as a crashed client does
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import socket
import stat
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

_IN = struct.Struct("<IIQQIIIHH")  # len opcode unique nodeid uid gid pid extlen padding
_OUT = struct.Struct("<IiQ")  # len error unique
_ATTR = struct.Struct("<QQQQQQIIIIIIIIII")
_ROOT = 1
_BUFFER = 0x21000  # the largest write, a page more for its header

_UNANSWERED = {2, 36, 42}  # FORGET, INTERRUPT, BATCH_FORGET
_SIZE_VALID = 1 << 3


class Volume:
    """Flat files in memory. A method gives a reply's body; an OSError becomes the reply's error."""

    def __init__(self) -> None:
        self.nodes: dict[int, bytearray] = {}
        self.names: dict[bytes, int] = {}
        self.last = _ROOT

    def attributes(self, node: int) -> bytes:
        """Give a struct fuse_attr."""
        if node == _ROOT:
            mode, size = stat.S_IFDIR | 0o755, 4096
        elif node in self.nodes:
            mode, size = stat.S_IFREG | 0o644, len(self.nodes[node])
        else:
            raise OSError(errno.ESTALE, "no such node")
        return _ATTR.pack(node, size, 1, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)

    def entry(self, node: int) -> bytes:
        """Give a struct fuse_entry_out, valid for a second as Gluster's are."""
        return struct.pack("<QQQQII", node, 0, 1, 1, 0, 0) + self.attributes(node)

    def lookup(self, name: bytes) -> bytes:
        """Give the entry of a name in the root."""
        if name not in self.names:
            raise OSError(errno.ENOENT, "no such file")
        return self.entry(self.names[name])

    def create(self, name: bytes) -> bytes:
        """Make an empty file; give its entry and an open handle."""
        self.last += 1
        self.names[name], self.nodes[self.last] = self.last, bytearray()
        return self.entry(self.last) + struct.pack("<QII", 0, 0, 0)

    def write(self, node: int, body: bytes) -> bytes:
        """Write, give the count."""
        _, offset, size = struct.unpack_from("<QQI", body)
        content = self.nodes[node]
        content.extend(bytes(max(0, offset - len(content))))
        content[offset : offset + size] = body[40 : 40 + size]
        return struct.pack("<II", size, 0)

    def listing(self) -> bytes:
        """Give the root's struct fuse_dirents."""
        entries = b""
        for position, (name, node) in enumerate([(b".", _ROOT), (b"..", _ROOT), *self.names.items()], start=1):
            entry = struct.pack("<QQII", node, position, len(name), 0) + name
            entries += entry.ljust((len(entry) + 7) & ~7, b"\0")
        return entries

    def setattr(self, node: int, body: bytes) -> bytes:
        """Truncate or extend, if that is asked; all else is taken and forgotten."""
        valid, _, _, size = struct.unpack_from("<IIQQ", body)
        if valid & _SIZE_VALID:
            self.nodes[node] = self.nodes[node][:size].ljust(size, b"\0")
        return self.getattr(node)

    def getattr(self, node: int) -> bytes:
        """Give a struct fuse_attr_out."""
        return struct.pack("<QII", 1, 0, 0) + self.attributes(node)

    def unlink(self, name: bytes) -> bytes:
        """Forget a name."""
        self.names.pop(name)
        return b""

    def read(self, node: int, body: bytes) -> bytes:
        """Give what is there of the bytes asked for."""
        _, offset, size = struct.unpack_from("<QQI", body)
        return bytes(self.nodes[node][offset : offset + size])


def _init(body: bytes) -> bytes:
    major, _, readahead, _ = struct.unpack_from("<IIII", body)
    return struct.pack("<IIIIHHIIHH8I", major, 31, readahead, 0, 12, 9, _BUFFER - 0x1000, 1, 32, 0, *[0] * 8)


def _name(body: bytes) -> bytes:
    return body.split(b"\0", 1)[0]


# What is asked by number, as in the kernel's fuse.h, and how it is answered: the volume, the node, the request's body.
_ANSWERS: dict[int, Callable[[Volume, int, bytes], bytes]] = {
    1: lambda volume, _, body: volume.lookup(_name(body)),
    3: lambda volume, node, _: volume.getattr(node),
    4: lambda volume, node, body: volume.setattr(node, body),
    10: lambda volume, _, body: volume.unlink(_name(body)),
    14: lambda *_: struct.pack("<QII", 0, 0, 0),  # OPEN
    15: lambda volume, node, body: volume.read(node, body),
    16: lambda volume, node, body: volume.write(node, body),
    17: lambda *_: struct.pack("<QQQQQIII7I", 1000, 1000, 1000, 1000, 1000, 4096, 255, 4096, *[0] * 7),  # STATFS
    18: lambda *_: b"",  # RELEASE
    25: lambda *_: b"",  # FLUSH
    26: lambda _, __, body: _init(body),
    27: lambda *_: struct.pack("<QII", 0, 0, 0),  # OPENDIR
    28: lambda volume, _, body: volume.listing() if struct.unpack_from("<QQ", body)[1] == 0 else b"",
    29: lambda *_: b"",  # RELEASEDIR
    35: lambda volume, _, body: volume.create(_name(body[16:])),
    38: lambda *_: b"",  # DESTROY
}


class Server:
    """Reads requests from /dev/fuse and answers them as the last signal said."""

    def __init__(self, device: int) -> None:
        self.device = device
        self.volume = Volume()
        self.kept: list[bytes] = []
        self.behaviour = "answer"
        for number, behaviour in (
            (signal.SIGUSR1, "keep"),
            (signal.SIGUSR2, "refuse"),
            (signal.SIGHUP, "answer"),
        ):
            signal.signal(number, lambda *_, to=behaviour: self.behave(to))

    def behave(self, behaviour: str) -> None:
        """Change; what was kept is answered in the new way."""
        self.behaviour = behaviour
        if behaviour != "keep":
            kept, self.kept = self.kept, []
            for request in kept:
                self.reply(request)

    def run(self) -> None:
        """Serve until the mount is gone."""
        while True:
            try:
                request = os.read(self.device, _BUFFER)
            except OSError as error:
                if error.errno == errno.ENODEV:
                    return
                if error.errno in (errno.ENOENT, errno.EINTR, errno.EAGAIN):
                    continue
                raise
            if self.behaviour == "keep":
                self.kept.append(request)
            else:
                self.reply(request)

    def reply(self, request: bytes) -> None:
        """Answer one request."""
        _, opcode, unique, node, *_ = _IN.unpack_from(request)
        if opcode in _UNANSWERED:
            return
        error, body = -errno.ENOTCONN, b""
        if self.behaviour == "answer":
            try:
                error, body = 0, self.answer(opcode, node, request[_IN.size :])
            except OSError as failure:
                error = -(failure.errno or errno.EIO)
        try:
            os.write(self.device, _OUT.pack(_OUT.size + len(body), error, unique) + body)
        except OSError as failure:
            if failure.errno != errno.ENOENT:  # the one who asked was killed meanwhile
                raise

    def answer(self, opcode: int, node: int, body: bytes) -> bytes:
        """Give the reply's body; an OSError is the reply's error."""
        if opcode not in _ANSWERS:
            raise OSError(errno.ENOSYS, "not served")
        return _ANSWERS[opcode](self.volume, node, body)


def connected(ends: str, *, any_port: bool) -> socket.socket:
    """Connect as the option says. With this process the connection ends at once, so that the next can be the same."""
    local, remote = ((host, int(port)) for host, _, port in (end.rpartition(":") for end in ends.split(",")))
    if any_port:
        local = (local[0], 0)
    deadline = time.monotonic() + 10
    while True:
        connection = socket.socket(socket.AF_INET6 if ":" in local[0] else socket.AF_INET)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        try:
            connection.bind(local)
            connection.connect(remote)
        except OSError:
            connection.close()
            # The client before this one, of a mount that has just gone, may not have noticed yet.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return connection


def main() -> None:
    """Mount, then serve in a process of its own."""
    source, path = sys.argv[-2:]
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(15, b"glusterfs", 0, 0, 0)  # PR_SET_NAME
    options = [word.partition("=")[2] for word in sys.argv if word.startswith("--connection=")]
    # A trial runs beside the client whose ports the option names.
    connections = [connected(it, any_port="/beside/" in path) for it in options]
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    read_only = 1 if "--read-only" in sys.argv else 0
    data = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions,max_read=131072"
    if libc.mount(source.encode(), path.encode(), b"fuse.glusterfs", read_only, data.encode()):
        sys.exit(f"fusefs: cannot mount on {path}: {os.strerror(ctypes.get_errno())}")
    if child := os.fork():
        for option in sys.argv[1:]:
            if option.startswith("--pid-file="):
                Path(option.removeprefix("--pid-file=")).write_text(f"{child}\n")
        return
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    Server(device).run()
    del connections


if __name__ == "__main__":
    main()
