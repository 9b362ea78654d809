"""What stands behind a replica: the tiers of the cache, and what all replicas know of each other.

Without Redis each part has a stand-in for a replica that is alone.
"""

from __future__ import annotations

import logging
import time
import uuid
from contextlib import AsyncExitStack
from dataclasses import dataclass

from gateway.config import EMBEDDED, Config, RedisServers
from gateway.domain.caching import Lives
from gateway.ports import AccountBook, Admission, FlightBoard, ReplayBook, RequestGate
from gateway.store.accounts import RedisAccounts
from gateway.store.admission import WINDOW, RedisAdmission
from gateway.store.background import in_background
from gateway.store.breaker import CircuitState
from gateway.store.cache import RedisCache
from gateway.store.connect import TIME_OUTS, connect
from gateway.store.embedded import EmbeddedRedis, EmbeddedRedisError
from gateway.store.flight_calls import FlightRules
from gateway.store.flights import RedisFlights
from gateway.store.hold_table import HoldTable
from gateway.store.key_desk import RedisKeyDesk
from gateway.store.link import Link, RedisTrouble, TimeOuts
from gateway.store.memory import MemoryTier
from gateway.store.policy import eviction_policy
from gateway.store.pool import Pool
from gateway.store.replays import RedisReplays
from gateway.store.requests import RedisRequestGate
from gateway.store.secret import BadSecretError, shared_secret
from gateway.store.solo import NoBook, NoKeyDesk, NoMarks, SoloAdmission, SoloBoard, SoloRequestGate
from gateway.store.tick import TICK_TIME_OUTS, Tick
from gateway.telemetry.admission import ObservedAdmission
from gateway.telemetry.key_metrics import KeyMetrics, follow_keys
from gateway.telemetry.ledger_metrics import LedgerMetrics
from gateway.telemetry.metrics import Metrics

__all__ = ["Backing", "StartError", "lives", "open_backing"]

_log = logging.getLogger(__name__)


class StartError(Exception):
    """The gateway cannot start; the text says why, in an operator's words."""


@dataclass(frozen=True, slots=True)
class Backing:
    """The parts, each ready to be used. Without Redis there is no book of accounts."""

    cache: MemoryTier
    marks: Tick | NoMarks
    board: FlightBoard
    replays: ReplayBook
    admission: Admission
    gate: RequestGate
    keys: RedisKeyDesk | NoKeyDesk
    accounts: AccountBook | None = None


async def open_backing(
    config: Config, stack: AsyncExitStack, metrics: Metrics, pool: Pool
) -> Backing:
    """Open all parts; `stack` closes them. `pool` has the upstream keys.

    Raises StartError when there is no server to embed, the state Redis evicts, or nothing gives the
    secret of the cache's keys.
    """
    if config.redis is None:
        return _alone(pool)
    state_url, cache_url = await _urls(config, stack)
    state = _link(state_url, stack)
    await _refuse_eviction(state, shared=state_url == cache_url)
    cache = await _open_cache(config, state, _link(cache_url, stack), metrics)
    tick_link = _link(state_url, stack, connections=4, time_outs=TICK_TIME_OUTS)
    kept = lives(config)
    tick = Tick(tick_link, longest_life=max(kept.general, kept.refusal))
    # Not the tick's own: a flood of small leases must not keep it waiting.
    lease_link = _link(state_url, stack, connections=16, time_outs=TICK_TIME_OUTS)
    gate = RedisRequestGate(lease_link, replicas=tick.replicas)
    ledger = LedgerMetrics(metrics.registry)
    board, admission = _ledger(config, state, tick, pool, metrics)
    ledger.watch_ledger(
        untold=lambda: admission.untold,
        trusted=lambda: admission.trusted,
        trusted_requests=lambda: gate.degraded,
        losses=lambda: admission.losses,
    )
    return Backing(
        cache,
        await stack.enter_async_context(tick.running()),
        await stack.enter_async_context(board.running()),
        RedisReplays(state),
        ObservedAdmission(await stack.enter_async_context(admission.running()), ledger),
        await stack.enter_async_context(gate.running()),
        await _open_keys(state, pool, stack, metrics),
        RedisAccounts(state, uuid.uuid4().hex, config.upstream.rhythm),
    )


def _alone(pool: Pool) -> Backing:
    """Return the stand-ins of a replica without Redis."""
    memory = MemoryTier(None, capacity=0, clock=time.time)
    admission, gate = SoloAdmission(pool), SoloRequestGate()
    return Backing(memory, NoMarks(), SoloBoard(), NoBook(), admission, gate, NoKeyDesk(pool))


def _ledger(
    config: Config, state: Link, tick: Tick, pool: Pool, metrics: Metrics
) -> tuple[RedisFlights, RedisAdmission]:
    """Build the board of flights and admission, which share a table of holds."""
    replica, table = uuid.uuid4().hex, HoldTable(time.monotonic)
    rules = FlightRules(takeovers=config.upstream.takeover_paid_attempts)
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
    return board, admission


async def _open_keys(
    state: Link, pool: Pool, stack: AsyncExitStack, metrics: Metrics
) -> RedisKeyDesk:
    """Build the desk of the upstream keys, and let the metrics follow it."""
    desk = RedisKeyDesk(state, pool)
    following = follow_keys(desk, KeyMetrics(metrics.registry))
    await stack.enter_async_context(in_background(keys=following))
    return desk


def lives(config: Config) -> Lives:
    """Translate how long results are kept."""
    cache = config.cache
    return Lives(cache.ttl, cache.template_ttl, config.urls.ttl, cache.negative_ttl)


async def _urls(config: Config, stack: AsyncExitStack) -> tuple[str, str]:
    """Return the URLs of state and cache; embedded servers are started, one for each role."""
    if isinstance(config.redis, RedisServers):
        return config.redis.state.get_secret_value(), config.redis.cache.get_secret_value()
    # What money depends on is never evicted: it cannot live where results are.
    state = EmbeddedRedis.running()
    cache = EmbeddedRedis.running(max_memory=config.cache.redis_bytes, policy="allkeys-lru")
    try:
        servers = [await stack.enter_async_context(server) for server in (state, cache)]
    except EmbeddedRedisError as error:
        raise StartError(str(error)) from error
    return servers[0].url, servers[1].url


async def _refuse_eviction(state: Link, *, shared: bool) -> None:
    """Raise StartError for a state Redis that evicts; warn of one that has both roles."""
    policy = await eviction_policy(state)
    if policy not in {None, "noeviction"}:
        raise StartError(
            f"the state Redis evicts what money depends on (its maxmemory-policy is {policy}): "
            "set it to noeviction, and keep results in another server by `redis.cache_url`"
        )
    if shared:
        _log.warning("one Redis keeps results and state: give it more memory than results fill")


def _link(
    url: str, stack: AsyncExitStack, connections: int = 64, time_outs: TimeOuts = TIME_OUTS
) -> Link:
    link = connect(url, connections=connections, time_outs=time_outs)
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
