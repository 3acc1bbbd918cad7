"""The labels and annotations of the farm, each written once.

A selector is made here and nowhere else, so a Service cannot select anything but the pods that its controller makes.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

PREFIX = "glusterfarm"

#: On every pod template: a change of volume or mount path is a change of the template, so pods are rolled for it.
VOLUME_ANNOTATION = f"{PREFIX}/volume"
#: In a controller's selector only. It separates the pods of one template from those of the next while both run.
TEMPLATE_LABEL = f"{PREFIX}/template"

#: On a namespace that a stack made: ``project/stack``.
OWNER_ANNOTATION = f"{PREFIX}/stack"
#: On the Service and the NetworkPolicy in a namespace that was there before the stack, so that it is never removed.
FOREIGN_ANNOTATION = f"{PREFIX}/namespace"
FOREIGN = "made-by-others"
#: hostPath, which is how pods reach the mount, is refused by the baseline and restricted profiles.
PRIVILEGED = "pod-security.kubernetes.io/enforce=privileged"
#: On a node: Pulumi takes back what somebody else changed of its label. Source: pulumi.com, "Server-Side Apply".
FORCE_ANNOTATION = "pulumi.com/patchForce"


def mounted_label(stack: str) -> str:
    """Key of the label that says "this stack has mounted its volume on this node" (only Pulumi writes it)."""
    return f"{PREFIX}/mounted.{stack}"


def generation_annotation(stack: str) -> str:
    """Key of a node's annotation, beside the label: the ``generation`` of the machine that was mounted on."""
    return f"{PREFIX}/generation.{stack}"


def minion_annotation(stack: str) -> str:
    """Key of a node's annotation: the name of the minion that the node is to the stack."""
    return f"{PREFIX}/minion.{stack}"


def on_node(stack: str) -> tuple[str, ...]:
    """The keys of all that the stack writes on a node."""
    return (mounted_label(stack), generation_annotation(stack), minion_annotation(stack), FORCE_ANNOTATION)


def placement(stack: str) -> Mapping[str, str]:
    """The node selector of the nodes on which the stack's mount was proved: ``{label: value}``."""
    return MappingProxyType({mounted_label(stack): "true"})


def pods_selector(stack: str) -> Mapping[str, str]:
    """What every pod of the stack's farm carries, whatever its template: the Service's selector."""
    return MappingProxyType({"app.kubernetes.io/name": PREFIX, "app.kubernetes.io/instance": stack})
