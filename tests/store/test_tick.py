"""The tick: what is purged and revoked holds on every replica, whatever becomes of Redis."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from gateway.domain.caching import Purge, Reach
from gateway.domain.edit import Operation
from gateway.domain.errors import StateUnavailable, TooManyPurges
from gateway.store.connect import connect
from gateway.store.epochs import field_of, revocation_of
from gateway.store.keyspace import REPLICAS, TICK, TICK_CHANNEL
from gateway.store.link import TimeOuts
from gateway.store.tick import EVERY, MOST_DIGESTS, TICK_TIME_OUTS, TRUSTED, Tick
from tests.servers.fixtures import StartServer
from tests.servers.process import Server
from tests.store.conftest import SERVERS
from tests.store.tiers import ManualClock

SECONDS = 20.0
LIFE = 3600.0
DAY_MS = 86_400_000
CREDENTIAL = bytes(range(32))
SCOPE = Purge(Reach.SCOPE, "tenant:catalog")
QUICK = TimeOuts(connect=0.2, operation=0.2)


@asynccontextmanager
async def replicas(
    url: str, count: int = 1, *, time_outs: TimeOuts = TICK_TIME_OUTS
) -> AsyncIterator[list[Tick]]:
    """Ticks of that many replicas, each with connections of its own."""
    async with AsyncExitStack() as stack:
        ticks = []
        for _ in range(count):
            link = connect(url, connections=4, time_outs=time_outs)
            stack.push_async_callback(link.aclose)
            tick = Tick(link, longest_life=LIFE)
            ticks.append(await stack.enter_async_context(tick.running()))
        yield ticks


async def until(fact: Callable[[], Coroutine[Any, Any, bool]]) -> None:
    """Wait until the fact holds."""
    async with asyncio.timeout(SECONDS):
        while not await fact():  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(0.005)


async def epoch(tick: Tick, digest: str = "d" * 64, scope: str = SCOPE.name) -> int:
    return await tick.epoch(scope, Operation.EDIT, digest)


async def all_at(ticks: list[Tick], mark: int) -> None:
    """Wait until every replica has this epoch."""

    async def are_there() -> bool:
        return [await epoch(tick) for tick in ticks] == [mark] * len(ticks)

    await until(are_there)


@pytest.mark.parametrize("kind", SERVERS)
async def test_what_one_replica_is_told_holds_on_all(
    kind: str, request: pytest.FixtureRequest
) -> None:
    server = request.getfixturevalue(kind)
    async with replicas(server.url, 3) as ticks:
        before = [await epoch(tick) for tick in ticks]
        mark = await ticks[0].purge(SCOPE)
        assert max(before) < mark
        assert mark == await epoch(ticks[0]), "it holds where it was made when the call returns"
        await all_at(ticks, mark)
        await ticks[1].revoke(CREDENTIAL)
        assert await ticks[1].is_denied(CREDENTIAL)

        async def is_denied() -> bool:
            return all([await tick.is_denied(CREDENTIAL) for tick in ticks])

        await until(is_denied)


async def test_a_replica_that_is_not_told_asks(start_server: StartServer) -> None:
    """Without the channel, as when a message is lost, the clock alone brings the change."""
    server = start_server()
    async with replicas(server.url, 2) as ticks:
        server.admin("CLIENT", "KILL", "TYPE", "pubsub")
        later = str(await epoch(ticks[0]) + DAY_MS)
        server.admin("HSET", TICK, field_of(SCOPE), later, "version", later)
        await all_at(ticks, int(later))


@pytest.mark.parametrize(
    "purge",
    [
        SCOPE,
        Purge(Reach.OPERATION, Operation.EDIT.value),
        Purge(Reach.DIGEST, "d" * 64),
        Purge(Reach.ALL),
    ],
    ids=lambda purge: str(purge.reach),
)
async def test_every_purge_makes_a_new_epoch(start_server: StartServer, purge: Purge) -> None:
    """Even two within a millisecond, and one by a clock that went back."""
    server = start_server()
    async with replicas(server.url) as [tick]:
        marks = [await tick.purge(purge) for _ in range(20)]
        server.admin("HSET", TICK, "version", str(marks[-1] + DAY_MS))
        marks.append(await tick.purge(purge))
        assert all(one < two for one, two in itertools.pairwise(marks))
        assert marks[-1] == await epoch(tick)


async def test_the_marks_of_digests_are_bounded_and_those_without_meaning_make_room(
    start_server: StartServer,
) -> None:
    server = start_server()
    async with replicas(server.url) as [tick]:
        now = await epoch(tick)
        marks = [(f"digest:{i:064x}", str(now + i)) for i in range(1, MOST_DIGESTS + 1)]
        server.admin("HSET", TICK, *itertools.chain(*marks))
        with pytest.raises(TooManyPurges):
            await tick.purge(Purge(Reach.DIGEST, "d" * 64))
        assert await tick.purge(Purge(Reach.DIGEST, f"{1:064x}")), "one that is there stays there"
        server.admin("HSET", TICK, f"digest:{2:064x}", str(now - DAY_MS))
        assert await tick.purge(Purge(Reach.DIGEST, "d" * 64)), "one was older than any result"
        await tick.purge(Purge(Reach.ALL))
        fields = server.admin("HKEYS", TICK)
        assert [b"all", b"version"] == sorted(fields)


async def test_replicas_that_live_are_counted(start_server: StartServer) -> None:
    server = start_server()
    server.admin("ZADD", REPLICAS, 0, "dead for long")
    async with replicas(server.url, 3) as ticks:

        async def all_count_three() -> bool:
            return [tick.replicas() for tick in ticks] == [3, 3, 3]

        await until(all_count_three)


async def test_a_tick_says_how_old_it_is(start_server: StartServer) -> None:
    server = start_server()
    async with replicas(server.url) as [tick]:
        assert 0 <= tick.age() < SECONDS
        server.kill()

        async def is_old() -> bool:
            return tick.age() > 2 * EVERY

        await until(is_old)


async def test_a_restarted_redis_is_found_again(start_server: StartServer) -> None:
    server = start_server()
    async with replicas(server.url, 2, time_outs=QUICK) as ticks:
        before = await epoch(ticks[0])
        server.kill()
        with pytest.raises(StateUnavailable):
            await ticks[0].purge(SCOPE)
        assert before == await epoch(ticks[0]), "what is known holds"
        server.start()
        mark = await _purge_at_last(ticks[0])
        await all_at(ticks, mark)


async def _purge_at_last(tick: Tick) -> int:
    """Purge again until the circuit lets it through."""
    async with asyncio.timeout(SECONDS):
        while True:
            try:
                return await tick.purge(SCOPE)
            except StateUnavailable:
                await asyncio.sleep(0.05)


async def _emptied(server: Server) -> None:
    server.admin("FLUSHALL")


async def _killed(server: Server) -> None:
    """It keeps nothing on disk."""
    server.kill()
    server.start()


async def _overtaken(server: Server) -> None:
    """Emptied, and changed again by another hand before any tick has come."""
    far = str(int(server.admin("TIME")[0]) * 1000 + DAY_MS)
    command = (
        "redis.call('FLUSHALL') redis.call('HSET', KEYS[1], 'scope:x', ARGV[1], 'version', ARGV[1])"
    )
    server.admin("EVAL", command, 1, TICK, far)


@pytest.mark.parametrize("lose", [_emptied, _killed, _overtaken])
async def test_what_redis_lost_is_written_back_and_no_epoch_goes_back(
    start_server: StartServer, lose: Callable[[Server], Awaitable[None]]
) -> None:
    server = start_server()
    async with replicas(server.url, 2, time_outs=QUICK) as ticks:
        mark = await ticks[0].purge(SCOPE)
        digest = Purge(Reach.DIGEST, "e" * 64)
        digest_mark = await ticks[0].purge(digest)
        await ticks[0].revoke(CREDENTIAL)
        await all_at(ticks, mark)
        await lose(server)

        async def is_back() -> bool:
            stored = server.admin("HMGET", TICK, field_of(SCOPE), field_of(digest))
            assert [mark] * 2 == [await epoch(tick) for tick in ticks]
            return bool(stored == [str(mark).encode(), str(digest_mark).encode()])

        await until(is_back)
        async with replicas(server.url) as [newcomer]:
            assert mark == await epoch(newcomer)
            assert await newcomer.is_denied(CREDENTIAL)
        later = await _purge_at_last(ticks[1])
        assert later > digest_mark
        await all_at(ticks, later)


async def test_each_replica_brings_back_what_the_others_do_not_know(
    start_server: StartServer,
) -> None:
    """As after a failover that lost the last change, of which one replica had heard."""
    server = start_server()
    async with replicas(server.url, 2) as [one, two]:
        old = await one.purge(SCOPE)
        await all_at([one, two], old)
        stored = server.admin("HGETALL", TICK)
        await one.revoke(CREDENTIAL)
        undo = "redis.call('DEL', KEYS[1]) redis.call('HSET', KEYS[1], unpack(ARGV))"
        server.admin("EVAL", undo, 1, TICK, *(word.decode() for word in stored))

        async def both_deny() -> bool:
            return await one.is_denied(CREDENTIAL) and await two.is_denied(CREDENTIAL)

        await until(both_deny)
        assert server.admin("HEXISTS", TICK, revocation_of(CREDENTIAL))


async def test_where_nobody_knows_what_was_purged_everything_is_disowned(
    start_server: StartServer,
) -> None:
    server = start_server()
    async with replicas(server.url) as [tick]:
        mark = await tick.purge(SCOPE)
    server.admin("FLUSHALL")
    async with replicas(server.url) as [newcomer]:
        assert mark <= await epoch(newcomer)
        assert mark <= await epoch(newcomer, scope="tenant:another")


async def test_a_field_of_another_hand_stops_no_tick(start_server: StartServer) -> None:
    server = start_server()
    server.admin("HSET", TICK, "scope:x", "no number", b"\xff\xfe".decode("latin-1"), "-7")
    async with replicas(server.url) as [tick]:
        assert await epoch(tick) > 0
        mark = await tick.purge(SCOPE)
        await all_at([tick], mark)


async def test_a_replica_that_starts_without_redis_finds_nothing_until_it_knows_what_was_purged(
    start_server: StartServer,
) -> None:
    """Its epoch is its own, and Redis never hears of it: nobody else's results are disowned."""
    server = start_server("--appendonly", "yes", "--appendfsync", "always")
    async with replicas(server.url) as [tick]:
        mark = await tick.purge(SCOPE)
        await tick.revoke(CREDENTIAL)
    server.kill()
    async with blind(server.url) as one, blind(server.url) as two:
        epochs = {await epoch(tick) for tick in (one, two, one, two)}
        assert 2 == len(epochs)
        assert max(epochs) < 0
        server.start()
        await all_at([one, two], mark)
        assert await one.is_denied(CREDENTIAL)


