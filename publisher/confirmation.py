"""Which minions must confirm what is published, and how many of them may be missing."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from connectors.cluster import Cluster, add_cluster_options, is_ready

if TYPE_CHECKING:
    from settings import StackConfig


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """All other minions, or ``sample`` of them; ``max_unreachable`` of them may be missing.

    Minions that are down in the inventory, and those whose node ``unready`` returns, do not count. ``unready`` asks the
    cluster: it blocks and raises ClusterError. It is None without a cluster.
    """

    sample: int | None = None
    max_unreachable: int = 0
    unready: Callable[[], Collection[str]] | None = None

    @classmethod
    def of(cls, config: StackConfig) -> Confirmation:
        """What a stack's configuration asks for."""
        there = config.kubernetes
        return cls(
            sample=config.content.verify_sample,
            max_unreachable=config.content.max_unreachable,
            unready=partial(unready_nodes, Path(there.kubeconfig), there.context, there.namespace),
        )


#: No other minion confirms; for commands that only read.
NOBODY: Final = Confirmation(sample=0)


def add_confirmation_options(parser: argparse.ArgumentParser) -> None:
    """Give ``parser`` the options that ``chosen_confirmation`` reads."""
    parser.add_argument(
        "--verify-sample", type=int, metavar="N", help="how many of the other minions verify (default: all)"
    )
    parser.add_argument(
        "--max-unreachable",
        type=int,
        default=0,
        metavar="N",
        help="how many of them may be unreachable, besides those whose node is NotReady (default: 0)",
    )
    add_cluster_options(parser, required=False)


def chosen_confirmation(options: argparse.Namespace) -> Confirmation:
    """What the options ask for. The cluster is not asked yet."""
    unready = None
    if options.kubeconfig is not None:
        unready = partial(unready_nodes, options.kubeconfig, options.context, options.namespace)
    return Confirmation(sample=options.verify_sample, max_unreachable=options.max_unreachable, unready=unready)


def unready_nodes(kubeconfig: Path, context: str | None, namespace: str | None) -> frozenset[str]:
    """The nodes that are NotReady: their kubelet says so, or is silent. Blocks; raises ClusterError."""
    cluster = Cluster(kubeconfig=kubeconfig, context=context, namespace=namespace or "")
    nodes = cluster.ask("the nodes", cluster.core.list_node)["items"]
    return frozenset(node["metadata"]["name"] for node in nodes if not is_ready(node))
