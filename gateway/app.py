"""The composition root: builds every object in order, and takes them down in reverse.

The only module that knows all parts.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version

from gateway.auth import HashedKeys
from gateway.config import Config
from gateway.flights import Flights
from gateway.pipeline import Pipeline
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.observers import ObservedEditor, ObservedUpstream
from gateway.transport.codec import compile_schemas
from gateway.transport.http_server import HttpServer
from gateway.transport.ops import ops_app
from gateway.transport.rest.app import rest_app
from gateway.transport.rpc.server import RpcServer
from gateway.upstream.account import AccountReader
from gateway.upstream.client import PhotoroomClient
from gateway.upstream.keychain import Keychain
from gateway.upstream.settings import Timeouts, UpstreamKey, UpstreamSettings

__all__ = ["Gateway", "running_gateway"]

_AFTER_LONGEST_CALL = 10.0
"""Seconds that a closing replica gives its calls beyond the longest upstream time-out."""


@dataclass(slots=True)
class Gateway:
    """A gateway that takes calls: its three doors."""

    rest: HttpServer
    grpc: RpcServer
    ops: HttpServer
    flights: Flights
    grace: float
    ready: bool = False

    async def start(self) -> None:
        """Open the doors. Raises OSError when an address cannot be had."""
        await self.ops.start()
        await self.rest.start()
        await self.grpc.start()
        self.ready = True

    async def stop(self) -> None:
        """Take no more calls, and finish those in flight within the grace."""
        self.ready = False
        await self.grpc.leave()
        await asyncio.gather(self.rest.stop(), self.grpc.stop(self.grace))
        self.flights.close()
        await self.flights.drain(self.grace)
        await self.ops.stop()


@asynccontextmanager
async def running_gateway(config: Config) -> AsyncIterator[Gateway]:
    """Build a gateway, open its doors, and close them at the end. Raises OSError."""
    async with AsyncExitStack() as stack:
        metrics = Metrics(version("photoroom-gateway"))
        settings = upstream_settings(config)
        client = await stack.enter_async_context(PhotoroomClient(settings))
        accounts = AccountReader(client, settings.keys)
        flights = Flights()
        pipeline = Pipeline(
            authenticator=HashedKeys(config.tenants_by_credential()),
            upstream=ObservedUpstream(Keychain(client, settings.keys), metrics),
            accounts=accounts,
            flights=flights,
        )
        editor = ObservedEditor(pipeline, metrics)
        schemas = compile_schemas()
        grace = settings.timeouts.generative + _AFTER_LONGEST_CALL
        listen = config.listen
        gateway = Gateway(
            rest=HttpServer(
                rest_app(editor, schemas), listen.rest.host, listen.rest.port, grace=grace
            ),
            grpc=RpcServer(editor, schemas, str(listen.grpc)),
            ops=HttpServer(
                ops_app(metrics.render, lambda: gateway.ready),
                listen.ops.host,
                listen.ops.port,
                grace=1.0,
            ),
            flights=flights,
            grace=grace,
        )
        stack.push_async_callback(gateway.stop)
        await gateway.start()
        yield gateway


def upstream_settings(config: Config) -> UpstreamSettings:
    """Translate the upstream's part of the configuration."""
    upstream = config.upstream
    return UpstreamSettings(
        edit_url=upstream.edit_url,
        segment_url=upstream.segment_url,
        timeouts=Timeouts(edit=upstream.timeouts.edit, generative=upstream.timeouts.generative),
        keys=tuple(
            UpstreamKey(key.id, key.secret.get_secret_value(), account.id)
            for account in upstream.accounts
            for key in account.keys
        ),
    )
