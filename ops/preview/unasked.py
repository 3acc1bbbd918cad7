"""Whether the cluster could be asked, for a preview that succeeds without it and says nothing of that.

Without an API server the Kubernetes provider compares with the recorded inputs only (read in pulumi-kubernetes,
provider.go: Check and Create pass over what needs one when the cluster is unreachable and it is a preview).
"""

from __future__ import annotations

from pathlib import Path

from connectors.cluster import Cluster, ClusterError
from ops.config.checking import report_of
from ops.errors import OpsError


def why_unasked(stack: str) -> str:
    """Why the cluster of ``stack`` cannot be asked, '' when it can. Blocks for 10 s at most."""
    try:
        config = report_of(stack).config
    except OpsError:
        config = None
    if config is None:
        return ""  # of which the preview itself has told
    kubernetes = config.kubernetes
    try:
        cluster = Cluster(
            kubeconfig=Path(kubernetes.kubeconfig), context=kubernetes.context, namespace=kubernetes.namespace
        )
        cluster.ask("the API's resources", cluster.core.get_api_resources)
    except ClusterError as error:
        return str(error)
    return ""
