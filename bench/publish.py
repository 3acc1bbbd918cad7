"""How long a publish takes beside rsync, tar and SFTP: the first one, one of ten changed files, and with latency.

All copy the same content to the same volume through the same minion, in turn. Ours does more: it verifies what it wrote
through every other minion and then makes it live, for all to see at once. Measured is `python -m publisher`, its start
included. After the first publishes: ten files of the content change, round by round; nothing changes; the content is
what it was before. `peers` write into a directory of their own, in place. `least` is what no publish that every minion
confirms can do without: plain tars and sha256sum at once, or where little changed a connection to each by ssh.

    make bench-publish          or: python -m bench.publish [--files N] [--rounds N] [--latency MS,...] [--json]
    python -m bench.publish --inventory FILE --mount-path DIR --volume NAME    on minions of yours instead of the lab's
    python -m bench.publish --only first --latency 0 --peers tar               a slice of it
    python -m bench.publish --only later --cold                                as the first to deploy for a while
    python -m bench.publish --loopback --files 200                             to try it: no figure means anything

The first minion of the inventory is the one that all copy through; rsync must be on it and here. In the lab:
`apt-get install rsync`, and `python -m lab ssh minion-1 'apt-get install -y rsync'`.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TypeVar

import yaml

if not __package__:  # as a file, `python bench/NAME.py`: the checkout takes the place of this directory
    sys.path[0] = str(Path(__file__).parents[1])

from bench.contenders import OURS, Contender, Ground, Least, LeastFirst, Publisher, Rsync, Sftp, Tar
from bench.figures import Ratio, Series, report
from bench.proxy import Proxy, proxied
from connectors import KEY_VARIABLE
from connectors.ssh import ConnectError
from lab.context import CHECKOUT, Lab
from lab.errors import LabError
from publisher.publish import GRACE_SECONDS
from settings import Minion, SettingsError, load_inventory

_T = TypeVar("_T")
PEERS = ("rsync", "tar", "sftp")
CHANGED = 10
COLD = "/mnt/glusterfarm-bench"
_DIRECTORY_FILES = 100
_MOST = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Where:
    """The minions, and the volume that they have mounted; ``renew`` is called before each that is timed."""

    minions: tuple[Minion, ...]
    mount: str
    volume: str
    renew: Callable[[], None] = lambda: None


def main(words: Sequence[str] | None = None) -> int:
    """Run the benchmark; 0, or 1 with the reason on stderr."""
    chosen = _parser().parse_args(words)
    series = Series()
    about: dict[str, object] = {"files": chosen.files, "megabytes": chosen.megabytes, "rounds": chosen.rounds}
    try:
        with tempfile.TemporaryDirectory() as scratch, _where(chosen, Path(scratch)) as where:
            content = SampleContent(directory=Path(scratch) / "content", files=chosen.files)
            content.make(chosen.megabytes * 1_000_000)
            about["minions"] = len(where.minions)
            for milliseconds in chosen.latency:
                about |= _race(series, where, content, chosen, milliseconds)
    except (LabError, SettingsError, ConnectError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    report(_ratios(series), series, as_json=chosen.json, about=about)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.publish", description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=_count, default=10_000, help="how many (default: 10000)")
    parser.add_argument("--megabytes", type=_count, default=53, help="how large together (default: 53)")
    parser.add_argument("--rounds", type=_count, default=3, help="how often each is timed (default: 3)")
    parser.add_argument(
        "--latency",
        type=_latencies,
        default=(0, 20),
        metavar="MS,...",
        help="milliseconds of round trip that are added between here and the minions; all is done with each"
        " (default: 0,20). With any, SFTP is timed once only: it takes many minutes",
    )
    parser.add_argument(
        "--only",
        choices=("first", "later"),
        help="the first publishes, or those after them; the whole takes long (default: both)",
    )
    parser.add_argument(
        "--cold",
        action="store_true",
        help="before each that is timed every minion mounts the volume anew, at a place of the benchmark's own: what a"
        " client learned of names and attributes it forgets after ten minutes, and so between two deployments"
        " (in the lab only)",
    )
    parser.add_argument("--peers", type=_peers, default=PEERS, metavar="P,...", help="of rsync,tar,sftp (all)")
    parser.add_argument("--rsync", default="rsync", metavar="PROGRAM", help="the rsync here")
    parser.add_argument("--rsync-path", default="rsync", metavar="PROGRAM", help="the rsync on the minion")
    parser.add_argument("--inventory", type=Path, help="the minions (default: the lab's)")
    parser.add_argument("--mount-path", help="where they mount the volume (default: the lab's)")
    parser.add_argument("--volume", help="the volume that must be mounted there (default: the lab's)")
    parser.add_argument("--loopback", action="store_true", help="on two pretended minions on this machine")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    return parser


def _count(word: str) -> int:
    if not word.isdecimal() or not 1 <= int(word) <= _MOST:
        raise argparse.ArgumentTypeError(f"{word!r} must be a whole number from 1 to {_MOST}")
    return int(word)


def _latencies(words: str) -> tuple[int, ...]:
    if not all(word.isdecimal() for word in words.split(",")):
        raise argparse.ArgumentTypeError(f"{words!r} must be whole numbers of milliseconds; for example 0,20")
    return tuple(int(word) for word in words.split(","))


def _peers(words: str) -> tuple[str, ...]:
    if unknown := [word for word in words.split(",") if word not in PEERS]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(PEERS)}")
    return tuple(words.split(","))


@contextmanager
def _where(chosen: argparse.Namespace, scratch: Path) -> Iterator[Where]:
    """The minions that are meant, and their key. Raises LabError, SettingsError."""
    if chosen.cold and (chosen.loopback or chosen.inventory is not None):
        raise RuntimeError("--cold mounts and unmounts on the minions, and does so in the lab only: leave it out")
    if chosen.loopback:
        from tests.support.sshd import Loopback  # noqa: PLC0415 (only to try it)

        volume = scratch / "mnt"
        volume.mkdir(mode=0o755)
        with Loopback(scratch) as loopback:
            os.environ[KEY_VARIABLE] = loopback.private_key
            minions = tuple(loopback.minion(name, volume).entry() for name in ("minion-1", "minion-2"))
            yield Where(minions=minions, mount=str(volume), volume="MyVolume")
        return
    if chosen.inventory is not None:
        if not chosen.mount_path or not chosen.volume:
            raise RuntimeError("with --inventory give --mount-path and --volume too")
        yield Where(minions=load_inventory(chosen.inventory).minions, mount=chosen.mount_path, volume=chosen.volume)
        return
    lab = Lab.current()
    gluster = yaml.safe_load((CHECKOUT / "Pulumi.dev.yaml").read_text())["config"]["glusterfarm:gluster"]
    os.environ[KEY_VARIABLE] = lab.paths.key.read_text()
    minions = load_inventory(lab.paths.inventory).minions
    if not chosen.cold:
        yield Where(minions=minions, mount=gluster["mountPath"], volume=gluster["volume"])
        return
    names = [minion.name for minion in minions]
    with _own_mount(lab, names, f"{gluster['servers'][0]}:{gluster['volume']}") as renew:
        yield Where(minions=minions, mount=COLD, volume=gluster["volume"], renew=renew)


@contextmanager
def _own_mount(lab: Lab, names: Sequence[str], source: str) -> Iterator[Callable[[], None]]:
    """``source`` mounted at COLD on the minions ``names`` until the context ends; what is given mounts it anew."""

    def everywhere(*words: str, check: bool = True) -> None:
        for name in names:
            lab.exec(name, list(words), check=check)

    def renew() -> None:
        everywhere("umount", COLD, check=False)
        everywhere("mount", "-t", "glusterfs", source, COLD)

    everywhere("mkdir", "-p", COLD)
    try:
        renew()
        yield renew
    finally:
        everywhere("umount", COLD, check=False)
        everywhere("rmdir", COLD, check=False)


@dataclass(frozen=True, kw_only=True)
class SampleContent:
    """A tree of small files, as a site has them; the same every time."""

    directory: Path
    files: int

    def make(self, size: int) -> None:
        """Write it, with that many bytes in all: files of many sizes that cannot be compressed."""
        chance = random.Random(1)  # noqa: S311 (nothing secret)
        weights = [chance.lognormvariate(0, 1) for _ in range(self.files)]
        for number, weight in enumerate(weights):
            self._write(number, chance.randbytes(int(size * weight / sum(weights))))

    def change(self, version: int) -> None:
        """Make ten of the files what they are in that version, with another size in each."""
        step = max(1, self.files // CHANGED)
        for number in range(0, self.files, step):
            self._write(number, random.Random(f"{version}/{number}").randbytes(5000 + version))  # noqa: S311

    def _write(self, number: int, text: bytes) -> None:
        path = self.directory / f"part-{number // _DIRECTORY_FILES:03}" / f"page-{number:05}.php"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)


def _race(
    series: Series, where: Where, content: SampleContent, chosen: argparse.Namespace, milliseconds: int
) -> dict[str, object]:
    """Time everything with so much latency; give what else there is to say."""
    with ExitStack() as opened:
        ways = [opened.enter_context(proxied(it.host, it.port, milliseconds=milliseconds)) for it in where.minions]
        ground = Ground(
            minions=[
                minion.model_copy(update={"host": "127.0.0.1", "port": proxy.port})
                for minion, proxy in zip(where.minions, ways, strict=True)
            ],
            source=content.directory,
            mount=where.mount,
            volume=where.volume,
            scratch=content.directory.parent,
        )
        rsync = Rsync(ground=ground, program=chosen.rsync, remote_program=chosen.rsync_path)
        if "rsync" in chosen.peers:
            rsync.check()
        peers: dict[str, Contender] = {it.name: it for it in (rsync, Tar(ground=ground), Sftp(ground=ground))}
        race = _Race(
            series=series,
            ours=Publisher(ground=ground),
            least=Least(ground=ground),
            least_first=LeastFirst(ground=ground),
            peers={name: peers[name] for name in chosen.peers},
            content=content,
            rounds=chosen.rounds,
            suffix=f"_{milliseconds}ms" if milliseconds else "",
            ways=ways,
            renew=where.renew,
        )
        try:
            race.clear()
            if chosen.only != "later":
                race.first()
            return {} if chosen.only == "first" else race.later()
        finally:
            race.clear()


@dataclass(frozen=True, kw_only=True)
class _Race:
    """Ours and its peers on one ground."""

    series: Series
    ours: Publisher
    least: Least
    least_first: LeastFirst
    peers: Mapping[str, Contender]
    content: SampleContent
    rounds: int
    suffix: str
    ways: Sequence[Proxy]
    renew: Callable[[], None]

    def clear(self) -> None:
        """Leave nothing on the volume."""
        for contender in (self.ours, self.least_first, *self.peers.values()):
            contender.clear()

    def first(self) -> None:
        """Everything to where nothing is; what the last round left there stays."""
        self.content.change(0)
        contenders: dict[str, Contender] = {OURS: self.ours, self.least_first.name: self.least_first, **self.peers}
        names = list(contenders)
        for turn in range(self.rounds):
            at = turn % len(names)
            for name in [*names[at:], *names[:at]]:
                if name == "sftp" and self.suffix and turn:
                    continue
                if turn:
                    contenders[name].set_aside()
                self._take("first", name, contenders[name].put)

    def later(self) -> dict[str, object]:
        """Ten files changed; nothing changed; the content as it was before. Each is proven to be what it is called."""
        copies = {name: contender for name, contender in self.peers.items() if name == "rsync"}
        for version in (0, 1, 2):  # until all three slots hold a release; of the first publishes one does
            self.content.change(version)
            self.ours.publish()
        for contender in copies.values():
            contender.put()
        written = []
        for version in range(3, 3 + self.rounds):
            self.content.change(version)
            for name, contender in (*copies.items(), (self.least.name, self.least)):
                self._take("ten_changed", name, contender.put)
            time.sleep(GRACE_SECONDS)  # the wait between two publishes is not part of either
            written.append(self._take("ten_changed", OURS, self.ours.publish)["written"])
        for name, contender in copies.items():
            self._take("unchanged", name, contender.put)
        before = sum(way.connections for way in self.ways)
        self._take("unchanged", OURS, self.ours.plan)
        connections = sum(way.connections for way in self.ways) - before
        for turn in range(self.rounds):
            self.content.change(2 + self.rounds - (turn + 1) % 2)
            said = self._take("back", OURS, self.ours.publish)
            if (said["action"], said["written"]) != ("flipped", 0):
                raise RuntimeError(f"going back was no flip: {said}")
        return {f"written_of_ten{self.suffix}": written, f"connections_unchanged{self.suffix}": connections}

    def _take(self, what: str, name: str, work: Callable[[], _T]) -> _T:
        given: list[_T] = []
        self.renew()
        self.series.take(f"{what}_{name}{self.suffix}", lambda: given.append(work()))
        return given[0]


def _ratios(series: Series) -> dict[str, Ratio]:
    ratios = {}
    for name, peers in series.seconds.items():
        for peer, (who, said) in product(PEERS, ((OURS, ""), (Least.name, f"_{Least.name}"))):
            what, found, rest = name.rpartition(f"_{peer}")
            if found and (ours := series.seconds.get(f"{what}_{who}{rest}")):
                same = len(ours) == len(peers)
                ratios[f"{what}{said}_vs_{peer}{rest}"] = Ratio.of(ours if same else [statistics.median(ours)], peers)
    return ratios


if __name__ == "__main__":
    sys.exit(main())
