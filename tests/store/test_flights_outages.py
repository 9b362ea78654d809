"""Flights while Redis is emptied, restarted, frozen or failing over."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.ports import BoardUnavailable, Ended, Follow, Lead
from gateway.store.flight_calls import FlightRules
from gateway.store.keyspace import flight_key
from gateway.store.link import TimeOuts
from tests.servers.cluster import Cluster
from tests.servers.fixtures import StartServer
from tests.servers.process import Server, free_ports, standalone
from tests.servers.sentinel import SentinelSet
from tests.store.flight_tools import TIMEOUT, FlightWorld, Replica, persistently, until

QUICK = TimeOuts(connect=0.2, operation=0.3)
OFTEN = FlightRules(lease=150)
"""Leases are renewed every 50 ms."""


@pytest.fixture
async def world(valkey: Server) -> AsyncIterator[FlightWorld]:
    async with FlightWorld.at(valkey.url) as made:
        yield made


async def test_leases_are_renewed_while_the_replica_lives(valkey: Server) -> None:
    async with FlightWorld.at(valkey.url, OFTEN) as world:
        one, two = await world.replica(running=True), await world.replica()
        lead = await one.lead(world.flight)
        for _ in range(3):
            await world.pass_time(100)

            async def renewed() -> bool:
                return int((await world.record())["lease"]) == world.now + OFTEN.lease

            await until(renewed)
        assert lead.epoch == (await two.follow(world.flight)).epoch


@pytest.mark.parametrize("phase", ["prepared", "sent"])
async def test_a_record_that_redis_lost_is_written_anew(world: FlightWorld, phase: str) -> None:
    one, two = await world.replica(), await world.replica()
    lead = await one.lead(world.flight)
    if phase == "sent":
        assert await one.board.sent(lead)
    before = await world.record()
    await world.lose_it()
    await one.board._renew()
    assert before == await world.record()
    assert lead.epoch == (await two.follow(world.flight)).epoch


async def test_a_sent_mark_on_a_lost_record_writes_it(world: FlightWorld) -> None:
    one, two = await world.replica(), await world.replica()
    lead = await one.lead(world.flight)
    await world.lose_it()
    assert await one.board.sent(lead)
    await two.follow(world.flight)


async def test_an_unsent_lead_that_was_replaced_is_told_to_stop(world: FlightWorld) -> None:
    one, two = await world.replica(), await world.replica()
    lead = await one.lead(world.flight)
    await world.lose_it()
    await world.pass_time(1)
    await two.lead(world.flight)
    await one.board._renew()
    assert ([lead], 0) == (one.disowned, one.board.leads)
    assert not await one.board.sent(lead)
    assert 1 == one.board.counts.disowned


async def test_a_sent_lead_takes_the_flight_back_from_one_that_has_sent_nothing(
    world: FlightWorld,
) -> None:
    """So what Redis lost is not paid twice."""
    one, two = await world.replica(), await world.replica()
    lead = await one.lead(world.flight)
    assert await one.board.sent(lead)
    await world.lose_it()
    await world.pass_time(1)
    second = await two.lead(world.flight)
    await one.board._renew()
    assert not await two.board.sent(second)
    followed = await two.follow(world.flight)
    await one.board.complete(lead, "stored")
    assert "stored" == (await two.hear(followed)).outcome
    assert [] == one.disowned


async def test_a_sent_lead_goes_on_beside_another_that_has_sent(world: FlightWorld) -> None:
    one, two = await world.replica(), await world.replica()
    lead = await one.lead(world.flight)
    assert await one.board.sent(lead)
    await world.lose_it()
    await world.pass_time(1)
    second = await two.lead(world.flight)
    assert await two.board.sent(second)
    before = await world.record()
    await one.board._renew()
    assert before == await world.record()
    assert ([], 1) == (one.disowned, one.board.leads)


async def test_an_emptied_redis_learns_of_the_flights_again(start_server: StartServer) -> None:
    server = start_server()
    async with FlightWorld.at(server.url, OFTEN) as world:
        one, two = [await world.replica(running=True, timed=False) for _ in range(2)]
        lead = await one.lead(world.flight)
        assert await one.board.sent(lead)
        server.admin("FLUSHALL")

        async def is_back() -> bool:
            return bool(server.admin("EXISTS", flight_key(world.flight)))

        await until(is_back)
        assert "sent" == (await world.record())["phase"]
        followed = await two.follow(world.flight)
        await one.board.complete(lead, "stored")
        assert "stored" == (await two.hear(followed)).outcome


async def test_an_ending_that_redis_did_not_hear_is_told_when_it_is_back(
    start_server: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    server = start_server()
    async with FlightWorld.at(server.url, OFTEN, QUICK) as world:
        one = await world.replica(running=True, timed=False)
        await one.listens()
        lead = await one.lead(world.flight)
        assert await one.board.sent(lead)
        server.kill()
        with pytest.raises(BoardUnavailable):
            await one.board.complete(lead, "stored")
        server.start()

        async def has_ended() -> bool:
            return bool(server.admin("HGET", flight_key(world.flight), "phase") == b"ended")

        await until(has_ended)
        ended = await persistently(lambda: one.join(world.flight, seen=lead.epoch - 1))
        assert Ended(world.flight, lead.epoch, "stored") == ended
        assert 1 == one.board.counts.retold
        await one.listens()
    assert {logging.WARNING} == {r.levelno for r in caplog.records if "flights" in r.getMessage()}


async def test_a_redis_that_hangs_is_unavailable_in_time(start_server: StartServer) -> None:
    server = start_server()
    async with FlightWorld.at(server.url, time_outs=QUICK) as world:
        one = await world.replica(timed=False)
        lead = await one.lead(world.flight)
        server.freeze()
        try:
            async with asyncio.timeout(10):
                for question in (
                    one.board.sent(lead),
                    one.join(world.flight),
                    one.board.release(lead),
                ):
                    with pytest.raises(BoardUnavailable):
                        await question
        finally:
            server.thaw()


@pytest.mark.parametrize("program", ["valkey_program", "redis_program"])
async def test_a_full_redis_takes_flights_all_the_same(
    request: pytest.FixtureRequest, program: str, tmp_path: Path
) -> None:
    """They are small, and without the board every replica would pay."""
    server = standalone(request.getfixturevalue(program), tmp_path, port=free_ports(1)[0])
    server.start()
    try:
        async with FlightWorld.at(server.url) as world:
            one, two = [await world.replica() for _ in range(2)]
            server.admin("CONFIG", "SET", "maxmemory", "1")
            lead = await one.lead(world.flight)
            followed = await two.follow(world.flight)
            assert await one.board.sent(lead)
            await one.board.complete(lead, "stored")
            assert "stored" == (await two.hear(followed)).outcome
    finally:
        server.stop()


async def test_a_subscription_that_is_cut_comes_back(start_server: StartServer) -> None:
    server = start_server()
    async with FlightWorld.at(server.url) as world:
        one = await world.replica(running=True)
        await one.listens()
        server.admin("CLIENT", "KILL", "TYPE", "pubsub")
        await one.listens()


async def test_a_caller_that_leaves_while_it_joins_leaves_no_leader_behind(
    world: FlightWorld,
) -> None:
    """Cancelled at every resumption in turn: whatever Redis has heard, the flight is soon free."""
    one, two = await world.replica(), await world.replica()
    for steps in itertools.count():
        task = asyncio.ensure_future(one.join(world.flight))
        for _ in range(steps):
            await asyncio.sleep(0)
        if task.done():
            break
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: _leads_again(two, world.flight, after=one))
    assert steps > 3


async def _leads_again(two: Replica, flight: str, *, after: Replica) -> bool:
    await after.board._renew()
    joined = await two.join(flight)
    if isinstance(joined, Lead):
        await two.board.release(joined)
    return isinstance(joined, Lead)


async def test_nothing_is_left_running_afterwards(start_server: StartServer) -> None:
    server = start_server()
    before = asyncio.all_tasks()
    async with FlightWorld.at(server.url) as world:
        one = await world.replica(running=True)
        await one.listens()
        assert 2 == len(asyncio.all_tasks() - before)
    assert before == asyncio.all_tasks()


async def test_a_failover_of_sentinel_s_master_is_survived(sentinel_set: SentinelSet) -> None:
    try:
        async with FlightWorld.at(sentinel_set.url, FlightRules(lease=600), QUICK) as world:
            await _fly_through(world, lambda: sentinel_set.master().kill())
    finally:
        sentinel_set.heal()


async def test_a_failover_of_a_cluster_s_master_is_survived(redis_cluster: Cluster) -> None:
    def kill_the_one_that_holds_it() -> None:
        for master in redis_cluster.masters():
            if b"{ctl}" in b" ".join(master.admin("KEYS", "*")):
                master.kill()

    try:
        async with FlightWorld.at(redis_cluster.url, FlightRules(lease=600), QUICK) as world:
            await _fly_through(world, kill_the_one_that_holds_it)
    finally:
        redis_cluster.heal()


async def _fly_through(world: FlightWorld, fault: Callable[[], None]) -> None:
    """A flight that is sent before a failover: after it, others follow, are woken and hear the end."""
    one, two = [await world.replica(running=True, timed=False) for _ in range(2)]
    await one.listens()
    await two.listens()
    lead = await one.lead(world.flight)
    assert await one.board.sent(lead)
    fault()
    with pytest.raises(BoardUnavailable):
        await two.join(world.flight)

    async def says_so() -> bool:
        joined = await persistently(lambda: two.join(world.flight, token="second"))
        if isinstance(joined, Lead):
            # The mark was lost with the master; the leader, who has sent, takes the flight back.
            return not await persistently(lambda: two.board.sent(joined))
        return isinstance(joined, Follow)

    await until(says_so)
    await two.listens()
    followed = await persistently(lambda: two.follow(world.flight))
    async with asyncio.timeout(TIMEOUT), asyncio.TaskGroup() as group:
        group.create_task(two.board.woken(world.flight, TIMEOUT))
        await persistently(lambda: one.board.complete(lead, "stored"))
    assert "stored" == (await persistently(lambda: two.hear(followed))).outcome
