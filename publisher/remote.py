"""publish.sh on one minion, verb by verb."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NoReturn

import asyncssh

from components.remote_script import RemoteScript
from connectors import ssh
from publisher.history import Note, Record, parse_log
from publisher.manifest import RESERVED, Manifest, ManifestError
from publisher.slots import SiteState, Slot
from settings import Minion

SCRIPT = RemoteScript(name="publish")
#: How long a verb may show no sign of life. A volume that lost a brick's host stalls for up to twice its
#: ping-timeout (84 s at the default of 42) and then goes on.
PATIENCE_SECONDS = 120
#: Bytes a second at which a minion reads a large file, at the least: many may read it at once.
SLOWEST_READER = 1 << 20
#: After so long without a sign of life from us the lock is taken from us, and our writers are ended.
SILENCE_SECONDS = 60


class PublishError(Exception):
    """A site could not be published. The text names the minion or path, the reason and the remedy."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a site is on every minion: directory ``site`` of the Gluster volume ``volume``, mounted at ``mount``."""

    mount: str
    volume: str
    site: str

    @property
    def path(self) -> str:
        """The site's directory."""
        return f"{self.mount}/{self.site}"


@dataclass(frozen=True, kw_only=True)
class RemoteSite:
    """The site at ``place``, as ``minion`` reaches it.

    Every method runs one verb of publish.sh. Raises PublishError with what the script said, or ConnectError.
    """

    minion: Minion
    connection: asyncssh.SSHClientConnection
    place: Place

    @property
    def path(self) -> str:
        """Where the site is on every minion."""
        return self.place.path

    async def state(self) -> SiteState:
        """What the slots hold. Fails where the volume is not mounted or the site directory is not ours."""
        return SiteState.parse(await self._run("state"))

    async def glance(self) -> SiteState:
        """The same, but by each slot's own word for what it holds: quick, and no proof."""
        return SiteState.parse(await self._run("glance"))

    async def log(self) -> list[Record]:
        """The release log, the oldest flip first."""
        return parse_log(await self._run("log"))

    async def manifest(self, slot: Slot) -> Manifest:
        """The manifest of a whole slot."""
        text = await self._run("manifest", slot)
        try:
            return Manifest.parse(text.decode())
        except (ManifestError, UnicodeDecodeError) as error:
            raise PublishError(
                f"minion {self.minion.name}: the manifest of slot {slot} at {self.path} is damaged ({error});"
                f" remove {self.path}/slots/{slot}.manifest there and run again"
            ) from None

    async def live(self) -> tuple[Slot, str]:
        """The slot and the release that this minion sees through `html`."""
        seen = json.loads(await self._run("live"))
        return seen["slot"], seen["release"]

    async def digests(
        self, slot: Slot, paths: Iterable[bytes], *, links: bool = False, size: int = 0
    ) -> dict[bytes, str]:
        """The SHA-256 of files (or of links' targets) as this minion reads them; without the unreadable.

        Nothing may be heard of a large file for as long as it takes to read it: so of ``size`` bytes in all.
        """
        verb = "link_digests" if links else "digests"
        patience = PATIENCE_SECONDS + size / SLOWEST_READER
        # A file called - would be their standard input to the programs that read it.
        listed = await self._run(verb, slot, input=_terminated(b"./" + path for path in paths), patience=patience)
        return {record[68:]: record[:64].decode() for record in listed.split(b"\0") if record}

    async def paths(self, slot: Slot) -> dict[bytes, str]:
        """What is in the slot besides directories and what is the publisher's own, with find's letter for its type."""
        listed = (await self._run("paths", slot)).split(b"\0")[:-1]
        return {record[2:]: record[:1].decode() for record in listed if record[2:] not in RESERVED}

    @asynccontextmanager
    async def hold(self, token: str, holder: str) -> AsyncIterator[bytes]:
        """Hold the site's lock; give the line that is said once it is held, for a site of ours its state.

        It is given up on leaving, and when this connection is gone.
        """
        command = self._command("hold", token, holder, str(SILENCE_SECONDS))
        async with ssh.hold(self.connection, command, timeout=PATIENCE_SECONDS) as said:
            if isinstance(said, ssh.Result):
                self._fail(said)
            yield said

    async def begin(self, token: str, slot: Slot, *, fresh: bool, remove: Iterable[bytes] = ()) -> None:
        """Mark the slot incomplete and empty it (``fresh``) or remove paths from it."""
        await self._run("begin", token, slot, "fresh" if fresh else "delta", input=_terminated(remove))

    async def extract(self, token: str, slot: Slot, stream: AsyncIterable[bytes]) -> None:
        """Write a tar stream into the slot."""
        await self._run("extract", token, slot, input=stream)

    async def flip(self, token: str, slot: Slot, release: str, note: Note) -> Record:
        """Make the slot, which is not live, live; give what the log says of it."""
        return self._record(await self._run("flip", token, slot, release, note.text()))

    async def release(self, token: str, slot: Slot, manifest: Manifest, note: Note) -> Record:
        """Declare that the slot holds ``manifest``, and make it live: `commit` and `flip` in one."""
        text = manifest.text.encode()
        return self._record(await self._run("release", token, slot, manifest.release, note.text(), input=text))

    def _record(self, text: bytes) -> Record:
        said = parse_log(text)
        if not said:
            raise PublishError(
                f"minion {self.minion.name}: publish.sh did not say what it wrote to the release log of {self.path};"
                " see what is live with `python -m ops releases`, then run again"
            )
        return said[-1]

    async def unflip(self, token: str, slot: Slot | None, note: Note) -> bool:
        """Point `html` back to ``slot``, or to nothing; False when it does already."""
        return bool(parse_log(await self._run("unflip", token, slot or "-", note.text())))

    async def distrust(self, token: str, slot: Slot) -> None:
        """Declare that the slot holds no whole release: the next publish goes by that."""
        await self._run("distrust", token, slot)

    async def remove(self, token: str, release: str) -> bool:
        """Delete the site's slots and link while ``release`` is live; False when it is not."""
        said = await self._run("remove", token, release)
        return bool(json.loads(said.splitlines()[-1])["removed"])

    def _command(self, verb: str, *words: str) -> str:
        place = (self.place.mount, self.place.volume, self.place.site)
        return SCRIPT.inline(verb, self.minion.name, *place, *words, sudo=self.minion.user != "root")

    async def _run(
        self,
        verb: str,
        *words: str,
        input: bytes | AsyncIterable[bytes] = b"",  # noqa: A002
        patience: float = PATIENCE_SECONDS,
    ) -> bytes:
        result = await ssh.run(self.connection, self._command(verb, *words), input=input, timeout=patience)
        if result.exit_status != 0:
            self._fail(result)
        return result.stdout

    def _fail(self, result: ssh.Result) -> NoReturn:
        said = [line.strip() for line in result.stderr.splitlines() if line.strip()]
        name = f"minion {self.minion.name}"
        if said and said[-1].startswith(f"{name}: "):
            raise PublishError(said[-1] + (f" [{said[0]}]" if len(said) > 1 else ""))
        raise PublishError(
            f"{name}: publish.sh ended with status {result.exit_status}"
            f" ({said[-1] if said else 'it said nothing'}); see that the machine is well, then run again"
        )


def _terminated(paths: Iterable[bytes]) -> bytes:
    return b"".join(path + b"\0" for path in paths)
