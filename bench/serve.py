"""How many requests a second a pod answers from the volume, beside the same pod on a directory of the minion's own.

They run side by side on one minion, with the same image and the same files; each page is asked of one after the other,
so that whatever else the machine does falls on all. `mount` is the farm's pod, `local` the same one on a local
directory; the two `plain` ones are these without `php.staticCache`.

    make bench-serve             or: python -m bench.serve [--rounds N] [--seconds N] [--json]

It needs the lab (`make up`) and wrk, and leaves the lab as it was: the farm is a stack of its own, destroyed again.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

if not __package__:  # as a file, `python bench/NAME.py`: the checkout takes the place of this directory
    sys.path[0] = str(Path(__file__).parents[1])

from bench.figures import Ratio
from components import static_cache
from lab.context import Lab
from lab.errors import LabError
from tests.support.project import Project, copy_of_project
from tests.support.stacks import another_stack, change

STACK: Final = "serve"
LOCAL: Final = "/var/tmp/glusterfarm-serve"  # noqa: S108 (the minion's)
INCLUDES: Final = 100
PAGES: Final = {"php": "/index.php", "includes": "/includes.php", "static_1k": "/1k.txt", "static_100k": "/100k.txt"}
CONNECTIONS: Final = 8
#: The peers' pods: what each serves from, and whether its static files are kept.
PEERS: Final = {"local": (True, True), "plain-mount": (False, False), "plain-local": (True, False)}
COMPARED: Final = (("mount", "local"), ("mount", "plain-local"), ("plain-mount", "plain-local"))
_UNITS: Final = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True, kw_only=True)
class Served:
    """What one round of load measured: requests a second, and milliseconds."""

    rate: float
    p50: float
    p99: float


def main(words: Sequence[str] | None = None) -> int:
    """Run the benchmark; 0, or 1 with the reason on stderr."""
    parser = argparse.ArgumentParser(prog="python -m bench.serve", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=_count, default=5, help="how often each is measured (default: 5)")
    parser.add_argument("--seconds", type=_count, default=4, help="how long each time (default: 4)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    chosen = parser.parse_args(words)
    if not shutil.which("wrk"):
        print("wrk is not installed: apt-get install wrk", file=sys.stderr)
        return 1
    try:
        lab = Lab.current()
        with tempfile.TemporaryDirectory() as directory, _pods(lab, Path(directory) / "farm") as (pid, addresses):
            measured = _race(pid, addresses, rounds=chosen.rounds, seconds=chosen.seconds)
    except (LabError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    _tell(measured, as_json=chosen.json)
    return 0


def _count(word: str) -> int:
    if not word.isdecimal() or not 1 <= int(word) <= 60:  # noqa: PLR2004 (the lab is others' too)
        raise argparse.ArgumentTypeError(f"{word!r} must be a whole number from 1 to 60")
    return int(word)


Measured = dict[str, dict[str, list[Served]]]


def _race(pid: int, addresses: dict[str, str], *, rounds: int, seconds: int) -> Measured:
    measured: Measured = {page: {name: [] for name in addresses} for page in PAGES}
    for number in range(rounds + 1):
        for page, path in PAGES.items():
            for name in sorted(addresses, reverse=bool(number % 2)):
                served = _load(pid, f"http://{addresses[name]}{path}", seconds=seconds if number else 2)
                if number:  # the first round warms
                    measured[page][name].append(served)
                    print(f"  {page} {name}: {served.rate:.0f}/s", file=sys.stderr, flush=True)
    return measured


def _load(pid: int, url: str, *, seconds: int) -> Served:
    wrk = ["wrk", "--latency", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", url]
    argv = ["nsenter", "--target", str(pid), "--net", *wrk]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=seconds + 30)
    if done.returncode or "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise RuntimeError(f"{url} was not always answered:\n{done.stdout}{done.stderr}")
    return parse(done.stdout)


def parse(text: str) -> Served:
    """What wrk said."""

    def after(label: str) -> float:
        match = re.search(rf"{label}\s+([0-9.]+)(us|ms|s)?", text)
        if match is None:
            raise RuntimeError(f"wrk says no {label}: {text}")
        return float(match[1]) * _UNITS.get(match[2] or "ms", 1.0)

    return Served(rate=after("Requests/sec:"), p50=after("50%"), p99=after("99%"))


def _tell(measured: Measured, *, as_json: bool) -> None:
    ratios = {
        f"{page}_{ours}_vs_{peer}": Ratio.of([it.rate for it in each[ours]], [it.rate for it in each[peer]])
        for page, each in measured.items()
        for ours, peer in COMPARED
    }
    figures = {
        page: {
            name: {part: statistics.median(getattr(it, part) for it in series) for part in ("rate", "p50", "p99")}
            for name, series in both.items()
        }
        for page, both in measured.items()
    }
    if as_json:
        whole = {
            "ratios": {name: it.medians for name, it in ratios.items()},
            "spread": {name: [it.least, it.most] for name, it in ratios.items()},
            "figures": figures,
            "rates": {
                page: {name: [it.rate for it in series] for name, series in both.items()}
                for page, both in measured.items()
            },
        }
        print(json.dumps(whole))
        return
    for page, by_name in figures.items():
        for name, it in by_name.items():
            print(f"{page} {name}: {it['rate']:.0f} requests/s, p50 {it['p50']:.2f} ms, p99 {it['p99']:.2f} ms")
    for name, ratio in ratios.items():
        print(f"{name}: {ratio.medians:.2f} (single rounds {ratio.least:.2f} to {ratio.most:.2f})")


@contextmanager
def _pods(lab: Lab, directory: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """A farm of one pod and its peer beside it: a process in their minion's network, and their addresses."""
    farm = copy_of_project(lab, directory)
    _site(farm)
    with another_stack(farm, STACK, 30084, php={"replicas": 1, "staticCache": True}):
        change(farm, "up", STACK)
        (pod,) = json.loads(lab.kubectl("get", "pods", "-n", STACK, "-o", "json").stdout)["items"]
        node = pod["spec"]["nodeName"]
        lab.exec(node, ["cp", "-a", f"/mnt/glusterfs/{STACK}", LOCAL])
        try:
            for name, (is_local, is_kept) in PEERS.items():
                lab.kubectl("apply", "-f", "-", stdin=json.dumps(_peer(pod, name, is_local=is_local, is_kept=is_kept)))
            leader = lab.running(lab.machine(node)).leader()
            if leader is None:
                raise RuntimeError(f"{node} does not run: make up")
            yield leader, {"mount": pod["status"]["podIP"], **{name: _address(lab, name) for name in PEERS}}
        finally:
            lab.kubectl("delete", "pod", *PEERS, "-n", STACK, "--ignore-not-found", timeout=120)
            lab.exec(node, ["rm", "-rf", LOCAL])


