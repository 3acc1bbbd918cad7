"""``python -m checks gate|smoke``: what `up` runs. One line of JSON on stdout, the reason of a failure on stderr."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence

from checks.errors import CheckError
from checks.gate import RolloutCheck
from checks.smoke import Smoke
from connectors.cluster import ClusterError, add_cluster_options, chosen_cluster
from connectors.ending import end
from connectors.selection import add_minion_options, chosen_minions
from connectors.ssh import ConnectError
from settings import SettingsError


def main(words: Sequence[str] | None = None) -> int:
    """Run the check; give its exit status: 0 passed, 1 failed, 2 used wrongly."""
    options = _parser().parse_args(words)
    try:
        said = asyncio.run(_gate(options) if options.check == "gate" else _smoke(options))
    except (SettingsError, CheckError, ClusterError, ConnectError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 1
    print(json.dumps(said))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m checks", description="Prove that the farm serves.")
    checks = parser.add_subparsers(dest="check", required=True)
    gate = checks.add_parser("gate", help="every pod, asked by its own address, serves the release")
    smoke = checks.add_parser("smoke", help="the Service answers every request, from every pod")
    for check in (gate, smoke):
        add_minion_options(check)
        add_cluster_options(check)
        check.add_argument("--controller", required=True, help="the name of the ReplicationController")
        check.add_argument(
            "--port", required=True, type=int, help="the port to ask (gate: the pods'; smoke: the Service's)"
        )
        check.add_argument("--pods", required=True, type=int, help="how many pods there must be")
        check.add_argument("--release", required=True, help="the release that must be served")
    gate.add_argument("--timeout", type=float, default=300, help="seconds until all are ready (default: 300)")
    gate.add_argument(
        "--stuck-timeout", type=float, default=60, help="seconds for which no pod may be able to start (default: 60)"
    )
    gate.add_argument("--probe-path", default="", help="a page that each pod must answer, too (default: none)")
    smoke.add_argument("--cluster-ip", required=True, help="the Service's address")
    smoke.add_argument("--probe-path", default="/", help="what a visitor asks for (default: /)")
    smoke.add_argument("--affinity", action="store_true", help="the Service has session affinity: no spread is wanted")
    return parser


async def _gate(options: argparse.Namespace) -> dict[str, object]:
    gate = RolloutCheck(
        controller=options.controller,
        pods=options.pods,
        port=options.port,
        release=options.release,
        timeout=options.timeout,
        stuck_timeout=options.stuck_timeout,
        probe_path=options.probe_path,
    )
    pods = await gate.wait(chosen_cluster(options), chosen_minions(options))
    return {"release": options.release, "pods": pods}


async def _smoke(options: argparse.Namespace) -> dict[str, object]:
    smoke = Smoke(
        controller=options.controller,
        pods=options.pods,
        cluster_ip=options.cluster_ip,
        port=options.port,
        probe_path=options.probe_path,
        release=options.release,
        affinity=options.affinity,
    )
    seen = await smoke.prove(chosen_cluster(options), chosen_minions(options))
    if slow := seen.slow:
        print(f"warning: {len(slow)} of {len(seen.seconds)} answers were slow, up to {slow[0]:.1f} s", file=sys.stderr)
    return {
        "requests": len(seen.seconds),
        "servedBy": dict(sorted(seen.served_by.items())),
        "releases": dict(sorted(seen.releases.items())),
        "release": options.release,
        "p50": round(seen.percentile(50), 3),
        "p99": round(seen.percentile(99), 3),
        "slowest": round(max(seen.seconds, default=0), 3),
    }


if __name__ == "__main__":
    end(main())
