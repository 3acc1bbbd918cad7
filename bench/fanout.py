"""How much `pulumi up` of a hundred minions costs beside the least it could: a hundred bare commands.

Both go through the same provider, over SSH to the lab's machines, in turn. The hundred are names and addresses: each of
the lab's minions has a third of them, and the API server is given a Node for each (nothing runs there). Ours is the
whole program: it mounts on each (an owner more of a mount that is there, for a mount itself is the minion's own work
and a hundred minions do it side by side, which one machine under a hundred names cannot), labels each node, publishes
and checks the farm. The peer is bench/bare: connect and run `true`. `least` is that and a label on each node: what two
resources a minion cost, whatever they do.

    make bench-fanout            or: python -m bench.fanout [--minions N] [--rounds N] [--json]
    python -m bench.fanout --only least          in minutes: what two resources a minion cost at the least

It needs the lab (`make up`) and leaves it as it was: the farm it deploys is another stack's, and destroyed again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import yaml

if not __package__:  # as a file, `python bench/NAME.py`: the checkout takes the place of this directory
    sys.path[0] = str(Path(__file__).parents[1])

from bench.figures import Series, report
from lab.context import CHECKOUT, Lab
from lab.errors import LabError
from tests.support.project import Project, copy_of_project
from tests.support.stacks import another_stack, change, init

NODE_LABEL = "glusterfarm.bench/fanout"
STACK = "fanout"


def main(words: Sequence[str] | None = None) -> int:
    """Run the benchmark; 0, or 1 with the reason on stderr."""
    parser = argparse.ArgumentParser(prog="python -m bench.fanout", description=__doc__.partition("\n")[0])
    parser.add_argument("--minions", type=_count, default=100, help="how many names (default: 100)")
    parser.add_argument("--rounds", type=_count, default=3, help="how often each is timed (default: 3)")
    parser.add_argument("--only", choices=("least",), help="the least beside the bare commands, and not the farm")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    chosen = parser.parse_args(words)
    try:
        lab = Lab.current()
        with tempfile.TemporaryDirectory() as directory:
            series = _race(
                lab, Path(directory), minions=chosen.minions, rounds=chosen.rounds, whole=chosen.only is None
            )
    except (LabError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    about = {"minions": chosen.minions, "machines": len(lab.minions()), "rounds": chosen.rounds}
    ratios = {f"{name}_vs_bare": series.ratio(name, "bare") for name in ("up", "least") if name in series.seconds}
    report(ratios, series, as_json=chosen.json, about=about)
    return 0


def _count(word: str) -> int:
    if not word.isdecimal() or not 1 <= int(word) <= 1000:  # noqa: PLR2004 (more than any lab bears)
        raise argparse.ArgumentTypeError(f"{word!r} must be a whole number from 1 to 1000")
    return int(word)


def _race(lab: Lab, directory: Path, *, minions: int, rounds: int, whole: bool) -> Series:
    """Time the peers in turn and, for the ``whole``, the farm after them."""
    series = Series()
    known = list(yaml.safe_load(lab.paths.inventory.read_text())["minions"])
    with ExitStack() as opened:
        many = opened.enter_context(_ground(lab, known, minions))
        farm = opened.enter_context(_farm(lab, directory / "farm", known, _environment(minions))) if whole else None
        peers = {
            "bare": _bare(lab, directory / "bare", many, {}),
            "least": _bare(lab, directory / "least", many, {"bare:kubeconfig": str(lab.paths.kubeconfig)}),
        }
        for _ in range(rounds):
            for name, peer in peers.items():
                series.take(name, partial(change, peer, "up", STACK))
                change(peer, "destroy", STACK)
            if farm is not None:
                _write_inventory(farm, [*known, *many])
                series.take("up", partial(change, farm, "up", STACK))
                _write_inventory(farm, known)
                change(farm, "up", STACK)
    return series


def _environment(minions: int) -> dict[str, str]:
    return {"PULUMI_PARALLEL": str(minions + 8)}


@contextmanager
def _ground(lab: Lab, known: Sequence[dict[str, Any]], minions: int) -> Iterator[list[dict[str, Any]]]:
    """Pretended minions as an inventory lists them, with their Nodes; each is one of the ``known`` machines."""
    names = [f"bench-{number:03}" for number in range(minions)]
    with _addresses(lab, minions) as hosts, _nodes(lab, dict(zip(names, hosts, strict=True))):
        yield [
            {**known[at % len(known)], "host": host, "name": name, "node": name}
            for at, (name, host) in enumerate(zip(names, hosts, strict=True))
        ]


@contextmanager
def _addresses(lab: Lab, count: int) -> Iterator[list[str]]:
    """Additional addresses of the lab's minions, in turn, as long as the context lasts."""
    network = lab.topology.network
    taken = {machine.address for machine in lab.machines()}
    free = [address for address in network.hosts() if address not in taken][1:]  # the first is the host's own
    if len(free) < count:
        raise RuntimeError(f"the lab's network {network} has only {len(free)} free addresses: --minions {len(free)}")
    hosts = [str(address) for address in free[-count:]]
    minions = lab.minions()

    def change(verb: str, host: str, at: int) -> None:
        word = f"{host}/{network.prefixlen}"
        lab.exec(minions[at % len(minions)].name, ["ip", "address", verb, word, "dev", "host0"], check=verb == "add")

    try:
        for at, host in enumerate(hosts):
            change("add", host, at)
        yield hosts
    finally:
        for at, host in enumerate(hosts):
            change("del", host, at)


