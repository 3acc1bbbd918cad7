"""The program `pulumi-language-python`."""

from __future__ import annotations

import asyncio
import sys

import grpc.aio
from pulumi.runtime.proto import language_pb2_grpc

from lab.plugins.common.server import engine_address, serve
from lab.plugins.language.host import LanguageHost


def main() -> None:
    """Runs until the engine ends it."""
    asyncio.run(_run())


async def _run() -> None:
    host = LanguageHost(engine_address(sys.argv[1:]))

    def add(server: grpc.aio.Server) -> None:
        language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)

    await serve(add, host.cancel)