@asynccontextmanager
async def blind(url: str) -> AsyncIterator[Tick]:
    """A tick that starts without waiting long for Redis."""
    link = connect(url, connections=4)
    tick = Tick(link, longest_life=LIFE)
    async with tick.running(patience=0.05):
        yield tick
    await link.aclose()


async def test_a_call_after_a_long_pause_waits_for_what_has_changed_meanwhile(
    start_server: StartServer,
) -> None:
    """A process that was suspended must not answer from what it knew before."""
    server = start_server()
    clock = ManualClock()
    link = connect(server.url, connections=4)
    tick = Tick(link, longest_life=LIFE, clock=clock)
    async with tick.running():
        before = await epoch(tick)
        later = str(before + DAY_MS)
        server.admin("HSET", TICK, field_of(SCOPE), later, "version", later)
        clock.now += 60.0
        assert int(later) == await epoch(tick)
    await link.aclose()


async def test_a_silent_redis_is_waited_for_once_and_then_what_is_known_answers(
    start_server: StartServer,
) -> None:
    server = start_server()
    async with replicas(server.url, time_outs=QUICK) as [tick]:
        before = await epoch(tick)
        server.freeze()
        try:

            async def is_stale() -> bool:
                return tick.age() > 2 * TRUSTED

            await until(is_stale)
            async with asyncio.timeout(SECONDS):
                assert [before] * 100 == [await epoch(tick) for _ in range(100)]
        finally:
            server.thaw()
        mark = await _purge_at_last(tick)
        await all_at([tick], mark)


async def test_a_change_is_published(start_server: StartServer) -> None:
    server = start_server()
    async with replicas(server.url) as [tick]:
        link = connect(server.url)
        listener = link.listen(TICK_CHANNEL)
        hearing = asyncio.ensure_future(anext(listener))
        async with asyncio.timeout(SECONDS):
            while not hearing.done():
                await tick.purge(SCOPE)
                await asyncio.wait([hearing], timeout=0.01)
        assert (await hearing).isdigit()
        await listener.aclose()
        await link.aclose()
