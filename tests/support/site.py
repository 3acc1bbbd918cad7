"""A site on a pretended volume behind loopback minions, published to with the real publisher."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from publisher import scan
from publisher.confirmation import Confirmation
from publisher.history import Record, parse_log
from publisher.manifest import Manifest
from publisher.progress import Progress
from publisher.publish import Order, Outcome, publish
from publisher.remote import Place
from tests.support.sshd import Loopback, LoopbackMinion
from tests.support.trees import RESERVED, Tree, read_tree, write_tree

ROOT = Path(__file__).parents[2]

ONE: Tree = {b"index.php": (b"one", False), b"css": {b"farm.css": (b"c", False)}, b"old": (b"o", False)}
TWO: Tree = {b"index.php": (b"two", False), b"css": {b"farm.css": (b"c", False)}, b"new": (b"n", True)}
THREE: Tree = {b"index.php": (b"three", False), b"css": {b"farm.css": (b"c", False)}}


@dataclass(kw_only=True, repr=False)
class PublishedSite:
    """The site `php` on ``volume``, which every one of ``minions`` has mounted."""

    directory: Path
    volume: Path
    minions: list[LoopbackMinion]
    loopback: Loopback
    said: list[str] = field(default_factory=list)
    #: Where pods have directories of their own, to which links of the content may lead.
    shared: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """The site's directory."""
        return self.volume / "php"

    @property
    def source(self) -> Path:
        """The content directory."""
        return self.directory / "content"

    def content(self, tree: Tree) -> str:
        """Make ``tree`` the content; give its release."""
        if self.source.exists():
            shutil.rmtree(self.source)
        write_tree(self.source, tree)
        return scan.read(self.source, shared=self.shared).release

    def publish(
        self,
        tree: Tree | None = None,
        *,
        grace: float = 0,
        confirmation: Confirmation | None = None,
        down: Sequence[str] = (),
    ) -> Outcome:
        """Publish the content (``tree``, when given) in this process; of ``down`` the inventory says that they are."""
        if tree is not None:
            self.content(tree)
        order = Order(
            source=self.source,
            read=partial(scan.read, self.source, shared=self.shared),
            place=Place(mount=str(self.volume), volume="MyVolume", site="php"),
            grace=grace,
            confirmation=confirmation or Confirmation(),
        )
        entries = [minion.entry(state="down" if minion.name in down else "up") for minion in self.minions]
        out = io.StringIO()
        try:
            return asyncio.run(publish(entries, order, Progress(out=out)))
        finally:
            self.said = out.getvalue().splitlines()

    def command(self, verb: str = "publish", *words: str) -> list[str]:
        """``python -m publisher`` as the program runs it, and the inventory for that."""
        inventory = self.directory / "publishers.yaml"
        inventory.write_text(
            json.dumps(
                {
                    "minions": [
                        {
                            **{"name": minion.name, "host": "127.0.0.1", "port": minion.port},
                            **{"user": minion.user, "hostKey": minion.host_key},
                        }
                        for minion in self.minions
                    ]
                }
            )
        )
        words = words or ("--source", str(self.source))
        return [
            *(sys.executable, "-m", "publisher", verb, "--inventory", str(inventory)),
            *("--minions", ",".join(f"{minion.name}@g1" for minion in self.minions)),
            *("--mount-path", str(self.volume), "--volume", "MyVolume", "--site", "php", *words),
        ]

    def start(self, verb: str = "publish", *words: str, plan: str = "") -> subprocess.Popen[str]:
        """Start ``python -m publisher`` as the program does."""
        process = subprocess.Popen(
            self.command(verb, *words),
            cwd=ROOT,
            env=os.environ | {"GLUSTERFARM_SSH_PRIVATE_KEY": self.loopback.private_key},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdin
        process.stdin.write(plan)
        process.stdin.close()
        process.stdin = None
        return process

    def run(self, verb: str = "publish", *words: str, plan: str = "") -> tuple[int, str, str]:
        """Run ``python -m publisher``; give exit status, stdout and stderr."""
        process = self.start(verb, *words, plan=plan)
        stdout, stderr = process.communicate(timeout=60)
        return process.returncode, stdout, stderr

    def log(self) -> list[Record]:
        """The release log, proven to end with what is live."""
        records = parse_log((self.path / "slots" / "releases.log").read_bytes())
        assert records[-1].slot == self.live_slot()
        return records

    def live(self) -> Tree:
        """What a visitor's web server finds, without the publisher's own files."""
        tree = read_tree(self.path / "html")
        return {name: what for name, what in tree.items() if name not in RESERVED}

    def live_slot(self) -> str:
        """The slot that `html` links to."""
        return (self.path / "html").readlink().name

    def previous_slot(self) -> str:
        """The slot that was live before."""
        return (self.path / "slots" / f"{self.live_slot()}.before").read_text().split()[0]

    def slot(self, name: str) -> Tree:
        """What a slot holds, without the publisher's own files; proven to be what its manifest and its release say."""
        directory = self.path / "slots" / name
        manifest = Manifest.parse((self.path / "slots" / f"{name}.manifest").read_text())
        tree = read_tree(directory)
        assert tree.pop(b"glusterfarm-release") == (f"{manifest.release}\n".encode(), False)
        assert tree.pop(b"glusterfarm-pod") == b"/etc/glusterfarm/pod/name"
        scratch = self.directory / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        write_tree(scratch, tree)
        assert scan.read(scratch) == manifest
        return tree


@contextmanager
def unpublished(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PublishedSite]:
    """A volume that nobody has published to yet, on two minions."""
    volume = directory / "mnt"
    volume.mkdir(mode=0o755)
    with Loopback(directory) as loopback:
        monkeypatch.setenv("GLUSTERFARM_SSH_PRIVATE_KEY", loopback.private_key)
        minions = [loopback.minion(name, volume) for name in ("minion-1", "minion-2")]
        yield PublishedSite(directory=directory, volume=volume, minions=minions, loopback=loopback)


def stale(command: str) -> str:
    """What a minion that still sees another release says."""
    return """printf '{"slot": "a", "release": "000000000000"}'""" if verb_of(command) == "live" else command


def verb_of(command: str) -> str:
    """The verb of a publish.sh command line."""
    return command.partition("' publish ")[2].split(" ")[0]


def at(verb: str) -> Callable[[str], bool]:
    """Whether a command is publish.sh's ``verb``."""
    return lambda command: verb_of(command) == verb
