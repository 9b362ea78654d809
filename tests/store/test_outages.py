"""When Redis is full, slow, gone or failing over: a miss, soon, never an error or a wrong picture."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.store.breaker import CircuitState
from gateway.store.connect import TIME_OUTS, connect
from gateway.store.link import Link, TimeOuts
from tests.servers.cluster import Cluster
from tests.servers.fixtures import StartServer
from tests.servers.process import Server
from tests.servers.sentinel import SentinelSet
from tests.store.tiers import ManualClock, World, answer_of, key_of

QUICK = TimeOuts(connect=0.2, operation=0.2)
RECOVERY_SECONDS = 30.0


@asynccontextmanager
async def linked(
    url: str,
    *,
    connections: int = 8,
    time_outs: TimeOuts = TIME_OUTS,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Link]:
    link = connect(url, connections=connections, time_outs=time_outs, clock=clock)
    try:
        yield link
    finally:
        await link.aclose()


async def store(world: World, digest: str, size: int = 1000) -> bool:
    """Store the picture that belongs to `digest`."""
    answer = answer_of(size, seed=hash(digest))
    return await world.redis().store(key_of(digest), answer, cost_milli=1000, ttl=60.0)


async def finds(world: World, digest: str, size: int = 1000) -> bool:
    """Whether `digest` is a hit; a wrong picture fails the test."""
    found = await world.redis().find(key_of(digest))
    if found is not None:
        assert answer_of(size, seed=hash(digest)) == found.answer
    return found is not None


async def test_a_redis_that_is_gone_is_a_miss_and_one_that_is_back_is_used(
    start_server: StartServer,
) -> None:
    server, clock = start_server(), ManualClock()
    async with linked(server.url, clock=clock) as link:
        world = World(link)
        assert await store(world, "before")
        server.kill()
        clock.now += 1.0
        for _ in range(3):
            assert not await finds(world, "before")
        assert 1 == link.circuit.openings
        failures = link.circuit.failures
        assert not await store(world, "meanwhile")
        assert not await finds(world, "before")
        assert failures == link.circuit.failures, "an open circuit asks nobody"

        server.start()
        clock.now += 1.0
        assert await store(world, "after")
        assert await finds(world, "after")
        assert CircuitState.CLOSED == link.circuit.state


async def test_a_redis_that_hangs_is_a_miss_and_answers_are_not_mixed_up_later(
    start_server: StartServer,
) -> None:
    server, clock = start_server(), ManualClock()
    async with linked(server.url, connections=2, time_outs=QUICK, clock=clock) as link:
        world = World(link)
        for digest in "abcdef":
            assert await store(world, digest)
        server.freeze()
        clock.now += 1.0
        hits = await asyncio.gather(*(finds(world, digest) for digest in "abcdef"))
        assert [False] * 6 == hits
        assert CircuitState.OPEN == link.circuit.state

        server.thaw()
        clock.now += 1.0
        for digest in "abcdef":
            assert await finds(world, digest)


@pytest.mark.parametrize("topology", ["valkey", "sentinel_set", "redis_cluster"])
async def test_a_caller_that_leaves_spoils_no_connection(
    request: pytest.FixtureRequest, topology: str
) -> None:
    """Cancelled at every resumption in turn: nothing leaks, and no reply is read as another's."""
    url = request.getfixturevalue(topology).url
    async with linked(url, connections=1) as link:
        world = World(link)
        for digest in "ab":
            assert await store(world, digest)
        for steps in itertools.count():
            task = asyncio.ensure_future(finds(world, "a"))
            for _ in range(steps):
                await asyncio.sleep(0)
            if task.done():
                assert await task
                break
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await finds(world, "b")
        assert steps > 3
        assert CircuitState.CLOSED == link.circuit.state


async def test_more_callers_than_connections_wait_for_their_turn(start_server: StartServer) -> None:
    server = start_server()
    async with linked(server.url, connections=2) as link:
        world = World(link)
        assert await store(world, "a", 100_000)
        assert all(await asyncio.gather(*(finds(world, "a", 100_000) for _ in range(50))))
        clients = server.admin("INFO", "clients").decode()
        assert "connected_clients:3" in clients  # the two, and the one that asks


