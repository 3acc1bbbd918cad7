"""A site directory that no publish made, taken over: what it serves becomes the live release, where it is."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, Self

from components.remote_script import RemoteScript
from connectors.ssh import ConnectError
from publisher.confirmation import NOBODY, Confirmation
from publisher.deployment import holder
from publisher.history import Note, Record, parse_log
from publisher.links import Links
from publisher.manifest import RESERVED, Entry, Manifest, escape
from publisher.parallel import in_batches, in_parts, together
from publisher.participants import assemble
from publisher.progress import Progress
from publisher.remote import SCRIPT, Place, PublishError, RemoteSite
from publisher.verify import READERS, verify_live
from settings import Minion

_ADOPT = RemoteScript(name="adopt")
_EXECUTABLE = 0o100
#: At most this many files are also read through another minion before anything is moved.
_SAMPLE = 200
_NAMED = 3

Docroot = Literal["auto", "html", "site"]


@dataclass(frozen=True, kw_only=True)
class Adoption:
    """What was adopted, as the log says it; ``gap`` milliseconds at most it was not there, None where that was before.

    ``odd`` says what of it a publish will not keep as it is.
    """

    record: Record
    gap: int | None
    odd: tuple[str, ...]
    publisher: str
    verified_by: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Adoptable:
    """What there is to adopt: the directory ``path``, or the rest of an adoption that ``is_cut_off``.

    ``odd`` says what of it a publish will not keep as it is.
    """

    path: str
    is_cut_off: bool
    files: int
    size: int
    odd: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class DirectoryEntry:
    """An entry of a directory: its kind as find(1) prints it, and what shows that it changed."""

    path: bytes
    type: str
    mode: int
    size: int
    mtime: str
    target: bytes


@dataclass(frozen=True, kw_only=True)
class ForeignSite(RemoteSite):
    """A site that no publish made, as a minion reaches it; the verbs of adopt.sh."""

    docroot: Docroot

    @classmethod
    def of(cls, site: RemoteSite, docroot: Docroot) -> Self:
        """The same minion and place."""
        return cls(minion=site.minion, connection=site.connection, place=site.place, docroot=docroot)

    async def survey(self) -> str:
        """What there is to adopt: "html", "site", or "cut" for an adoption that was cut off."""
        return str(json.loads(await self._run("survey"))["what"])

    async def listed(self) -> list[DirectoryEntry]:
        """Every entry but those whose names are the publisher's."""
        records = (await self._run("list")).split(b"\0")[:-1]
        found = []
        for stat, target in zip(records[::2], records[1::2], strict=True):
            kind, mode, size, mtime, path = stat.split(b" ", 4)
            if path not in RESERVED:
                found.append(
                    DirectoryEntry(
                        path=path,
                        type=kind.decode(),
                        mode=int(mode, 8),
                        size=int(size),
                        mtime=mtime.decode(),
                        target=target,
                    )
                )
        return found

    async def leaving(self) -> list[bytes]:
        """The relative links that lead out of what is served."""
        return [path.removeprefix(b"./") for path in (await self._run("leaving")).split(b"\0")[:-1]]

    async def hashed(self, paths: Iterable[bytes]) -> dict[bytes, str]:
        """The SHA-256 of files; without the unreadable."""
        listed = await self._run("digests", input=b"".join(b"./" + path + b"\0" for path in paths))
        return {record[68:]: record[:64].decode() for record in listed.split(b"\0") if record}

    async def take(self, token: str, manifest: Manifest, note: Note) -> tuple[Record, int]:
        """Move it into a slot; give the log's line, and for how many milliseconds at most it was not there."""
        said = await self._run("take", token, manifest.release, note.text(), input=manifest.text.encode())
        gap, line = said.splitlines()
        return parse_log(line)[0], int(json.loads(gap)["gap"])

    async def finish(self, token: str) -> Record:
        """End what was cut off; give the log's line."""
        return parse_log(await self._run("finish", token))[-1]

    def _command(self, verb: str, *words: str) -> str:
        place = (self.place.mount, self.place.volume, self.place.site)
        root = self.minion.user != "root"
        return _ADOPT.inline(SCRIPT.text, verb, self.minion.name, *place, self.docroot, *words, sudo=root)


