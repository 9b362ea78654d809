"""What the board of flights promises over every kind of Redis."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest
from redis.crc import key_slot

from gateway.domain.errors import OutcomeUnknown
from gateway.ports import Ended, FlightBoard, Follow, Lead
from gateway.store.flight_calls import LONGEST_MESSAGE, FlightCalls, FlightRules, FlightScripts
from gateway.store.keyspace import CACHE_SECRET, WAKE_PREFIX, flight_key
from gateway.store.scripts import run
from gateway.store.solo import SoloBoard
from tests.store.conftest import SERVERS
from tests.store.flight_tools import TIMEOUT, FlightWorld

LEASE = FlightRules().lease
TIMEOUT_MS = int(TIMEOUT * 1000)


@pytest.fixture(params=SERVERS)
async def world(request: pytest.FixtureRequest) -> AsyncIterator[FlightWorld]:
    async with FlightWorld.at(request.getfixturevalue(request.param).url) as made:
        yield made


def test_the_names_are_these() -> None:
    """A rename leaves the flights of a rolling update unknown to each other: each would be paid twice."""
    assert ("pg1:{ctl}:flight:f1", "pg1:wake:") == (flight_key("f1"), WAKE_PREFIX)
    assert key_slot(CACHE_SECRET.encode()) == key_slot(flight_key(secrets.token_hex()).encode())


async def test_the_first_leads_and_the_others_follow(world: FlightWorld) -> None:
    one, two = await world.replica(), await world.replica()
    lead = await one.lead(world.flight)
    assert 0 == lead.attempts
    assert Follow(world.flight, lead.epoch, wait=1.0) == await two.follow(world.flight)


async def test_a_join_whose_answer_was_lost_leads_the_same_flight(world: FlightWorld) -> None:
    one = await world.replica()
    first = await one.join(world.flight, token="t")
    assert first == await one.join(world.flight, token="t")


async def test_who_followed_hears_the_end_and_who_comes_later_leads_anew(
    world: FlightWorld,
) -> None:
    one, two = await world.replica(), await world.replica()
    lead = await one.lead(world.flight)
    followed = await two.follow(world.flight)
    await one.board.complete(lead, "UPSTREAM_REFUSED", "é" * 600)

    assert Ended(
        world.flight, lead.epoch, "UPSTREAM_REFUSED", "é" * LONGEST_MESSAGE
    ) == await two.hear(followed)
    assert (await two.lead(world.flight)).epoch > lead.epoch


async def test_an_ending_that_was_seen_is_passed_over(world: FlightWorld) -> None:
    one, two = await world.replica(), await world.replica()
    lead = await one.lead(world.flight)
    await one.board.complete(lead, "stored")
    assert (await two.lead(world.flight, seen=lead.epoch)).epoch > lead.epoch


async def test_a_flight_that_is_given_back_is_led_by_the_next(world: FlightWorld) -> None:
    one, two = await world.replica(), await world.replica()
    lead = await one.lead(world.flight)
    await two.follow(world.flight)
    assert await one.board.sent(lead)
    await one.board.release(lead)

    again = await two.lead(world.flight)
    assert again.epoch > lead.epoch
    assert 0 == again.attempts, "what was given back was not paid"
    assert not await one.board.sent(lead)


async def test_a_leader_that_dies_before_sent_is_replaced_when_its_lease_ends(
    world: FlightWorld,
) -> None:
    dead, two = await world.replica(), await world.replica()
    lead = await dead.lead(world.flight)
    await world.pass_time(LEASE - 1)
    assert 0.001 == (await two.follow(world.flight)).wait
    await world.pass_time(1)
    assert 0 == (await two.lead(world.flight)).attempts
    assert not await dead.board.sent(lead), "it was replaced: it must not call"


async def test_a_leader_that_dies_after_sent_is_replaced_after_the_time_out_once(
    world: FlightWorld,
) -> None:
    dead, also_dead, three = [await world.replica() for _ in range(3)]
    lead = await dead.lead(world.flight)
    assert await dead.board.sent(lead)
    assert await dead.board.sent(lead), "asked again, it is the same attempt"
    await world.pass_time(TIMEOUT_MS - 1)
    followed = await three.follow(world.flight)
    assert 0.001 == followed.wait

    await world.pass_time(1)
    second = await also_dead.lead(world.flight)
    assert 1 == second.attempts
    assert await also_dead.board.sent(second)
    await world.pass_time(TIMEOUT_MS)
    ended = await three.hear(followed)
    assert (OutcomeUnknown.reason, second.epoch) == (ended.outcome, ended.epoch)
    assert 0 == (await three.lead(world.flight)).attempts, "a new caller pays for its own"


async def test_the_first_stored_result_wins_whatever_its_epoch(world: FlightWorld) -> None:
    slow, two, three = [await world.replica() for _ in range(3)]
    lead = await slow.lead(world.flight)
    assert await slow.board.sent(lead)
    followed = await three.follow(world.flight)
    await world.pass_time(TIMEOUT_MS)
    second = await two.lead(world.flight)
    assert await two.board.sent(second)

    await slow.board.complete(lead, "OUTCOME_UNKNOWN")
    assert isinstance(await three.join(world.flight), Follow), "another attempt is on its way"
    await slow.board.complete(lead, "stored")
    await two.board.complete(second, "UPSTREAM_REFUSED")
    assert "stored" == (await three.hear(followed)).outcome


async def test_what_cannot_be_shared_is_led_once_by_each_other_replica(
    world: FlightWorld,
) -> None:
    one, two, three = [await world.replica() for _ in range(3)]
    lead = await one.lead(world.flight)
    followed = await two.follow(world.flight)
    seen = followed.epoch - 1
    await one.board.complete(lead, "unshared")

    assert "unshared" == (await one.hear(followed)).outcome
    alone = [await replica.lead(world.flight, seen=seen) for replica in (two, three)]
    assert [True, True] == [await two.board.sent(alone[0]), await three.board.sent(alone[1])]
    assert [0, 1, 1] == [replica.board.counts.alone for replica in (one, two, three)]
    assert "unshared" == (await two.hear(followed)).outcome, "once each"
    await two.board.complete(alone[0], "unshared")
    await three.board.complete(alone[1], "stored")
    assert "stored" == (await one.hear(followed)).outcome


@pytest.mark.parametrize("ending", ["complete", "release"])
async def test_followers_are_woken(world: FlightWorld, ending: str) -> None:
    one, two = await world.replica(), await world.replica(running=True)
    await two.listens()
    lead = await one.lead(world.flight)
    await two.follow(world.flight)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(two.board.woken(world.flight, 60.0))
        await (one.board.release(lead) if ending == "release" else one.board.complete(lead, "so"))


async def test_a_wake_up_that_overtakes_the_answer_is_heard(world: FlightWorld) -> None:
    one, two = await world.replica(), await world.replica(running=True)
    await two.listens()
    lead = await one.lead(world.flight)
    await two.follow(world.flight)
    await one.board.complete(lead, "stored")
    async with asyncio.timeout(10):
        await two.board.woken(world.flight, 60.0)


async def test_a_lost_wake_up_costs_the_wait(world: FlightWorld) -> None:
    two = await world.replica()
    async with asyncio.timeout(10):
        await two.board.woken(world.flight, 0.01)


async def test_scripts_that_the_server_has_forgotten_are_told_again(world: FlightWorld) -> None:
    one = await world.replica(timed=False)
    for _ in range(2):
        lead = await one.lead(world.flight)
        assert await one.board.sent(lead)
        await one.board.release(lead)
        if world.url.startswith("unix"):
            await world.ask("SCRIPT", "FLUSH")


async def test_a_record_notes_some_followers_and_no_more(world: FlightWorld) -> None:
    """The others come by their timed join."""
    one = await world.replica()
    await one.lead(world.flight)
    for i in range(70):
        calls = FlightCalls(f"crowd{i}", world.rules, FlightScripts.load())
        call = calls.join(world.flight, timeout=1000, seen=-1, token=f"t{i}")
        await run(one.link, call)
    noted = [name for name in await world.record() if name.startswith("follower:")]
    assert 64 == len(noted)


async def test_a_replica_alone_leads_every_flight() -> None:
    board: FlightBoard = SoloBoard()
    for seen in (-1, 5):
        lead = await board.join("f", timeout=TIMEOUT, seen=seen, token="t")
        assert isinstance(lead, Lead)
        assert lead.epoch > seen
        assert await board.sent(lead)
        await board.release(lead)
        await board.complete(lead, "stored")
    async with asyncio.timeout(10):
        await board.woken("f", 0.01)
