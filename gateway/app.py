"""The composition root: builds every object in order, and takes them down in reverse.

The only module that knows all parts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version

from gateway.auth import HashedKeys
from gateway.backing import Backing, StartError, lives, open_backing
from gateway.config import Config
from gateway.domain.retries import RetryBudget
from gateway.flights import Flights
from gateway.pipeline import Pipeline
from gateway.purchasing import CallTimes, Purchasing
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.observers import ObservedEditor, ObservedUpstream
from gateway.transport.codec import compile_schemas
from gateway.transport.http_server import HttpServer
from gateway.transport.ops import ops_app
from gateway.transport.rest.app import rest_app
from gateway.transport.rpc.admin import AdminDesk
from gateway.transport.rpc.server import RpcServer
from gateway.upstream.account import AccountReader
from gateway.upstream.client import PhotoroomClient
from gateway.upstream.keychain import Keychain
from gateway.upstream.retries import RetryingUpstream
from gateway.upstream.settings import Timeouts, UpstreamKey, UpstreamSettings

__all__ = ["Gateway", "running_gateway"]

_AFTER_LONGEST_CALL = 10.0
"""Seconds that a closing replica gives its calls beyond the longest upstream time-out."""


_LAST_WORDS = 10.0
"""Seconds that RPCs have left when no paid work is under way any more: to be read or written to their end."""


@dataclass(slots=True)
class Gateway:
    """A gateway that takes calls: its three doors."""

    rest: HttpServer
    grpc: RpcServer
    ops: HttpServer
    flights: Flights
    grace: float
    last_words: float = _LAST_WORDS
    ready: bool = False

    async def start(self) -> None:
        """Open the doors. Raises StartError when an address cannot be had."""
        try:
            await self.ops.start()
            await self.rest.start()
            await self.grpc.start()
        except OSError as error:
            raise StartError(str(error)) from error
        self.ready = True

    async def stop(self) -> None:
        """Take no more calls, and finish those in flight within the grace."""
        self.ready = False
        self.grpc.leave()
        await asyncio.gather(self._finish(), self.grpc.stop(self.grace))
        self.flights.close()
        await self.flights.drain(self.grace)
        await self.ops.stop()

    async def _finish(self) -> None:
        """Finish the calls over REST and the paid work, then cut off what is left over gRPC.

        grpc waits for streams that nobody ends, and it may forget a call that met the closing.
        """
        await self.rest.stop()
        await self.flights.drain(self.grace)
        await self.grpc.stop(self.last_words)


@asynccontextmanager
async def running_gateway(config: Config) -> AsyncIterator[Gateway]:
    """Build a gateway, open its doors, and close them at the end. Raises StartError."""
    async with AsyncExitStack() as stack:
        metrics = Metrics(version("photoroom-gateway"))
        backing = await open_backing(config, stack, metrics)
        settings = upstream_settings(config)
        client = await stack.enter_async_context(PhotoroomClient(settings))
        tenants = config.tenants_by_credential()
        keys = HashedKeys(tenants, config.admins_by_credential(), denied=backing.marks)
        pipeline = Pipeline(
            authenticator=keys,
            accounts=AccountReader(client, settings.keys),
            epochs=backing.marks,
            blobs=backing.cache,
            purchasing=_purchasing(config, settings, backing, client, metrics),
            flights=Flights(backing.board),
        )
        metrics.watch_degraded(lambda: pipeline.flights.alone)
        scopes = {tenant.id: tenant.scope for tenant in tenants.values()}
        gateway = _doors(config, pipeline, AdminDesk(keys, backing.marks, scopes), metrics)
        stack.push_async_callback(gateway.stop)
        await gateway.start()
        yield gateway


def _purchasing(
    config: Config,
    settings: UpstreamSettings,
    backing: Backing,
    client: PhotoroomClient,
    metrics: Metrics,
) -> Purchasing:
    keychain = ObservedUpstream(Keychain(client, settings.keys), metrics)
    return Purchasing(
        upstream=RetryingUpstream(keychain, RetryBudget()),
        results=backing.cache,
        blobs=backing.cache,
        replays=backing.replays,
        lives=lives(config),
        times=CallTimes(settings.timeouts.edit, settings.timeouts.generative),
        clock=time.time,
    )


def _doors(config: Config, pipeline: Pipeline, desk: AdminDesk, metrics: Metrics) -> Gateway:
    editor = ObservedEditor(pipeline, metrics)
    schemas = compile_schemas()
    grace = config.upstream.timeouts.generative + _AFTER_LONGEST_CALL
    rest, ops = config.listen.rest, config.listen.ops
    gateway = Gateway(
        rest=HttpServer(rest_app(editor, schemas), rest.host, rest.port, grace=grace),
        grpc=RpcServer(editor, schemas, desk, str(config.listen.grpc)),
        ops=HttpServer(
            ops_app(metrics.render, lambda: gateway.ready), ops.host, ops.port, grace=1.0
        ),
        flights=pipeline.flights,
        grace=grace,
    )
    return gateway


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
