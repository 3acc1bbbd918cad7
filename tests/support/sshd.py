"""Minions on the loopback: asyncssh servers that run the commands they get, for real, on this machine.

A minion sees a directory as "the mounted volume": a mount namespace of its own shows the command a mountinfo in
which that directory is a Gluster mount. Two minions with one directory share a volume. Nothing else is pretended.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

import asyncssh

from connectors.login_shell import announced, is_announced
from settings import Minion

_T = TypeVar("_T")
# The shell's own pid survives exec, so the command that takes its place reads the mountinfo bound over it.
_NAMESPACE = 'mount --bind "$1" /proc/$$/mountinfo && shift && exec "$@"'


def mountinfo_line(directory: Path, fstype: str = "fuse.glusterfs") -> str:
    """The line with which the kernel would show ``directory`` as a mount of its own."""
    device = directory.stat().st_dev
    point = str(directory).replace("\\", "\\134").replace(" ", "\\040").replace("\t", "\\011")
    number = f"{os.major(device)}:{os.minor(device)}"
    return f"77 1 {number} / {point} rw,relatime - {fstype} gluster-1:/MyVolume rw\n"


def in_namespace(mountinfo: Path, *command: str) -> list[str]:
    """``command`` where /proc/self/mountinfo is ``mountinfo``."""
    return ["unshare", "--mount", "sh", "-c", _NAMESPACE, "sh", str(mountinfo), *command]


@dataclass(kw_only=True, repr=False)
class LoopbackMinion:
    """An SSH server on 127.0.0.1: what it is, what it was asked, and how it is to misbehave."""

    name: str
    port: int
    host_key: str
    host_keys: list[str]
    mountinfo: Path
    user: str = "root"
    commands: list[str] = field(default_factory=list)
    connections: int = 0
    forwarding: bool = True
    #: The words with which the login shell runs a command.
    login: Callable[[str], list[str]] = lambda command: ["sh", "-c", f"exec {command}"]
    #: Changes each command before it runs. What it puts in place of one of ours begins like that.
    tamper: Callable[[str], str] = lambda command: command
    #: Whether it is gone, with all its connections, when it is asked for a command.
    dies: Callable[[str], bool] = lambda command: False
    running: set[asyncio.subprocess.Process] = field(default_factory=set)

    def entry(self, **changed: Any) -> Minion:
        """This minion as the inventory has it."""
        settings: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": self.port,
            "user": self.user,
            "host_key": self.host_key,
        }
        return Minion(name=self.name, **(settings | changed))

    async def handle(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """Run what a client asks for, and end it when the client goes, as sshd does: by the end of its stdin."""
        asked = process.command or ""
        command = self.tamper(asked)
        if is_announced(asked) and not is_announced(command):
            command = announced("sh", "-c", command)
        self.commands.append(command)
        if self.dies(command):
            process.channel.get_connection().abort()
            return
        child = await asyncio.create_subprocess_exec(
            *in_namespace(self.mountinfo, *self.login(command)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        self.running.add(child)
        assert child.stdin
        feeding = asyncio.ensure_future(self._feed(process, child.stdin))
        try:
            await asyncio.gather(_copy(child.stdout, process.stdout), _copy(child.stderr, process.stderr))
            process.exit(await child.wait())
        finally:
            feeding.cancel()
            child.stdin.close()
            await child.wait()
            self.running.discard(child)

    async def _feed(self, process: asyncssh.SSHServerProcess[bytes], stdin: asyncio.StreamWriter) -> None:
        try:
            while chunk := await process.stdin.read(1 << 16):
                stdin.write(chunk)
                await stdin.drain()
        except (ConnectionError, asyncssh.Error):
            pass
        finally:
            stdin.close()


async def _copy(source: asyncio.StreamReader | None, target: asyncssh.SSHWriter[bytes]) -> None:
    assert source
    while chunk := await source.read(1 << 16):
        try:
            target.write(chunk)
            await target.drain()
        except (ConnectionError, asyncssh.Error):
            return


class _Server(asyncssh.SSHServer):
    def __init__(self, minion: LoopbackMinion) -> None:
        self._minion = minion

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        del conn
        self._minion.connections += 1

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        del dest_host, dest_port, orig_host, orig_port
        if not self._minion.forwarding:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "open failed")
        return True


class Loopback:
    """The minions of a test, served by a thread of their own; a context manager. ``key`` lets in."""

    def __init__(self, directory: Path) -> None:
        """Keep what the servers need in ``directory``."""
        self._directory = directory
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._servers: list[asyncssh.SSHAcceptor] = []
        self.minions: list[LoopbackMinion] = []
        self.key = asyncssh.generate_private_key("ssh-ed25519")
        self.private_key = self.key.export_private_key().decode()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            self._do(_stopped(server))
        for minion in self.minions:
            for child in list(minion.running):
                with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
                    os.killpg(child.pid, signal.SIGKILL)
        self._do(self._settled())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def minion(self, name: str, volume: Path | None, *, kinds: Sequence[str] = ("ssh-ed25519",)) -> LoopbackMinion:
        """Start a minion that has ``volume`` mounted; None: nothing is mounted there.

        Its host keys are new ones of ``kinds``, the first being the one that it is known by.
        """
        mountinfo = self._directory / f"{name}.mountinfo"
        mountinfo.write_text("" if volume is None else mountinfo_line(volume))
        host_keys = [asyncssh.generate_private_key(kind) for kind in kinds]
        public = [" ".join(key.export_public_key().decode().split()[:2]) for key in host_keys]
        minion = LoopbackMinion(name=name, port=0, host_key=public[0], host_keys=public, mountinfo=mountinfo)
        server = self._do(self._listen(minion, host_keys))
        minion.port = server.get_port()
        self._servers.append(server)
        self.minions.append(minion)
        return minion

    async def _listen(self, minion: LoopbackMinion, host_keys: Sequence[asyncssh.SSHKey]) -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=lambda: _Server(minion),
            server_host_keys=host_keys,
            authorized_client_keys=asyncssh.import_authorized_keys(self.key.export_public_key().decode()),
            process_factory=minion.handle,
            sftp_factory=True,
            encoding=None,
        )

    def stop(self, minion: LoopbackMinion) -> None:
        """Shut a minion's server: new connections are refused."""
        self._do(_stopped(self._servers[self.minions.index(minion)]))

    def _do(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _settled(self) -> None:
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        _, late = await asyncio.wait(tasks, timeout=5) if tasks else (set(), set())
        for task in late:
            task.cancel()


async def _stopped(server: asyncssh.SSHAcceptor) -> None:
    server.close()
    await server.wait_closed()
