"""The composition root: builds every object in order, and takes them down in reverse.

The only module that knows all parts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import version

from gateway.auth import HashedKeys
from gateway.config import EMBEDDED, Config
from gateway.domain.caching import Lives
from gateway.flights import Flights
from gateway.pipeline import Pipeline
from gateway.purchasing import CallTimes, Purchasing
from gateway.store.breaker import CircuitState
from gateway.store.cache import RedisCache
from gateway.store.connect import connect
from gateway.store.embedded import EmbeddedRedis, EmbeddedRedisError
from gateway.store.link import RedisTrouble
from gateway.store.memory import MemoryTier
from gateway.store.secret import BadSecretError, shared_secret
from gateway.store.solo import NoBook, NoMarks, SoloBoard
from gateway.store.tick import TICK_TIME_OUTS, Tick
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
from gateway.upstream.settings import Timeouts, UpstreamKey, UpstreamSettings

__all__ = ["Gateway", "StartError", "running_gateway"]

_AFTER_LONGEST_CALL = 10.0
"""Seconds that a closing replica gives its calls beyond the longest upstream time-out."""


_LAST_WORDS = 10.0
"""Seconds that RPCs have left when no paid work is under way any more: to be read or written to their end."""


class StartError(Exception):
    """The gateway cannot start; the text says why, in an operator's words."""


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
        closing = asyncio.ensure_future(self.grpc.stop(self.grace))
        await self.rest.stop()
        await self.flights.drain(self.grace)
        # grpc waits for streams that nobody ends, and it may forget a call that met the closing.
        await self.grpc.stop(self.last_words)
        await closing
        self.flights.close()
        await self.flights.drain(self.grace)
        await self.ops.stop()


@asynccontextmanager
async def running_gateway(config: Config) -> AsyncIterator[Gateway]:
    """Build a gateway, open its doors, and close them at the end. Raises StartError."""
    async with AsyncExitStack() as stack:
        metrics = Metrics(version("photoroom-gateway"))
        redis = await _redis_urls(config, stack)
        cache = await _open_cache(config, redis, stack, metrics)
        tick = await _open_tick(config, redis, stack)
        settings = upstream_settings(config)
        client = await stack.enter_async_context(PhotoroomClient(settings))
        accounts = AccountReader(client, settings.keys)
        flights = Flights(SoloBoard())
        purchasing = Purchasing(
            upstream=ObservedUpstream(Keychain(client, settings.keys), metrics),
            results=cache,
            blobs=cache,
            replays=NoBook(),
            lives=_lives(config),
            times=CallTimes(settings.timeouts.edit, settings.timeouts.generative),
            clock=time.time,
        )
        tenants = config.tenants_by_credential()
        keys = HashedKeys(tenants, config.admins_by_credential(), denied=tick)
        pipeline = Pipeline(
            authenticator=keys,
            accounts=accounts,
            epochs=tick,
            blobs=cache,
            purchasing=purchasing,
            flights=flights,
        )
        editor = ObservedEditor(pipeline, metrics)
        schemas = compile_schemas()
        desk = AdminDesk(keys, tick, {tenant.id: tenant.scope for tenant in tenants.values()})
        grace = settings.timeouts.generative + _AFTER_LONGEST_CALL
        listen = config.listen
        gateway = Gateway(
            rest=HttpServer(
                rest_app(editor, schemas), listen.rest.host, listen.rest.port, grace=grace
            ),
            grpc=RpcServer(editor, schemas, desk, str(listen.grpc)),
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


@dataclass(frozen=True, slots=True)
class _RedisUrls:
    """Where the two roles of Redis are."""

    state: str = field(repr=False)
    cache: str = field(repr=False)


async def _redis_urls(config: Config, stack: AsyncExitStack) -> _RedisUrls | None:
    """Return where Redis is, starting the embedded one; None without Redis.

    Raises StartError when there is no server to embed.
    """
    if config.redis is None:
        return None
    if config.redis == EMBEDDED:
        # What has no life, as the secret of the keys, is never evicted.
        running = EmbeddedRedis.running(max_memory=config.cache.redis_bytes, policy="volatile-lru")
        try:
            server = await stack.enter_async_context(running)
        except EmbeddedRedisError as error:
            raise StartError(str(error)) from error
        return _RedisUrls(server.url, server.url)
    return _RedisUrls(config.redis.state.get_secret_value(), config.redis.cache.get_secret_value())


async def _open_tick(
    config: Config, redis: _RedisUrls | None, stack: AsyncExitStack
) -> Tick | NoMarks:
    """Start the tick."""
    if redis is None:
        return NoMarks()
    link = connect(redis.state, connections=4, time_outs=TICK_TIME_OUTS)
    stack.push_async_callback(link.aclose)
    lives = _lives(config)
    tick = Tick(link, longest_life=max(lives.general, lives.refusal))
    return await stack.enter_async_context(tick.running())


async def _open_cache(
    config: Config, urls: _RedisUrls | None, stack: AsyncExitStack, metrics: Metrics
) -> MemoryTier:
    """Open the tiers of the cache: memory, and Redis behind it where one is configured.

    Raises StartError when nothing gives the secret that names the keys.
    """
    if urls is None:
        return MemoryTier(None, capacity=0, clock=time.time)
    link = connect(urls.cache)
    stack.push_async_callback(link.aclose)
    redis = RedisCache(
        link,
        master=await _cache_secret(config, urls.state),
        clock=time.time,
        max_blob=config.cache.max_blob,
    )
    memory = MemoryTier(redis, capacity=config.cache.memory, clock=time.time)
    metrics.watch_cache(
        circuit_open=lambda: link.circuit.state is not CircuitState.CLOSED,
        memory_bytes=lambda: memory.bytes_used,
        damaged=lambda: redis.counts.damaged,
        refused=lambda: redis.counts.refused,
        unavailable=lambda: redis.counts.unavailable,
    )
    return memory


async def _cache_secret(config: Config, state_url: str) -> bytes:
    """Return the secret of the cache's keys: from its file, else the one that all replicas share."""
    if config.cache.secret_file is not None:
        return config.cache.secret_file.get_secret_value().encode()
    state = connect(state_url)
    try:
        return await shared_secret(state)
    except (RedisTrouble, BadSecretError) as error:
        raise StartError(f"the state Redis does not give the cache's secret: {error}") from None
    finally:
        await state.aclose()


def _lives(config: Config) -> Lives:
    cache = config.cache
    return Lives(cache.ttl, cache.template_ttl, config.urls.ttl, cache.negative_ttl)


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
