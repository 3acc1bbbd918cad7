"""When an object counts as ready: annotations first, else what its kind is known to need."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from lab.plugins.common.model import Failure, ProviderError
from lab.plugins.kube.cluster import NOT_FOUND, Cluster, Object, RefusedError, UnreachableError
from lab.plugins.kube.jsonpath import parse
from lab.plugins.kube.kinds import ENDPOINTS, Kind
from lab.plugins.kube.objects import SKIP_AWAIT, TIMEOUT, WAIT_FOR, annotation
from lab.plugins.kube.reasons import reasons

TEN_MINUTES: Final = 600.0
SETTLED: Final = 3.0
_POLL, _POLL_GROWTH, _POLL_LIMIT = 0.2, 1.3, 2.0

Show = Callable[[str], Awaitable[None]]
Condition = Callable[[Object], Awaitable[str]]
"""What is still missing, in words; "" when the object is ready."""


class NotReadyError(Exception):
    """The object did not become ready in time; `live` is how it was last seen, `reasons` what the cluster says."""

    def __init__(self, message: str, *, live: Object, reasons: list[str]) -> None:
        super().__init__(message)
        self.message = message
        self.live = live
        self.reasons = reasons


@dataclass(frozen=True, kw_only=True)
class Wait:
    """One object to wait for."""

    cluster: Cluster
    kind: Kind
    live: Object
    inputs: Object
    timeout: float
    show: Show
    cancelled: asyncio.Event

    async def until_ready(self) -> Object:
        """The object once it is ready. Raises NotReadyError after the timeout or when the user interrupts."""
        if annotation(self.inputs, SKIP_AWAIT) == "true":
            return self.live
        condition, limit = self._condition()
        if condition is None:
            return self.live
        live, deadline, pause = self.live, time.monotonic() + limit, _POLL
        shown = ""
        while missing := await self._missing(condition, live):
            if missing != shown:
                shown = missing
                await self.show(missing)
            if time.monotonic() >= deadline:
                raise await self._not_ready(live, f"timed out waiting to be Ready: {missing}")
            if await _interrupted(self.cancelled, min(pause, max(deadline - time.monotonic(), 0.01))):
                raise await self._not_ready(live, f"was not awaited, the operation was cancelled: {missing}")
            pause = min(pause * _POLL_GROWTH, _POLL_LIMIT)
            live = await self._get(live)
        if shown:
            await self.show("")
        return live

    async def _missing(self, condition: Condition, live: Object) -> str:
        try:
            return await condition(live)
        except (UnreachableError, RefusedError) as error:
            return _silent(error)

    async def _get(self, live: Object) -> Object:
        """The object as it is now; as it was last seen while the API server is away, for the object is still there."""
        metadata = live["metadata"]
        try:
            return await self.cluster.get(self.kind, metadata.get("namespace", ""), metadata["name"])
        except (UnreachableError, RefusedError) as error:
            if isinstance(error, RefusedError) and error.status == NOT_FOUND:
                raise
            await self.show(_silent(error))
            return live

    async def _not_ready(self, live: Object, why: str) -> NotReadyError:
        name = live["metadata"]["name"]
        return NotReadyError(f"'{name}' {why}", live=live, reasons=await reasons(self.cluster, self.kind, live))

    def _condition(self) -> tuple[Condition | None, float]:
        limit = self.timeout or _seconds(annotation(self.inputs, TIMEOUT)) or TEN_MINUTES
        expressions = annotation(self.inputs, WAIT_FOR)
        if expressions:
            return _all(expressions), limit
        match self.kind.kind:
            case "ReplicationController":
                # The official provider's own waiter knows ten minutes and no timeout of the user's.
                return _replicas, TEN_MINUTES
            case "Service":
                return _Service(self.cluster, time.monotonic() + limit).missing, limit
            case "Pod":
                return _pod, limit
            case _:
                return None, limit


def _silent(error: Exception) -> str:
    return f"the API server gives no answer: {error}"


async def _interrupted(cancelled: asyncio.Event, pause: float) -> bool:
    try:
        await asyncio.wait_for(cancelled.wait(), pause)
    except TimeoutError:
        return False
    return True


def _seconds(text: str) -> float:
    return float(text) if text.isdigit() else 0.0


def check_annotations(inputs: Object) -> list[Failure]:
    """What is wrong with the annotation that says what to wait for; found before anything is created."""
    text = annotation(inputs, WAIT_FOR)
    try:
        if text:
            _all(text)
    except ValueError as error:
        return [Failure(property=f'metadata.annotations["{WAIT_FOR}"]', reason=f"{WAIT_FOR}: {error}")]
    return []


def _all(text: str) -> Condition:
    try:
        found = json.loads(text)
        expressions = found if isinstance(found, list) else [text]
    except ValueError:
        expressions = [text]
    if not expressions:
        raise ValueError("at least one condition must be specified")
    conditions = [_one(expression) for expression in expressions]

    async def missing(live: Object) -> str:
        return next((text for condition in conditions if (text := condition(live))), "")

    return missing


def _one(expression: Any) -> Callable[[Object], str]:
    if not isinstance(expression, str) or not expression.startswith(("jsonpath=", "condition=")):
        raise ValueError(f'expected a "jsonpath=" or "condition=" prefix, got {expression!r}')
    if expression.startswith("condition="):
        name, _, status = expression.removeprefix("condition=").partition("=")
        expression = f'jsonpath={{.status.conditions[?(@.type=="{name}")].status}}={status or "True"}'
    parsed = parse(expression)

    def missing(live: Object) -> str:
        observed = (live.get("status") or {}).get("observedGeneration")
        if observed is not None and observed < live["metadata"].get("generation", 0):
            return f"waiting for {parsed.text}={parsed.value} (the change has not been noticed yet)"
        matched, found = parsed.matches(live)
        wanted = f"{parsed.text}={parsed.value}" if parsed.value else parsed.text
        return "" if matched else f"waiting for {wanted} ({found})"

    return missing


async def _replicas(live: Object) -> str:
    wanted = live["spec"].get("replicas")
    # The server leaves a count of 0 out, and then this never holds: so it is with the official provider.
    available = (live.get("status") or {}).get("availableReplicas")
    return "" if available is not None and available == wanted else f"{available or 0} of {wanted} pods are available"


async def _pod(live: Object) -> str:
    status = live.get("status") or {}
    if status.get("phase") == "Succeeded":
        return ""
    ready = any(entry["type"] == "Ready" and entry["status"] == "True" for entry in status.get("conditions") or [])
    return "" if ready else f"the pod is {status.get('phase', 'not scheduled')}, not ready"


class _Service:
    """Endpoints have not changed for a while, none is pending; a load balancer has an address. No endpoint passes."""

    def __init__(self, cluster: Cluster, deadline: float) -> None:
        self._cluster = cluster
        self._deadline = deadline
        self._seen: Any = None
        self._since = time.monotonic()

    async def missing(self, live: Object) -> str:
        if text := load_balancer_missing(live):
            return text
        if not has_pods(live):
            return ""
        ready, pending = await endpoints(self._cluster, live)
        if pending:
            self._seen = None
            return f"{len(pending)} endpoints are not ready"
        if ready != self._seen:
            self._seen, self._since = ready, time.monotonic()
        settled = ready is not None and time.monotonic() - self._since >= SETTLED
        if settled or time.monotonic() >= self._deadline:
            return ""
        return "waiting for the endpoints to settle" if ready is not None else "waiting for endpoints"


def has_pods(live: Object) -> bool:
    """Whether a Service stands for pods whose endpoints somebody maintains."""
    spec = live["spec"]
    return bool(spec.get("selector")) and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None"


def load_balancer_missing(live: Object) -> str:
    """What a Service of type LoadBalancer lacks; "" for any other."""
    if live["spec"].get("type") != "LoadBalancer":
        return ""
    addresses = ((live.get("status") or {}).get("loadBalancer") or {}).get("ingress")
    return "" if addresses else "the load balancer has no address yet; does this cluster have one?"


async def endpoints(cluster: Cluster, service: Object) -> tuple[list[Any] | None, list[Any]]:
    """Addresses that serve (None before anybody wrote any) and addresses that do not serve yet."""
    metadata = service["metadata"]
    try:
        found = await cluster.get(ENDPOINTS, metadata["namespace"], metadata["name"])
    except RefusedError as error:
        if error.status == NOT_FOUND:
            return None, []
        raise
    subsets = found.get("subsets") or []
    ready = [address for subset in subsets for address in subset.get("addresses") or []]
    return ready, [address for subset in subsets for address in subset.get("notReadyAddresses") or []]


async def until_gone(
    cluster: Cluster, kind: Kind, live: Object, *, timeout: float, show: Show, cancelled: asyncio.Event
) -> None:
    """Waits until the object is gone or another one of its name is there. Raises ProviderError after the timeout."""
    metadata = live["metadata"]
    deadline, pause = time.monotonic() + (timeout or TEN_MINUTES), _POLL / 2
    while True:
        try:
            now = await cluster.get(kind, metadata.get("namespace", ""), metadata["name"])
        except UnreachableError as error:
            missing = _silent(error)
        except RefusedError as error:
            if error.status == NOT_FOUND:
                return
            missing = _silent(error)
        else:
            if now["metadata"]["uid"] != metadata["uid"]:
                return
            missing = f"its finalizers: {', '.join(now['metadata'].get('finalizers') or []) or 'none'}"
        if time.monotonic() >= deadline:
            raise ProviderError(
                f"{kind.kind} {metadata['name']} was not gone in time; {missing}; "
                "check what keeps it, then run this again"
            )
        await show(f"waiting for the deletion ({missing})")
        if await _interrupted(cancelled, pause):
            raise ProviderError(f"{kind.kind} {metadata['name']} is being deleted; the operation was cancelled")
        pause = min(pause * _POLL_GROWTH, _POLL_LIMIT)