async def test_a_full_redis_keeps_what_it_has_and_no_half_pictures(
    start_server: StartServer,
) -> None:
    server = start_server("--maxmemory", "8mb", "--maxmemory-policy", "noeviction")
    async with linked(server.url) as link:
        world, size = World(link), 3_000_000
        kept = [await store(world, f"d{i}", size) for i in range(5)]
        assert kept[0]
        assert not kept[-1]
        assert kept == [await finds(world, f"d{i}", size) for i in range(5)]
        # An entry, a manifest and six chunks for each that is kept; nothing of the others.
        assert 8 * sum(kept) == server.admin("DBSIZE")
        assert CircuitState.CLOSED == link.circuit.state, (
            "a full server is not a server that is down"
        )


async def test_an_evicting_redis_loses_pictures_whole_or_in_part_and_never_lies(
    start_server: StartServer,
) -> None:
    server = start_server("--maxmemory", "8mb", "--maxmemory-policy", "allkeys-lru")
    async with linked(server.url) as link:
        world, size = World(link), 1_000_000
        for i in range(20):
            await store(world, f"d{i}", size)
        hits = [await finds(world, f"d{i}", size) for i in range(20)]
        assert any(hits)
        assert not all(hits)
        assert "evicted_keys:0" not in server.admin("INFO", "stats").decode()
        for i in range(20):
            assert await store(world, f"d{i}", size)
            assert await finds(world, f"d{i}", size)


async def test_a_read_only_server_keeps_nothing_and_says_so(start_server: StartServer) -> None:
    server = start_server()
    async with linked(server.url) as link:
        world = World(link)
        assert await store(world, "a")
        server.admin("REPLICAOF", "127.0.0.1", "1")
        server.admin("CONFIG", "SET", "replica-serve-stale-data", "no")
        assert not await store(world, "b")
        assert not await finds(world, "a")
        assert 2 == link.circuit.failures


@pytest.mark.parametrize("fault", [Server.kill, Server.freeze], ids=["killed", "frozen"])
async def test_a_failover_of_sentinel_s_master_costs_misses_only(
    sentinel_set: SentinelSet, fault: Callable[[Server], None]
) -> None:
    async with linked(sentinel_set.url, time_outs=QUICK) as link:
        try:
            await _work_through(World(link), lambda: fault(sentinel_set.master()))
        finally:
            sentinel_set.heal()


@pytest.mark.parametrize("fault", [Server.kill, Server.freeze], ids=["killed", "frozen"])
async def test_a_failover_of_a_cluster_s_master_costs_misses_only(
    redis_cluster: Cluster, fault: Callable[[Server], None]
) -> None:
    async with linked(redis_cluster.url, time_outs=QUICK) as link:
        try:
            await _work_through(World(link), lambda: fault(redis_cluster.masters()[0]))
        finally:
            redis_cluster.heal()


async def _work_through(world: World, break_it: Callable[[], None]) -> None:
    """Store and find many pictures before, during and after a fault, until all goes well again.

    A digest's slot is one of all slots, so twenty in a row that are kept and found have reached every
    shard. Each picture is checked by `finds`; any exception fails the test.
    """
    numbers = itertools.count()
    await _until_well(world, numbers)
    break_it()
    async with asyncio.timeout(RECOVERY_SECONDS):
        refused = await _until_well(world, numbers)
    assert refused, "the fault was not felt: nothing was tested"


async def _until_well(world: World, numbers: itertools.count[int]) -> int:
    """Work until 20 pictures in a row were kept and found; return how many were not."""
    in_a_row = misses = 0
    while in_a_row < 20:
        digest = f"d{next(numbers)}"
        well = await store(world, digest) and await finds(world, digest)
        in_a_row = in_a_row + 1 if well else 0
        misses += not well
        await asyncio.sleep(0.01)  # leaves the servers, on the same two cores, time to agree
    return misses
