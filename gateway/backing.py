"""What stands behind a replica: the tiers of the cache, and what all replicas know of each other.

Without Redis each part has a stand-in for a replica that is alone.
"""

from __future__ import annotations

import time
import uuid
from contextlib import AsyncExitStack
from dataclasses import dataclass

from gateway.config import EMBEDDED, Config
from gateway.domain.caching import Lives
from gateway.ports import Admission, FlightBoard, ReplayBook, RequestGate
from gateway.store.admission import WINDOW, RedisAdmission
from gateway.store.breaker import CircuitState
from gateway.store.cache import RedisCache
from gateway.store.connect import connect
from gateway.store.embedded import EmbeddedRedis, EmbeddedRedisError
from gateway.store.flight_calls import FlightRules
from gateway.store.flights import RedisFlights
from gateway.store.hold_table import HoldTable
from gateway.store.link import Link, RedisTrouble
from gateway.store.memory import MemoryTier
from gateway.store.pool import Pool
from gateway.store.replays import RedisReplays
from gateway.store.requests import RedisRequestGate
from gateway.store.secret import BadSecretError, shared_secret
from gateway.store.solo import NoBook, NoMarks, SoloAdmission, SoloBoard, SoloRequestGate
from gateway.store.tick import TICK_TIME_OUTS, Tick
from gateway.telemetry.metrics import Metrics

__all__ = ["Backing", "StartError", "lives", "open_backing"]


class StartError(Exception):
    """The gateway cannot start; the text says why, in an operator's words."""


@dataclass(frozen=True, slots=True)
class Backing:
    """The parts, each ready to be used."""

    cache: MemoryTier
    marks: Tick | NoMarks
    board: FlightBoard
    replays: ReplayBook
    admission: Admission
    gate: RequestGate


async def open_backing(
    config: Config, stack: AsyncExitStack, metrics: Metrics, pool: Pool
) -> Backing:
    """Open all parts; `stack` closes them. `pool` has the upstream keys.

    Raises StartError when there is no server to embed, or nothing gives the secret of the cache's keys.
    """
    if config.redis is None:
        memory = MemoryTier(None, capacity=0, clock=time.time)
        return Backing(
            memory, NoMarks(), SoloBoard(), NoBook(), SoloAdmission(pool), SoloRequestGate()
        )
    if config.redis == EMBEDDED:
        state_url = cache_url = await _embedded(config, stack)
    else:
        state_url = config.redis.state.get_secret_value()
        cache_url = config.redis.cache.get_secret_value()
    state = _link(state_url, stack)
    cache = await _open_cache(config, state, _link(cache_url, stack), metrics)
    tick_link = connect(state_url, connections=4, time_outs=TICK_TIME_OUTS)
    stack.push_async_callback(tick_link.aclose)
    kept = lives(config)
    tick = Tick(tick_link, longest_life=max(kept.general, kept.refusal))
    rules = FlightRules(takeovers=config.upstream.takeover_paid_attempts)
    replica, table = uuid.uuid4().hex, HoldTable(time.monotonic)
    board = RedisFlights(state, replica, table=table, rules=rules)
    window = 0.0 if config.redis == EMBEDDED else WINDOW
    admission = RedisAdmission(
        state, replica, table, replicas=tick.replicas, pool=pool, window=window
    )
    metrics.watch_flights(
        leads=lambda: board.leads,
        alone=lambda: board.counts.alone,
        disowned=lambda: board.counts.disowned,
        retold=lambda: board.counts.retold,
    )
    return Backing(
        cache,
        await stack.enter_async_context(tick.running()),
        await stack.enter_async_context(board.running()),
        RedisReplays(state),
        await stack.enter_async_context(admission.running()),
        await stack.enter_async_context(
            RedisRequestGate(tick_link, replicas=tick.replicas).running()
        ),
    )


def lives(config: Config) -> Lives:
    """Translate how long results are kept."""
    cache = config.cache
    return Lives(cache.ttl, cache.template_ttl, config.urls.ttl, cache.negative_ttl)


async def _embedded(config: Config, stack: AsyncExitStack) -> str:
    """Start a server of our own and return its URL. What has no life is never evicted from it."""
    running = EmbeddedRedis.running(max_memory=config.cache.redis_bytes, policy="volatile-lru")
    try:
        server = await stack.enter_async_context(running)
    except EmbeddedRedisError as error:
        raise StartError(str(error)) from error
    return server.url


def _link(url: str, stack: AsyncExitStack) -> Link:
    link = connect(url)
    stack.push_async_callback(link.aclose)
    return link


async def _open_cache(config: Config, state: Link, link: Link, metrics: Metrics) -> MemoryTier:
    redis = RedisCache(
        link,
        master=await _cache_secret(config, state),
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


async def _cache_secret(config: Config, state: Link) -> bytes:
    """Return the secret of the cache's keys: from its file, else the one that all replicas share."""
    if config.cache.secret_file is not None:
        return config.cache.secret_file.get_secret_value().encode()
    try:
        return await shared_secret(state)
    except (RedisTrouble, BadSecretError) as error:
        raise StartError(f"the state Redis does not give the cache's secret: {error}") from None
