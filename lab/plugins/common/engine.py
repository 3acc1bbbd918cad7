"""Messages to the user through the engine."""

from __future__ import annotations

from contextlib import suppress

import grpc
import grpc.aio
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc


class Engine:
    """The engine that started this program. Messages before `connect` are dropped."""

    def __init__(self, address: str = "") -> None:
        self._address = ""
        self._stub: engine_pb2_grpc.EngineStub | None = None
        self.connect(address)

    def connect(self, address: str) -> None:
        """Takes the engine's address, once."""
        if address and address != self._address:
            self._address = address
            self._stub = engine_pb2_grpc.EngineStub(grpc.aio.insecure_channel(address))

    async def status(self, urn: str, message: str) -> None:
        """Shows a line beside the resource while its operation runs."""
        await self._log(urn, message, severity=engine_pb2.INFO, ephemeral=True)

    async def info(self, urn: str, message: str) -> None:
        """Shows a line that stays in the final output."""
        await self._log(urn, message, severity=engine_pb2.INFO, ephemeral=False)

    async def warning(self, urn: str, message: str) -> None:
        """Shows a warning that stays in the final output."""
        await self._log(urn, message, severity=engine_pb2.WARNING, ephemeral=False)

    async def error(self, urn: str, message: str) -> None:
        """Shows an error that stays in the final output."""
        await self._log(urn, message, severity=engine_pb2.ERROR, ephemeral=False)

    async def _log(
        self, urn: str, message: str, *, severity: engine_pb2.LogSeverity.ValueType, ephemeral: bool
    ) -> None:
        if self._stub is None:
            return
        request = engine_pb2.LogRequest(severity=severity, message=message, urn=urn, ephemeral=ephemeral)
        # If the engine no longer takes messages, the operation must not fail for that.
        with suppress(grpc.RpcError):
            await self._stub.Log(request, timeout=10)