async def adopt(
    minions: Sequence[Minion],
    place: Place,
    *,
    confirmation: Confirmation,
    docroot: Docroot,
    shared: Sequence[str] = (),
    progress: Progress,
) -> Adoption:
    """Take the site over, whose links may lead to the ``shared`` directories that pods have.

    Raises PublishError, ConnectError; until the last moment nothing is moved.
    """
    began = time.monotonic()
    async with assemble(
        minions,
        place,
        confirmation=confirmation,
        say=progress.say,
        proof=lambda site: ForeignSite.of(site, docroot).survey(),
    ) as participants:
        publisher = ForeignSite.of(participants.publisher, docroot)
        token, who, gap = secrets.token_hex(8), holder(), None
        odd: tuple[str, ...] = ()
        async with publisher.hold(token, who):
            if await publisher.survey() == "cut":
                progress.say("finishing an adoption that was cut off")
                record = await publisher.finish(token)
            else:
                found = await publisher.listed()
                odd = await _refusals(publisher, found, shared)
                manifest = await _manifest(publisher, found, progress)
                progress.say(f"verifying {len(_sample(manifest))} files through {participants.others}")
                await participants.each(partial(_verify, docroot=docroot, manifest=manifest))
                if changed := _changed(found, await publisher.listed()):
                    raise PublishError(f"{changed} while it was read; run again when nothing writes to {place.path}")
                record, gap = await publisher.take(token, manifest, Note(kind="adopted", who=who))
            if record.slot is None or record.release is None:
                raise PublishError(f"the release log of {place.path} does not say what was adopted; read it there")
            try:
                await participants.each(partial(verify_live, slot=record.slot, release=record.release), publisher=True)
            except (PublishError, ConnectError) as error:
                raise PublishError(f"{error}. It is adopted all the same: release {record.release} is live") from None
    return Adoption(
        record=record,
        gap=gap,
        odd=odd,
        publisher=publisher.minion.name,
        verified_by=participants.verified,
        seconds=round(time.monotonic() - began, 2),
    )


async def adoption_of(
    minions: Sequence[Minion], place: Place, *, docroot: Docroot, shared: Sequence[str] = ()
) -> Adoptable:
    """What ``adopt`` would take over; changes nothing. Raises PublishError, ConnectError."""
    async with assemble(
        minions, place, confirmation=NOBODY, proof=lambda site: ForeignSite.of(site, docroot).survey()
    ) as participants:
        publisher = ForeignSite.of(participants.publisher, docroot)
        what = await publisher.survey()
        if what == "cut":
            return Adoptable(path=place.path, is_cut_off=True, files=0, size=0, odd=())
        found = await publisher.listed()
        odd = await _refusals(publisher, found, shared)
    files = [it for it in found if it.type == "f"]
    path = f"{place.path}/html" if what == "html" else place.path
    return Adoptable(path=path, is_cut_off=False, files=len(files), size=sum(it.size for it in files), odd=odd)


async def _refusals(site: ForeignSite, found: Sequence[DirectoryEntry], shared: Sequence[str]) -> tuple[str, ...]:
    """What a publish will not keep as it is; raises PublishError for what no slot can hold."""
    where = site.place.path
    if special := [it.path for it in found if it.type not in {"f", "d", "l"}]:
        raise PublishError(
            f"in {where} {_some(special)} no file, directory or link, and no release can hold that;"
            " remove it, then run again"
        )
    if leaving := await site.leaving():
        raise PublishError(
            f"in {where} {_some(leaving)} a link that leads out of what is served: from a slot it would lead elsewhere;"
            " replace it by what it names, then run again"
        )
    links = _links(found, shared)
    refused = [it for it in found if it.type == "l" and links.flaw(it.path)]
    absolute = [it.path for it in refused if it.target.startswith(b"/")]
    nowhere = [it.path for it in refused if not it.target.startswith(b"/")]
    modes = [it.path for it in found if it.type == "f" and it.mode not in {0o644, 0o755}]
    return (
        *([f"{_some(absolute)} an absolute link, which no publish takes"] if absolute else []),
        *([f"{_some(nowhere)} a link to what is not there, which no publish takes"] if nowhere else []),
        *([f"{_some(modes)} of a mode that a publish makes 644 or 755"] if modes else []),
    )


