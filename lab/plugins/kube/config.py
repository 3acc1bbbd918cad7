"""The provider's own configuration and the kubeconfig in it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab.plugins.common.diffs import Change, Diff, Kind, compare
from lab.plugins.common.model import ProviderError
from lab.plugins.common.values import Properties, Unknown, plain

_PICKS_CLUSTER = ("kubeconfig", "context", "cluster")


@dataclass(frozen=True, kw_only=True)
class Config:
    """What `pulumi_kubernetes.Provider(...)` was given; options it has for things we do not have are ignored."""

    kubeconfig: Any = None
    context: str | None = None
    cluster: str | None = None
    namespace: str | None = None
    server_side_apply: bool = True
    patch_force: bool = False
    upsert: bool = False
    delete_unreachable: bool = False
    mutable_config_maps: bool = False
    mutable_secrets: bool = False

    @classmethod
    def of(cls, given: Properties) -> Config:
        """Reads the properties; flags also come from the environment, as the official provider takes them."""
        values = plain(given)
        return cls(
            kubeconfig=values.get("kubeconfig"),
            context=values.get("context") or None,
            cluster=values.get("cluster") or None,
            namespace=values.get("namespace") or None,
            server_side_apply=_flag(values, "enableServerSideApply", "ENABLE_SERVER_SIDE_APPLY", default=True),
            patch_force=_flag(values, "enablePatchForce", "ENABLE_PATCH_FORCE"),
            upsert=_flag(values, "upsertExistingObjects", "UPSERT_EXISTING_OBJECTS"),
            delete_unreachable=_flag(values, "deleteUnreachable", "DELETE_UNREACHABLE"),
            mutable_config_maps=_flag(values, "enableConfigMapMutable", "ENABLE_CONFIGMAP_MUTABLE"),
            mutable_secrets=_flag(values, "enableSecretMutable", "ENABLE_SECRET_MUTABLE"),
        )


def _flag(values: Properties, name: str, variable: str, *, default: bool = False) -> bool:
    value = values.get(name)
    if value is None:
        value = os.environ.get(f"PULUMI_K8S_{variable}")
    return default if value is None else str(value).lower() == "true"


def load(kubeconfig: Any) -> dict[str, Any]:
    """A kubeconfig from its contents, its path (`~` and relative to the project work) or, when empty, the environment.

    Raises ProviderError when there is none or it is not one.
    """
    if isinstance(kubeconfig, Mapping):
        return dict(kubeconfig)
    given = kubeconfig or os.environ.get("KUBECONFIG", "").split(os.pathsep)[0] or "~/.kube/config"
    path = Path(given).expanduser() if "\n" not in given else None
    try:
        text = path.read_text() if path and path.is_file() else given
        found = yaml.safe_load(text)
    except (OSError, yaml.YAMLError) as error:
        raise ProviderError(f"failed to parse kubeconfig data in `kubernetes:config:kubeconfig`- {error}") from None
    if not isinstance(found, dict):
        what = f"file {given} does not exist" if path else "it is not a mapping"
        raise ProviderError(f"failed to parse kubeconfig data in `kubernetes:config:kubeconfig`- {what}")
    base = path.parent if path and path.is_file() else Path()
    return _with_absolute_paths(found, base)


def _with_absolute_paths(found: dict[str, Any], base: Path) -> dict[str, Any]:
    """A kubeconfig's relative file names are relative to the kubeconfig."""
    for section, name in (("clusters", "cluster"), ("users", "user")):
        for entry in found.get(section) or []:
            item = entry.get(name) or {}
            for key in ("certificate-authority", "client-certificate", "client-key", "tokenFile"):
                if item.get(key):
                    item[key] = str(Path(os.path.normpath((base / item[key]).absolute())))
    return found


def active_cluster(kubeconfig: Any, context: Any, cluster: Any) -> dict[str, Any] | None:
    """The cluster that a kubeconfig points to; None if that is not known."""
    if kubeconfig is None:
        return None
    found = load(kubeconfig)
    chosen = _context(found, context)
    return None if chosen is None else _named(found, "cluster", cluster or chosen.get("cluster"))


def active_user(kubeconfig: Any, context: Any) -> dict[str, Any] | None:
    """The user that a kubeconfig logs in as; None when it names none."""
    found = load(kubeconfig)
    return _named(found, "user", (_context(found, context) or {}).get("user"))


def _context(found: dict[str, Any], context: Any) -> dict[str, Any] | None:
    """The context of that name, else the current one; None when there is none."""
    contexts = {entry.get("name"): entry.get("context") or {} for entry in found.get("contexts") or []}
    return contexts.get(context or found.get("current-context"))


def _named(found: dict[str, Any], kind: str, name: Any) -> dict[str, Any] | None:
    """A kubeconfig's entry of a kind, "cluster" or "user"; None when it has none of that name."""
    return {entry.get("name"): entry.get(kind) for entry in found.get(f"{kind}s") or []}.get(name)


def default_namespace(config: Config) -> str:
    """The namespace for objects that name none: the provider's, else the context's, else `default`."""
    if config.namespace:
        return config.namespace
    try:
        found = load(config.kubeconfig)
    except ProviderError:
        return "default"
    wanted = config.context or found.get("current-context")
    for entry in found.get("contexts") or []:
        if entry.get("name") == wanted:
            return (entry.get("context") or {}).get("namespace") or "default"
    return "default"


def diff(old: Properties, new: Properties) -> Diff:
    """Whether a changed configuration means another cluster, and so replaces the provider and everything in it.

    With a clusterIdentifier only a changed identifier does. Without one: another active cluster in the kubeconfig, or
    a kubeconfig, context or cluster that is not known yet.
    """
    old, new = plain(old), plain(new)
    changes = {path[:1]: change for path, change in compare(old, new, replaces=lambda path: False).items()}
    if not changes:
        return Diff()
    identifiers = old.get("clusterIdentifier"), new.get("clusterIdentifier")
    unknown = [name for name in _PICKS_CLUSTER if isinstance(new.get(name), Unknown)]
    if identifiers[0] and identifiers[0] == identifiers[1]:
        replaces: set[str] = set()
    elif all(identifiers):
        replaces = {"clusterIdentifier"}
    elif unknown:
        replaces = set(unknown)
    elif _moved(old, new):
        replaces = {name for name in _PICKS_CLUSTER if (name,) in changes}
    else:
        replaces = set()
    for name in replaces:
        changes[(name,)] = Change(kind=Kind.UPDATE, replace=True)
    return Diff.by_input(changes)


def _moved(old: Properties, new: Properties) -> bool:
    before = active_cluster(*(old.get(name) for name in _PICKS_CLUSTER))
    after = active_cluster(*(new.get(name) for name in _PICKS_CLUSTER))
    return before is not None and after is not None and before != after