@contextmanager
def _nodes(lab: Lab, hosts: Mapping[str, str]) -> Iterator[None]:
    """Node objects without a kubelet, by name, for as long as the context lasts; each has its host's address.

    No kubelet reports their machine-id: `connectors.reach` verifies them by address.
    """
    nodes = [
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": {NODE_LABEL: "true"}},
            "status": {"addresses": [{"type": "InternalIP", "address": host}]},
        }
        for name, host in hosts.items()
    ]
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": nodes})
    for words in ((), ("--server-side", "--subresource=status")):
        lab.kubectl("apply", *words, "-f", "-", stdin=listed, timeout=120)
    try:
        yield
    finally:
        lab.kubectl("delete", "node", "-l", NODE_LABEL, timeout=120)


@contextmanager
def _farm(
    lab: Lab, directory: Path, minions: Sequence[dict[str, Any]], environment: dict[str, str]
) -> Iterator[Project]:
    """A farm of its own on ``minions``, beside the dev stack's: same mounts, other owners, site, namespace and port."""
    farm = replace(copy_of_project(lab, directory), own=environment)
    _write_inventory(farm, minions)
    with another_stack(farm, STACK, 30082, inventory="inventory.yaml"):
        change(farm, "up", STACK)
        yield farm


def _bare(
    lab: Lab,
    directory: Path,
    minions: Sequence[dict[str, Any]],
    config: dict[str, Any],
) -> Project:
    """A peer's project; its state goes with ``directory``."""
    shutil.copytree(CHECKOUT / "bench" / "bare", directory)
    for shared in (".venv", "settings.py", "rules"):
        (directory / shared).symlink_to(CHECKOUT / shared)
    (directory / "state").mkdir()
    bare = Project(
        directory=directory,
        lab=lab,
        own={**_environment(len(minions)), "PULUMI_BACKEND_URL": f"file://{directory}/state"},
    )
    _write_inventory(bare, minions)
    init(bare, STACK, {"bare:inventory": "inventory.yaml", **config})
    return bare


def _write_inventory(project: Project, minions: Sequence[dict[str, Any]]) -> None:
    project.write("inventory.yaml", yaml.safe_dump({"minions": list(minions)}))


if __name__ == "__main__":
    sys.exit(main())
