"""The engine's gRPC protocol on one side, a `Provider` on the other.

`pulumi.provider.experimental` has a servicer too; its Diff and Update get no old inputs, it cannot express an
unknown value and it has no error for "created but not ready", so this one stands on the protocol itself.
"""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.protobuf import any_pb2, empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from lab.plugins.common.diffs import Diff, Kind, dotted
from lab.plugins.common.engine import Engine
from lab.plugins.common.model import Checked, InitError, Naming, Provider, ProviderError, Resource
from lab.plugins.common.values import decode, encode

Context = Any
"""A grpc.aio.ServicerContext; grpc comes without types."""

_KINDS = {
    (Kind.ADD, False): provider_pb2.PropertyDiff.ADD,
    (Kind.ADD, True): provider_pb2.PropertyDiff.ADD_REPLACE,
    (Kind.DELETE, False): provider_pb2.PropertyDiff.DELETE,
    (Kind.DELETE, True): provider_pb2.PropertyDiff.DELETE_REPLACE,
    (Kind.UPDATE, False): provider_pb2.PropertyDiff.UPDATE,
    (Kind.UPDATE, True): provider_pb2.PropertyDiff.UPDATE_REPLACE,
}


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """Serves one provider; what it does not override answers "unimplemented", which the engine understands."""

    def __init__(self, provider: Provider, engine: Engine) -> None:
        self._provider = provider
        self._engine = engine

    async def Handshake(self, request: Any, context: Context) -> Any:  # noqa: N802
        self._engine.connect(request.engine_address)
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True, supports_autonaming_configuration=True)

    async def GetPluginInfo(self, request: Any, context: Context) -> Any:  # noqa: N802
        return plugin_pb2.PluginInfo(version=self._provider.version)

    async def Cancel(self, request: Any, context: Context) -> Any:  # noqa: N802
        await self._provider.cancel()
        return empty_pb2.Empty()

    async def CheckConfig(self, request: Any, context: Context) -> Any:  # noqa: N802
        async with _errors(context):
            return _checked(await self._provider.check_config(decode(request.news)))

    async def DiffConfig(self, request: Any, context: Context) -> Any:  # noqa: N802
        async with _errors(context):
            return _diffed(await self._provider.diff_config(decode(request.olds), decode(request.news)))

    async def Configure(self, request: Any, context: Context) -> Any:  # noqa: N802
        async with _errors(context):
            await self._provider.configure(decode(request.args))
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, supports_autonaming_configuration=True
        )

    async def Invoke(self, request: Any, context: Context) -> Any:  # noqa: N802
        async with _errors(context):
            result = await self._provider.invoke(request.tok, decode(request.args))
        return provider_pb2.InvokeResponse(**{"return": encode(result)})

    async def Check(self, request: Any, context: Context) -> Any:  # noqa: N802
        options = request.autonaming if request.HasField("autonaming") else None
        naming = Naming(
            seed=request.randomSeed,
            proposed=options.proposed_name if options else "",
            disabled=bool(options and options.mode == options.DISABLE),
        )
        async with _errors(context):
            return _checked(
                await self._provider.check(
                    Resource(urn=request.urn), decode(request.olds), decode(request.news), naming
                )
            )

    async def Diff(self, request: Any, context: Context) -> Any:  # noqa: N802
        async with _errors(context):
            diff = await self._provider.diff(
                Resource(urn=request.urn, id=request.id),
                decode(request.olds),
                decode(request.old_inputs),
                decode(request.news),
                list(request.ignoreChanges),
            )
        return _diffed(diff)

    async def Create(self, request: Any, context: Context) -> Any:  # noqa: N802
        async with _errors(context):
            live_id, state = await self._provider.create(
                Resource(urn=request.urn),
                decode(request.properties),
                timeout=request.timeout,
                preview=request.preview,
            )
        return provider_pb2.CreateResponse(id=live_id, properties=encode(state))

    async def Read(self, request: Any, context: Context) -> Any:  # noqa: N802
        async with _errors(context):
            live = await self._provider.read(
                Resource(urn=request.urn, id=request.id), decode(request.properties), decode(request.inputs)
            )
        if live is None:
            return provider_pb2.ReadResponse()
        if live.not_ready:
            error = InitError(live.not_ready[0], live_id=live.id, state=live.state, reasons=live.not_ready)
            error.inputs = live.inputs
            await _abort_partially(context, error)
        return provider_pb2.ReadResponse(id=live.id, properties=encode(live.state), inputs=encode(live.inputs))

    async def Update(self, request: Any, context: Context) -> Any:  # noqa: N802
        async with _errors(context):
            state = await self._provider.update(
                Resource(urn=request.urn, id=request.id),
                decode(request.olds),
                decode(request.old_inputs),
                decode(request.news),
                timeout=request.timeout,
                preview=request.preview,
                ignored=list(request.ignoreChanges),
            )
        return provider_pb2.UpdateResponse(properties=encode(state))

    async def Delete(self, request: Any, context: Context) -> Any:  # noqa: N802
        async with _errors(context):
            await self._provider.delete(
                Resource(urn=request.urn, id=request.id), decode(request.properties), timeout=request.timeout
            )
        return empty_pb2.Empty()


def _checked(checked: Checked) -> Any:
    failures = [
        provider_pb2.CheckFailure(property=failure.property, reason=failure.reason) for failure in checked.failures
    ]
    return provider_pb2.CheckResponse(inputs=encode(checked.inputs), failures=failures)


def _diffed(diff: Diff) -> Any:
    some = provider_pb2.DiffResponse.DIFF_SOME
    return provider_pb2.DiffResponse(
        changes=some if diff.changes else provider_pb2.DiffResponse.DIFF_NONE,
        diffs=diff.changed,
        replaces=diff.replaces,
        deleteBeforeReplace=diff.delete_before_replace,
        detailedDiff={
            dotted(path): provider_pb2.PropertyDiff(
                kind=_KINDS[change.kind, change.replace], inputDiff=change.of_inputs
            )
            for path, change in diff.changes.items()
        },
        hasDetailedDiff=True,
    )


@asynccontextmanager
async def _errors(context: Context) -> AsyncIterator[None]:
    """Turns what a provider raises into what the engine shows, without a traceback unless it is our own fault."""
    try:
        yield
    except InitError as error:
        await _abort_partially(context, error)
    except ProviderError as error:
        await context.abort(grpc.StatusCode.UNKNOWN, str(error))
    except Exception as error:  # noqa: BLE001 - the engine must hear of every error
        note = f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
        await context.abort(grpc.StatusCode.INTERNAL, f"a defect in the lab's own provider: {note}")


async def _abort_partially(context: Context, error: InitError) -> None:
    detail = provider_pb2.ErrorResourceInitFailed(
        id=error.live_id, properties=encode(error.state), reasons=error.reasons
    )
    if error.inputs is not None:
        detail.inputs.CopyFrom(encode(error.inputs))
    packed = any_pb2.Any()
    packed.Pack(detail)
    code = grpc.StatusCode.UNKNOWN
    status = status_pb2.Status(code=code.value[0], message=str(error), details=[packed])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    await context.abort(code, str(error))


Factory = Callable[[Engine], Provider]