def _site(farm: Project) -> None:
    farm.write("content/index.php", "<?php echo 'hello ', date('c');\n")
    (farm.directory / "content/lib").mkdir()
    for number in range(INCLUDES):
        farm.write(f"content/lib/{number}.php", f"<?php function part{number}() {{ return {number}; }}\n")
    farm.write(
        "content/includes.php",
        f'<?php for ($i = 0; $i < {INCLUDES}; $i++) {{ require __DIR__ . "/lib/$i.php"; }}\necho part99();\n',
    )
    farm.write("content/1k.txt", "x" * 1024)
    farm.write("content/100k.txt", "x" * 100 * 1024)


def _peer(pod: dict[str, Any], name: str, *, is_local: bool, is_kept: bool) -> dict[str, Any]:
    """The farm's pod once more, unknown to the Service: on the minion's own directory, or with nothing kept."""
    spec = {key: value for key, value in pod["spec"].items() if key != "nodeSelector"}
    if is_local:
        site = {"name": "site", "hostPath": {"path": LOCAL, "type": "Directory"}}
        spec["volumes"] = [site if it["name"] == "site" else it for it in spec["volumes"]]
    if not is_kept:
        (container,) = spec["containers"]
        configured = {it["mountPath"] for it in static_cache.mounts("")}
        kept = [it for it in container["volumeMounts"] if it["mountPath"] not in configured]
        spec["containers"] = [{**container, "volumeMounts": kept}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": STACK}, "spec": spec}


def _address(lab: Lab, name: str) -> str:
    lab.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "-n", STACK, "--timeout=50s")
    pod = json.loads(lab.kubectl("get", "pod", name, "-n", STACK, "-o", "json").stdout)
    return str(pod["status"]["podIP"])


if __name__ == "__main__":
    sys.exit(main())
