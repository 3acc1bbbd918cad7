"""The site's secrets, as the cluster keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi
from pulumi_kubernetes.core.v1 import Secret
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from components.failures import dependable, despite_failure
from components.farm import Farm
from components.outputs import taken


def secret(
    name: str,
    farm: Farm,
    values: Mapping[str, pulumi.Output[str]],
    *,
    parent: pulumi.Resource,
    after: Sequence[pulumi.Resource],
) -> tuple[pulumi.Output[str], pulumi.Resource]:
    """A Secret that holds ``values``, environment variables by name: return its own name, and the resource.

    It has no metadata.name and never changes: other values make another Secret, whose name the provider chooses at
    random. So the pod template changes when a secret does, and reveals nothing about it (ADR 0013).
    """
    made = Secret(
        name,
        metadata=ObjectMetaArgs(namespace=farm.namespace),
        immutable=True,
        string_data=dict(values),
        opts=pulumi.ResourceOptions(parent=parent, provider=farm.cluster, depends_on=list(after)),
    )
    return despite_failure(taken(made.metadata, "name"), ""), dependable(made, parent)
