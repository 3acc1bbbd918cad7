"""Ways to get a directory onto a volume through a minion: ours, and the peers that it is compared with."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import asyncssh

from components.remote_script import argv
from connectors import KEY_VARIABLE, ssh
from settings import Minion

OURS = "ours"


@dataclass(frozen=True, kw_only=True)
class Ground:
    """The minions as they are reached here, the first the one that is copied through; where things are."""

    minions: Sequence[Minion]
    source: Path
    mount: str
    volume: str
    scratch: Path

    @property
    def through(self) -> Minion:
        """The minion that peers copy through, and that publishes."""
        return self.minions[0]

    @staticmethod
    def directory(name: str) -> str:
        """The name of a contender's own directory on the volume."""
        return f"bench-{name}"

    def target(self, name: str) -> str:
        """Where that is on a minion."""
        return f"{self.mount}/{self.directory(name)}"

    def ssh(self, minion: Minion | None = None) -> list[str]:
        """The ssh command up to the command it is to run there (None: on the one copied through), with its host."""
        minion = minion or self.through
        known = self.scratch / f"known_hosts-{minion.name}"
        known.write_text(f"[{minion.host}]:{minion.port} {minion.host_key}\n")
        words = ["ssh", "-F", "none", "-p", str(minion.port), "-o", f"UserKnownHostsFile={known}"]
        words += ["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "GlobalKnownHostsFile=/dev/null"]
        if text := os.environ.get(KEY_VARIABLE):
            key = self.scratch / "key"
            key.touch(mode=0o600)
            key.write_text(text.strip() + "\n")
            words += ["-o", "IdentitiesOnly=yes", "-i", str(key)]
        return [*words, f"{minion.user}@{minion.host}"]

    def there(self, *words: str, root: bool = False) -> str:
        """Run a command on the minion; give what it wrote. Raises RuntimeError."""
        return must([*self.ssh(), self.as_root(*words) if root else argv(*words)])

    def as_root(self, *words: str) -> str:
        """The command line that has root run ``words`` there."""
        return argv(*(("sudo", "-n") if self.through.user != "root" else ()), *words)

    def make(self, name: str) -> None:
        """Make a peer's directory, which then belongs to who copies: so no peer needs sudo."""
        self.there("mkdir", "-p", self.target(name), root=True)
        self.there("chown", self.through.user, self.target(name), root=True)

    def set_aside(self, name: str) -> None:
        """Give it another name, because a deletion slows the next creations for minutes (ext4, the bricks)."""
        self._with(name, 'mv -T -- "$1" "$1.$(date +%s)"')

    def remove(self, name: str) -> None:
        """Remove it, and what was set aside, with all that is in it."""
        self._with(name, 'rm -rf -- "$1" "$1".[0-9]*')

    def _with(self, name: str, script: str) -> None:
        self.there("sh", "-c", script, "sh", self.target(name), root=True)


def must(words: Sequence[str], **options: Any) -> str:
    """Run a command that has to succeed; give its stdout. Raises RuntimeError with what it said."""
    try:
        done = subprocess.run(words, capture_output=True, check=False, **{"stdin": subprocess.DEVNULL, **options})
    except OSError as error:
        raise RuntimeError(f"{words[0]} cannot be run here ({error.strerror}); install it") from None
    if done.returncode != 0:
        raise RuntimeError(
            f"{shlex.join(words[:1])} failed ({done.returncode}): {done.stderr.decode().strip()[-2000:]}"
        )
    return str(done.stdout.decode())


@dataclass(frozen=True, kw_only=True)
class Contender(ABC):
    """One way, called ``name``, to get ``ground.source`` onto the volume."""

    ground: Ground
    name: ClassVar[str]

    @abstractmethod
    def put(self) -> None:
        """Make what is on the volume as the source is: copy, from nothing or over what is there."""

    def set_aside(self) -> None:
        """Have nothing where it copies to, and delete nothing for that."""
        self.ground.set_aside(self.name)

    def clear(self) -> None:
        """Remove every copy."""
        self.ground.remove(self.name)


@dataclass(frozen=True, kw_only=True)
class Rsync(Contender):
    """``rsync -a --delete`` over ssh."""

    name: ClassVar[str] = "rsync"
    program: str = "rsync"
    remote_program: str = "rsync"

    def check(self) -> None:
        """Check that it is on both sides. Raises RuntimeError."""
        must([self.program, "--version"])
        try:
            self.ground.there(self.remote_program, "--version")
        except RuntimeError as error:
            name = self.ground.through.name
            raise RuntimeError(
                f"minion {name} has no {self.remote_program}: apt-get install rsync there ({error})"
            ) from None

    def put(self) -> None:
        """Copy what differs by size and time, as it does by itself."""
        *words, host = self.ground.ssh()
        if not self.ground.there("sh", "-c", f"[ -d {shlex.quote(self.ground.target(self.name))} ] && echo there || :"):
            self.ground.make(self.name)
        target = f"{host}:{self.ground.target(self.name)}/"
        program = [self.program, "-a", "--delete", f"--rsync-path={self.remote_program}", "-e", shlex.join(words)]
        must([*program, f"{self.ground.source}/", target])


@dataclass(frozen=True, kw_only=True)
class Tar(Contender):
    """``tar | ssh tar``."""

    name: ClassVar[str] = "tar"

    def put(self) -> None:
        """Copy everything."""
        self.ground.make(self.name)
        with subprocess.Popen(["tar", "-C", str(self.ground.source), "-cf", "-", "."], stdout=subprocess.PIPE) as tar:
            must([*self.ground.ssh(), argv("tar", "-C", self.ground.target(self.name), "-xf", "-")], stdin=tar.stdout)
        if tar.returncode != 0:
            raise RuntimeError(f"tar failed ({tar.returncode})")


@dataclass(frozen=True, kw_only=True)
class Sftp(Contender):
    """The requests that pulumi-command's CopyToRemote makes (1.2: copyDir of copyController.go), one after the other.

    A directory is checked and made; a file is opened, written and closed. A file takes three round trips.
    """

    name: ClassVar[str] = "sftp"

    def put(self) -> None:
        """Copy everything."""
        self.ground.make(self.name)
        asyncio.run(self._put())

    async def _put(self) -> None:
        root = self.ground.target(self.name)
        connection = await ssh.connect(self.ground.through)
        async with connection, connection.start_sftp_client() as sftp:
            for directory, _, names in os.walk(self.ground.source):
                inside = Path(directory).relative_to(self.ground.source)
                there = f"{root}/{inside}"
                if not await sftp.exists(there):
                    await sftp.mkdir(there)
                for name in names:
                    content = await asyncio.to_thread(Path(directory, name).read_bytes)
                    async with await _created(sftp, f"{there}/{name}") as remote:
                        await remote.write(content)


@dataclass(frozen=True, kw_only=True)
class Least(Contender):
    """A connection to each minion, side by side, and nothing done there: no less than that has each of them confirm."""

    name: ClassVar[str] = "least"

    def put(self) -> None:
        """Copy nothing. Raises RuntimeError where one is not reached."""
        words = [[*self.ground.ssh(minion), "true"] for minion in self.ground.minions]
        running = [subprocess.Popen(it, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for it in words]
        if failed := [it.args[-2] for it in running if it.wait()]:  # type: ignore[index]
            raise RuntimeError(f"ssh to {failed[0]!r} failed")


@dataclass(frozen=True, kw_only=True)
class LeastFirst(Contender):
    """Eight plain tars at once, and on the other minions sha256sum behind them: no less has each of them read all.

    Nothing is locked, marked whole or made live, and what they say is compared with nothing.
    """

    name: ClassVar[str] = Least.name
    at_once: int = 8
    readers: int = 4
    files: int = 200

    def put(self) -> None:
        """Copy everything."""
        asyncio.run(self._put())

    async def _put(self) -> None:
        source, target = self.ground.source, self.ground.target(self.name)
        names = sorted(str(it.relative_to(source)) for it in source.rglob("*") if it.is_file())
        shares = iter([names[at : at + self.files] for at in range(0, len(names), self.files)])
        through, *others = await asyncio.gather(*map(ssh.connect, self.ground.minions))
        # As publish.sh has it: with one call to write a small file, and none for its time, owner and mode.
        unpack = ("tar", "-x", "-b", "512", "-m", "--no-same-owner", "--no-same-permissions", "-C", target, "-f", "-")
        made = self.ground.as_root("install", "-d", "-o", self.ground.through.user, target)
        await _done(through, made, b"")
        turns = [(connection, asyncio.Semaphore(self.readers)) for connection in others]
        reading: list[asyncio.Task[None]] = []

        async def write() -> None:
            for share in shares:
                packed = await asyncio.to_thread(_packed, source, share)
                await _done(through, argv(*unpack), packed)
                reading.extend(asyncio.create_task(read(*it, share)) for it in turns)

        async def read(connection: asyncssh.SSHClientConnection, turn: asyncio.Semaphore, share: Sequence[str]) -> None:
            paths = "".join(f"{target}/{name}\0" for name in share)
            async with turn:
                await _done(connection, argv("xargs", "-0", "sha256sum", "-z"), paths.encode())

        await asyncio.gather(*(write() for _ in range(self.at_once)))
        await asyncio.gather(*reading)
        for connection in (through, *others):
            connection.close()


def _packed(source: Path, names: Sequence[str]) -> bytes:
    listed = "".join(f"{name}\0" for name in names).encode()
    words = ["tar", "-C", str(source), "--null", "-T", "-", "-cf", "-"]
    return subprocess.run(words, input=listed, capture_output=True, check=True).stdout


async def _done(connection: asyncssh.SSHClientConnection, command: str, data: bytes) -> None:
    done = await ssh.run(connection, command, input=data, timeout=120)
    if done.exit_status:
        raise RuntimeError(f"{command.split(maxsplit=1)[0]} failed ({done.exit_status}): {done.stderr.strip()[-2000:]}")


async def _created(sftp: asyncssh.SFTPClient, path: str) -> asyncssh.SFTPClientFile:
    return await sftp.open(path, asyncssh.FXF_WRITE | asyncssh.FXF_CREAT | asyncssh.FXF_TRUNC, encoding=None)


@dataclass(frozen=True, kw_only=True)
class Publisher(Contender):
    """``python -m publisher publish``, as the program runs it: verified through every other minion, then live."""

    name: ClassVar[str] = OURS

    def put(self) -> None:
        """Publish what differs from what a slot holds."""
        self.publish()

    def publish(self) -> dict[str, Any]:
        """The same; give what it says of itself."""
        return dict(json.loads(must([*self._words("publish"), "--source", str(self.ground.source)])))

    def plan(self) -> None:
        """What a preview does, and an `up` with nothing changed: read the content, compare its manifest."""
        program = "import sys; from pathlib import Path; from publisher import scan; from publisher.plan import plan"
        must([sys.executable, "-c", f"{program}; plan(scan.read(Path(sys.argv[1])))", str(self.ground.source)])

    def _words(self, verb: str) -> list[str]:
        inventory = self.ground.scratch / "inventory.yaml"
        entries = [minion.model_dump(mode="json", by_alias=True, exclude_none=True) for minion in self.ground.minions]
        inventory.write_text(json.dumps({"minions": entries}))
        names = ",".join(f"{minion.name}@" for minion in self.ground.minions)
        words = [sys.executable, "-m", "publisher", verb, "--inventory", str(inventory), "--minions", names]
        words += ["--mount-path", self.ground.mount, "--volume", self.ground.volume]
        return [*words, "--site", self.ground.directory(self.name)]