def _links(found: Sequence[DirectoryEntry], shared: Sequence[str]) -> Links:
    return Links(
        targets={it.path: it.target for it in found if it.type == "l"},
        files=frozenset(it.path for it in found if it.type == "f"),
        directories=frozenset(it.path for it in found if it.type == "d"),
        shared=tuple(map(os.fsencode, shared)),
        exists=lambda _: False,
    )


def _some(paths: Sequence[bytes]) -> str:
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return ", ".join(map(escape, paths[:_NAMED])) + more + (" is" if len(paths) == 1 else " are each")


async def _manifest(site: ForeignSite, found: Sequence[DirectoryEntry], progress: Progress) -> Manifest:
    files = [it for it in found if it.type == "f"]
    size = sum(it.size for it in files)
    seen: dict[bytes, str] = {}
    full = {it.path.rpartition(b"/")[0] for it in found}
    entries = [_entry(it) for it in found if it.type != "d" or it.path not in full]

    async def read(part: Sequence[Entry]) -> None:
        for batch in in_batches(part):
            seen.update(await site.hashed(entry.path for entry in batch))
            progress.moved(len(batch), sum(entry.size for entry in batch))

    said = f"reading {len(files)} files, {size} bytes, of {site.place.path} through {site.minion.name}"
    with progress.phase("reading", said, files=len(files), size=size):
        await together(read(part) for part in in_parts([entry for entry in entries if entry.is_file], READERS))
    if unread := [it.path for it in files if it.path not in seen]:
        raise PublishError(f"in {site.place.path} {_some(unread)} not readable; correct that, then run again")
    return Manifest.from_entries(
        Entry(path=entry.path, kind=entry.kind, size=entry.size, digest=seen.get(entry.path, entry.digest))
        for entry in entries
    )


def _entry(it: DirectoryEntry) -> Entry:
    """The entry of a manifest, for a file still without its digest."""
    match it.type:
        case "l":
            digest = hashlib.sha256(it.target).hexdigest()
            return Entry(path=it.path, kind="link", size=len(it.target), digest=digest)
        case "d":
            return Entry(path=it.path, kind="dir", size=0, digest="-")
    return Entry(path=it.path, kind="755" if it.mode & _EXECUTABLE else "644", size=it.size, digest="-")


def _sample(manifest: Manifest) -> Sequence[Entry]:
    files = [entry for entry in manifest.entries if entry.is_file]
    return files[:: max(1, -(-len(files) // _SAMPLE))]


async def _verify(site: RemoteSite, *, docroot: Docroot, manifest: Manifest) -> None:
    """Prove that a minion reads some of the files as they are in ``manifest``. Raises PublishError."""
    sample = _sample(manifest)
    seen = await ForeignSite.of(site, docroot).hashed(entry.path for entry in sample)
    if wrong := [entry.path for entry in sample if seen.get(entry.path) != entry.digest]:
        raise PublishError(
            f"minion {site.minion.name} does not read in {site.place.path} what others do: {_some(wrong)} different;"
            " nothing was moved. Check that minion's mount and the volume's heal status, then run again"
        )


def _changed(before: Sequence[DirectoryEntry], after: Sequence[DirectoryEntry]) -> str:
    """An entry that is not as it was; '' for none. A directory's own size and time mean nothing."""
    was, now = ({it.path: it if it.type != "d" else it.type for it in found} for found in (before, after))
    differing = sorted(path for path in was.keys() | now.keys() if was.get(path) != now.get(path))
    return f"{escape(differing[0])} changed" if differing else ""
