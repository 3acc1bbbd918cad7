"""How a provider program starts."""

from __future__ import annotations

import asyncio
import logging
import sys

import grpc.aio
from pulumi.runtime.proto import provider_pb2_grpc

from lab.plugins.common.engine import Engine
from lab.plugins.common.server import engine_address, serve
from lab.plugins.common.servicer import Factory, Servicer


def run(factory: Factory) -> None:
    """Runs a provider program until the engine ends it."""
    # What libraries log would reach the user's terminal through the engine; what matters is raised.
    logging.lastResort = None
    asyncio.run(_run(factory))


async def _run(factory: Factory) -> None:
    engine = Engine(engine_address(sys.argv[1:]))
    provider = factory(engine)

    def add(server: grpc.aio.Server) -> None:
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(Servicer(provider, engine), server)

    await serve(add, provider.cancel)
