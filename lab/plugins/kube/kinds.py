"""The resource types that the provider knows, and which of their fields cannot change in place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from lab.plugins.common.diffs import Path

_IDENTITY: Final = (("metadata", "name"), ("metadata", "namespace"))
_POD_MUTABLE: Final = ("activeDeadlineSeconds", "tolerations")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One type of object. `patch`: the resource only contributes fields to an object that somebody else owns."""

    group: str = ""
    version: str = "v1"
    kind: str
    plural: str
    namespaced: bool = True
    patch: bool = False
    immutable: tuple[Path, ...] = ()

    @property
    def api_version(self) -> str:
        """As objects have it: `v1`, `networking.k8s.io/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def replaces(self, path: Path, *, mutable_data: bool) -> bool:
        """Whether a change at `path` needs a new object. `mutable_data`: ConfigMaps and Secrets may change in place."""
        if self.kind == "Pod" and not self.patch and path[0] == "spec":
            return len(path) == 1 or path[1] not in _POD_MUTABLE
        wanted: Iterable[Path] = _IDENTITY if self.patch else (*_IDENTITY, *self.immutable)
        if mutable_data:
            wanted = [field for field in wanted if field[0] not in ("data", "binaryData", "stringData")]
        return any(path[: len(field)] == field[: len(path)] for field in wanted)


_NODE_PATCH: Final = Kind(kind="Node", plural="nodes", namespaced=False, patch=True)

KINDS: Final = {
    "kubernetes:core/v1:ConfigMap": Kind(kind="ConfigMap", plural="configmaps", immutable=(("data",), ("binaryData",))),
    "kubernetes:core/v1:Namespace": Kind(kind="Namespace", plural="namespaces", namespaced=False),
    "kubernetes:core/v1:NodePatch": _NODE_PATCH,
    "kubernetes:core/v1:Pod": Kind(kind="Pod", plural="pods"),
    "kubernetes:core/v1:ReplicationController": Kind(kind="ReplicationController", plural="replicationcontrollers"),
    "kubernetes:core/v1:Secret": Kind(
        kind="Secret", plural="secrets", immutable=(("type",), ("data",), ("stringData",))
    ),
    "kubernetes:core/v1:Service": Kind(kind="Service", plural="services", immutable=(("spec", "clusterIP"),)),
    "kubernetes:core/v1:ServiceAccount": Kind(kind="ServiceAccount", plural="serviceaccounts"),
    "kubernetes:networking.k8s.io/v1:NetworkPolicy": Kind(
        group="networking.k8s.io", kind="NetworkPolicy", plural="networkpolicies"
    ),
}

# Kinds that the provider only reads, to find out whether something is ready, and why not.
ENDPOINTS: Final = Kind(kind="Endpoints", plural="endpoints")
EVENT: Final = Kind(kind="Event", plural="events")
POD: Final = KINDS["kubernetes:core/v1:Pod"]

# Kinds whose deletion need not be awaited when the annotation pulumi.com/skipAwait says so.
SKIPPABLE_DELETION: Final = frozenset({"Namespace", "Pod", "ReplicationController"})
