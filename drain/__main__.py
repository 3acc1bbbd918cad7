"""``python -m drain``: deletes a farm's pods on one node and waits until they are gone.

With ``--unlabel`` it first removes the farm's marks from the node, so that no pod starts there again. The program does
not leave that to the NodePatch: if the node is gone, the provider would create an empty Node in its place.

With ``--minion`` it then checks that its machine answers, because the unmount that follows would wait for it forever.

It prints one line of JSON on stdout, and the reason of a failure on stderr. If the node, the namespace or the cluster
is gone, that is a warning: a minion that no longer exists must not keep the others from being removed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from connectors.cluster import ClusterError, NotThereError, UnreachableError, add_cluster_options, chosen_cluster
from connectors.ending import end
from connectors.reach import EntryError, UnreachedError, add_entry_option, reach
from drain.pods import DrainError, NodePods

#: More than the 30 s a pod is given to end.
TIMEOUT_SECONDS = 60


def main(words: Sequence[str] | None = None) -> int:
    """Drain; give the exit status: 0 no pod is left or none can be, 1 failed, 2 used wrongly."""
    options = _parser().parse_args(words)
    try:
        drained = _drain(options)
        if options.minion:
            reach(options.minion)
    except (ClusterError, DrainError) as error:
        print(f"error: node {options.node} is not drained: {error}", file=sys.stderr)
        return 1
    except UnreachedError as error:
        print(
            f"error: {error}; nothing was unmounted there. Is it gone for good, docs/operations.md says what to do:"
            " 'Removing a minion, and one that is gone for good'",
            file=sys.stderr,
        )
        return 1
    except EntryError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 1
    print(json.dumps({"node": options.node, "drained": drained}))
    return 0


def _drain(options: argparse.Namespace) -> list[str]:
    try:
        node = NodePods(cluster=chosen_cluster(options), name=options.node, selector=options.selector)
        key, _, name = getattr(options, "while").partition("=")
        if key and (other := node.belongs_to(key)) not in ("", name):
            print(f"note: node {options.node} is minion {other} by now, so it is not drained", file=sys.stderr)
            return []
        if options.unlabel:
            node.unlabel(options.unlabel)
        return node.drain(options.timeout)
    except (NotThereError, UnreachableError) as error:
        print(f"warning: node {options.node} is not drained: {error}", file=sys.stderr)
        return []


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m drain", description="Delete a farm's pods on one node and wait until they are gone."
    )
    add_cluster_options(parser)
    add_entry_option(parser, required=False)
    parser.add_argument("--node", required=True, help="the node's name")
    parser.add_argument("--selector", required=True, help="the labels of the farm's pods, KEY=VALUE joined by commas")
    parser.add_argument(
        "--while",
        default="",
        metavar="KEY=NAME",
        help="nothing is done to the node if its annotation KEY has another value: then the minion was only renamed",
    )
    parser.add_argument(
        "--unlabel", action="append", metavar="KEY", help="a label or annotation that is removed from the node first"
    )
    parser.add_argument(
        "--timeout", type=float, default=TIMEOUT_SECONDS, help=f"seconds to wait for them (default: {TIMEOUT_SECONDS})"
    )
    return parser


if __name__ == "__main__":
    end(main())
