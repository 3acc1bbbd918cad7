"""Who must confirm what is published, and which of them may be missing."""

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
class Jury:
    """All other minions, or ``sample`` of them; ``max_unreachable`` may be missing, besides those that are excused.

    Excused is who is down, says the inventory, and whose node ``unready`` names. That asks the cluster, and so blocks;
    it raises ClusterError. None: there is no cluster to ask.
    """

    sample: int | None = None
    max_unreachable: int = 0
    unready: Callable[[], Collection[str]] | None = None

    @classmethod
    def of(cls, config: StackConfig) -> Jury:
        """The one that a stack's configuration wants."""
        there = config.kubernetes
        return cls(
            sample=config.content.verify_sample,
            max_unreachable=config.content.max_unreachable,
            unready=partial(unready_nodes, Path(there.kubeconfig), there.context, there.namespace),
        )


#: For who only wants somebody to ask.
NOBODY: Final = Jury(sample=0)


def add_jury_options(parser: argparse.ArgumentParser) -> None:
    """Give ``parser`` the options that ``chosen_jury`` reads."""
    parser.add_argument("--verify-sample", type=int, metavar="N", help="only so many of the other minions verify")
    parser.add_argument(
        "--max-unreachable",
        type=int,
        default=0,
        metavar="N",
        help="so many of them may be out of reach, besides those whose node is NotReady (default: 0)",
    )
    add_cluster_options(parser, required=False)


def chosen_jury(options: argparse.Namespace) -> Jury:
    """The one that the options name; nothing is asked yet."""
    unready = None
    if options.kubeconfig is not None:
        unready = partial(unready_nodes, options.kubeconfig, options.context, options.namespace)
    return Jury(sample=options.verify_sample, max_unreachable=options.max_unreachable, unready=unready)


def unready_nodes(kubeconfig: Path, context: str | None, namespace: str | None) -> frozenset[str]:
    """The nodes that are NotReady: whose kubelet says so, or is not heard of. Blocks; raises ClusterError."""
    cluster = Cluster(kubeconfig=kubeconfig, context=context, namespace=namespace or "")
    nodes = cluster.ask("the nodes", cluster.core.list_node)["items"]
    return frozenset(node["metadata"]["name"] for node in nodes if not is_ready(node))
