"""The provider `kubernetes`: one object of the cluster a resource."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from lab.plugins.common.diffs import Diff, Path, compare, without_ignored
from lab.plugins.common.diffs import Kind as ChangeKind
from lab.plugins.common.engine import Engine
from lab.plugins.common.model import Checked, InitError, Live, Naming, Provider, ProviderError, Resource
from lab.plugins.common.values import Properties, has_unknown, plain
from lab.plugins.kube import config as configuration
from lab.plugins.kube.apply import Applier
from lab.plugins.kube.cluster import NOT_FOUND, Cluster, Object, RefusedError, UnreachableError
from lab.plugins.kube.config import Config
from lab.plugins.kube.kinds import KINDS, Kind
from lab.plugins.kube.objects import (
    AUTONAMED,
    SKIP_AWAIT,
    annotation,
    checkpoint,
    identifier,
    imported_inputs,
    inputs_of,
    live_inputs,
    manager_of,
    marked,
    parse_identifier,
    prepared,
)
from lab.plugins.kube.wait import NotReadyError, check_annotations, endpoints, has_pods, load_balancer_missing

_IF_DELETED = (
    "If the cluster was deleted, you can remove this resource from Pulumi state by rerunning the operation with the "
    'PULUMI_K8S_DELETE_UNREACHABLE environment variable set to "true"'
)


class KubernetesProvider(Provider):
    """Objects by server-side apply: the inputs are what this resource's field manager wants, no more and no less."""

    name = "kubernetes"
    version = "4.34.2"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._cancelled = asyncio.Event()
        self._set(Config())

    def _set(self, config: Config) -> None:
        self._config = config
        self._namespace = configuration.default_namespace(config)
        self._cluster = Cluster(config)
        self._applier = Applier(self._cluster, config, self._engine, self._cancelled)

    async def diff_config(self, old: Properties, new: Properties) -> Diff:
        return configuration.diff(old, new)

    async def configure(self, config: Properties) -> None:
        self._set(Config.of(config))

    async def check(self, resource: Resource, old: Properties, new: Properties, naming: Naming) -> Checked:
        kind = _kind(resource)
        if kind.patch and not self._config.server_side_apply:
            raise ProviderError(
                "patch resources require Server-Side Apply mode, which is enabled using the "
                "`enableServerSideApply` Provider config"
            )
        if annotation(plain(new), AUTONAMED):
            await self._engine.warning(
                resource.urn, f'ignoring user-specified value for internal annotation "{AUTONAMED}"'
            )
        inputs = prepared(resource, kind, old, new, naming=naming, namespace=self._namespace)
        return Checked(inputs=inputs, failures=check_annotations(plain(inputs)))

    async def diff(
        self, resource: Resource, state: Properties, old: Properties, new: Properties, ignored: Sequence[str]
    ) -> Diff:
        kind = _kind(resource)
        before, after = _canonical(kind, plain(old or inputs_of(state))), _canonical(kind, plain(new))
        mutable = self._mutable(kind, after)

        def replaces(path: Path) -> bool:
            return kind.replaces(path, mutable_data=mutable)

        found = without_ignored(compare(before, after, replaces=replaces), ignored)
        changes = {path: replace(change, of_inputs=change.kind is ChangeKind.DELETE) for path, change in found.items()}
        same_object = _identity(before) == _identity(after)
        replaced = any(change.replace for change in changes.values())
        named_by_user = annotation(after, AUTONAMED) != "true"
        return Diff.by_path(changes, delete_before_replace=replaced and same_object and named_by_user)

    def _mutable(self, kind: Kind, after: Object) -> bool:
        allowed = {"ConfigMap": self._config.mutable_config_maps, "Secret": self._config.mutable_secrets}
        return allowed.get(kind.kind, False) and after.get("immutable") is not True

    async def create(
        self, resource: Resource, inputs: Properties, *, timeout: float, preview: bool
    ) -> tuple[str, Properties]:
        kind, body = _kind(resource), plain(inputs)
        manager = manager_of({}, body)
        if preview:
            if has_unknown(body) or kind.patch:
                return "", inputs
            live = await self._applier.try_create(kind, body, manager)
            return "", checkpoint(live, inputs, manager) if live else inputs
        try:
            live = await self._applier.create(resource, kind, body, manager, timeout)
        except NotReadyError as error:
            raise _partly(
                error,
                inputs,
                manager,
                f'resource "{resource.urn}" was successfully created, but the Kubernetes API server reported '
                f"that it failed to fully initialize or become live: {error.message}",
            ) from None
        except RefusedError as error:
            raise ProviderError(
                f'resource "{resource.urn}" was not successfully created by the Kubernetes API server: {error}'
            ) from None
        return identifier(live), checkpoint(live, inputs, manager)

    async def update(
        self,
        resource: Resource,
        state: Properties,
        old: Properties,
        new: Properties,
        *,
        timeout: float,
        preview: bool,
        ignored: Sequence[str],
    ) -> Properties:
        kind, body = _kind(resource), plain(new)
        manager = manager_of(state, body)
        try:
            if preview:
                found = None if has_unknown(body) else await self._applier.try_update(kind, body, manager)
                return checkpoint(found, new, manager) if found else new
            live = await self._applier.update(resource, kind, body, manager, timeout)
            former = manager_of(state, {})
            if former != manager:
                await self._applier.relinquish(kind, live, former)
        except (NotReadyError, RefusedError) as error:
            not_ready = error if isinstance(error, NotReadyError) else await self._refused(resource, kind, error)
            raise _partly(
                not_ready,
                new,
                manager,
                f'the Kubernetes API server reported that "{identifier(not_ready.live)}" failed to fully initialize '
                f"or become live: {not_ready.message}",
            ) from None
        return checkpoint(live, new, manager)

    async def _refused(self, resource: Resource, kind: Kind, refusal: RefusedError) -> NotReadyError:
        """A refused update as the official program reports it: the object is there, and is not as it is wanted.

        So the state has the failure, and the next `up` updates the object whatever the program says then (provider.go:
        Update). Raises ProviderError when the object is gone.
        """
        try:
            live = await self._cluster.get(kind, *parse_identifier(kind, resource.id))
        except (RefusedError, UnreachableError) as error:
            why = f'update of resource "{resource.urn}" failed: {refusal}\nunable to get cluster state: {error}'
            raise ProviderError(why) from None
        return NotReadyError(str(refusal), live=live, reasons=[])

    async def delete(self, resource: Resource, state: Properties, *, timeout: float) -> None:
        kind = _kind(resource)
        inputs = plain(inputs_of(state))
        namespace, name = parse_identifier(kind, resource.id)
        try:
            if kind.patch:
                await self._applier.give_back(kind, namespace, name, manager_of(state, inputs))
            else:
                await self._applier.delete(resource, kind, namespace, name, inputs=inputs, timeout=timeout)
        except UnreachableError as error:
            if not self._config.delete_unreachable:
                raise ProviderError(f"{error}. {_IF_DELETED}") from None
            await self._engine.warning(resource.urn, f"{error}; removed from the state only")

    async def read(self, resource: Resource, state: Properties, inputs: Properties) -> Live | None:
        kind = _kind(resource)
        namespace, name = parse_identifier(kind, resource.id)
        try:
            live = await self._cluster.get(kind, namespace, name)
        except RefusedError as error:
            if error.status == NOT_FOUND:
                return None
            raise
        except UnreachableError as error:
            if self._config.delete_unreachable:
                await self._engine.warning(resource.urn, f"{error}; removed from the state")
                return None
            raise ProviderError(f"failed to read resource state: {error}. {_IF_DELETED}") from None
        before = plain(inputs)
        now = live_inputs(live, before) if before.get("kind") else imported_inputs(live)
        manager = manager_of(state, before)
        return Live(
            id=resource.id,
            state=checkpoint(live, marked(now, inputs), manager),
            inputs=marked(now, inputs),
            not_ready=await self._not_ready(kind, live, before),
        )

    async def _not_ready(self, kind: Kind, live: Object, inputs: Object) -> list[str]:
        if kind.kind != "Service" or annotation(inputs, SKIP_AWAIT) == "true" or not inputs:
            return []
        missing = load_balancer_missing(live)
        if not missing and has_pods(live):
            _, pending = await endpoints(self._cluster, live)
            missing = f"{len(pending)} endpoints are not ready" if pending else ""
        name = live["metadata"]["name"]
        return [f"Resource '{name}' was created but failed to initialize", missing] if missing else []

    async def cancel(self) -> None:
        self._cancelled.set()


def _kind(resource: Resource) -> Kind:
    if resource.type not in KINDS:
        known = ", ".join(sorted(KINDS))
        raise ProviderError(f"unknown resource type {resource.type}: the lab's own provider knows {known}")
    return KINDS[resource.type]


def _canonical(kind: Kind, body: Object) -> Object:
    metadata = body.get("metadata")
    if isinstance(metadata, dict) and kind.namespaced:
        return {**body, "metadata": {**metadata, "namespace": metadata.get("namespace") or "default"}}
    return body


def _identity(body: Object) -> tuple[object, object]:
    metadata = body.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    return metadata.get("name"), metadata.get("namespace")


def _partly(error: NotReadyError, inputs: Properties, manager: str, message: str) -> InitError:
    return InitError(
        message,
        live_id=identifier(error.live),
        state=checkpoint(error.live, inputs, manager),
        reasons=[message, *error.reasons],
    )
