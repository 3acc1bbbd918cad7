"""The program `pulumi-resource-kubernetes`."""

from lab.plugins.common.program import run
from lab.plugins.kube.provider import KubernetesProvider


def main() -> None:
    """Runs until the engine ends it."""
    run(KubernetesProvider)
