"""Creates, updates and deletes one object and waits for what it needs."""

from __future__ import annotations

import asyncio

from lab.plugins.common.engine import Engine
from lab.plugins.common.model import Resource
from lab.plugins.kube.cluster import CONFLICT, FORBIDDEN, NOT_FOUND, Cluster, Object, RefusedError, UnreachableError
from lab.plugins.kube.config import Config
from lab.plugins.kube.kinds import SKIPPABLE_DELETION, Kind
from lab.plugins.kube.objects import PATCH_FORCE, PROPAGATION, SKIP_AWAIT, annotation
from lab.plugins.kube.wait import Wait, until_gone

_RETRIES = 5
_PROPAGATION = {"orphan": "Orphan", "background": "Background"}
_EXISTS = """{error}

The resource already exists in the cluster: its name is taken by an object that is not in this stack's state.
  - If a resource was renamed in the program, give it an alias, so that it keeps its object.
  - If the object belongs to somebody else, change single fields with a Patch resource, for example NodePatch.
  - If this stack is to own the object, `pulumi import` it, or set upsertExistingObjects on the provider."""
_CONFLICT = """server-side apply field conflict detected: field manager "{manager}" had an apply conflict: {error}

Another manager owns these fields with other values. Leave them out here, have the other manager give them up, or set
the annotation pulumi.com/patchForce: "true" to take them over."""
"""The first words are those of the official program, whose users search for them; the error lists the fields."""


class Applier:
    """The operations of one provider on its cluster."""

    def __init__(self, cluster: Cluster, config: Config, engine: Engine, cancelled: asyncio.Event) -> None:
        self._cluster = cluster
        self._config = config
        self._engine = engine
        self._cancelled = cancelled
        self._unreachable = False

    async def try_create(self, kind: Kind, body: Object, manager: str) -> Object | None:
        """The object as it would be created, by a dry run; None if the server cannot do one."""
        if self._unreachable:
            return None
        try:
            if await self._exists(kind, body):
                return None
            live = await self._cluster.apply(kind, body, manager=manager, force=True, dry_run=True)
        except UnreachableError:
            self._unreachable = True
            return None
        except RefusedError as error:
            if error.status in (FORBIDDEN, CONFLICT) or (error.status == NOT_FOUND and error.kind == "namespaces"):
                return None
            raise
        live.pop("status", None)
        return live

    async def try_update(self, kind: Kind, body: Object, manager: str) -> Object | None:
        """The object as it would be after the update, by a dry run; None if the server cannot do one."""
        if self._unreachable:
            return None
        try:
            return await self._apply(kind, body, manager, dry_run=True)
        except UnreachableError:
            self._unreachable = True
            return None
        except RefusedError as error:
            if error.status == FORBIDDEN:
                return None
            raise

    async def create(self, resource: Resource, kind: Kind, body: Object, manager: str, timeout: float) -> Object:
        """Creates the object and waits until it is ready. An object that exists already is an error."""
        for attempt in range(_RETRIES + 1):
            try:
                if not (self._config.upsert or kind.patch):
                    await self._must_not_exist(kind, body)
                live = await self._apply(kind, body, manager)
                break
            except RefusedError as error:
                # Its namespace may be on the way.
                if error.status != NOT_FOUND or attempt == _RETRIES or self._cancelled.is_set():
                    raise
                await self._engine.status(resource.urn, f"Retry #{attempt}; creation failed: {error}")
                await asyncio.sleep(2**attempt / 2)
        return await self._wait(resource, kind, live, body, timeout)

    async def update(self, resource: Resource, kind: Kind, body: Object, manager: str, timeout: float) -> Object:
        """Applies the new inputs and waits until the object is ready."""
        await self._cluster.get(kind, body["metadata"].get("namespace", ""), body["metadata"]["name"])
        live = await self._apply(kind, body, manager)
        return await self._wait(resource, kind, live, body, timeout)

    async def delete(
        self, resource: Resource, kind: Kind, namespace: str, name: str, *, inputs: Object, timeout: float
    ) -> None:
        """Deletes the object and waits until it is gone; its dependents go first."""
        policy = _PROPAGATION.get(annotation(inputs, PROPAGATION).lower(), "Foreground")
        try:
            live = await self._cluster.get(kind, namespace, name)
            await self._cluster.delete(kind, namespace, name, propagation=policy)
        except RefusedError as error:
            if error.status == NOT_FOUND:
                return
            raise
        if annotation(inputs, SKIP_AWAIT) == "true" and kind.kind in SKIPPABLE_DELETION:
            return
        await until_gone(
            self._cluster,
            kind,
            live,
            timeout=timeout,
            show=lambda text: self._engine.status(resource.urn, text),
            cancelled=self._cancelled,
        )

    async def give_back(self, kind: Kind, namespace: str, name: str, manager: str) -> None:
        """Removes exactly the fields that `manager` contributed to the object.

        If it is gone, this creates it, empty: so does the official program (pulumi-kubernetes 4.34, provider.go:
        Delete of a patch resource). A test of the farm must notice that.
        """
        metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
        await self.relinquish(kind, {"metadata": metadata}, manager)

    async def relinquish(self, kind: Kind, live: Object, manager: str) -> None:
        """Applies nothing: what `manager` alone had set goes, what others want too stays."""
        metadata = {key: live["metadata"][key] for key in ("name", "namespace") if key in live["metadata"]}
        body = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}
        await self._cluster.apply(kind, body, manager=manager, force=False)

    async def _must_not_exist(self, kind: Kind, body: Object) -> None:
        if await self._exists(kind, body):
            taken = f'{kind.plural} "{body["metadata"]["name"]}" already exists'
            raise RefusedError(CONFLICT, _EXISTS.format(error=taken), kind.plural)

    async def _exists(self, kind: Kind, body: Object) -> bool:
        try:
            await self._cluster.get(kind, body["metadata"].get("namespace", ""), body["metadata"]["name"])
        except RefusedError as error:
            if error.status == NOT_FOUND:
                return False
            raise
        return True

    async def _apply(self, kind: Kind, body: Object, manager: str, *, dry_run: bool = False) -> Object:
        force = self._config.patch_force or annotation(body, PATCH_FORCE) == "true"
        try:
            return await self._cluster.apply(kind, body, manager=manager, force=force, dry_run=dry_run)
        except RefusedError as error:
            if error.status == CONFLICT:
                text = _CONFLICT.format(manager=manager, error=error)
                raise RefusedError(CONFLICT, text, error.kind) from None
            raise

    async def _wait(self, resource: Resource, kind: Kind, live: Object, body: Object, timeout: float) -> Object:
        if kind.patch:
            return live
        wait = Wait(
            cluster=self._cluster,
            kind=kind,
            live=live,
            inputs=body,
            timeout=timeout,
            show=lambda text: self._engine.status(resource.urn, text),
            cancelled=self._cancelled,
        )
        return await wait.until_ready()
