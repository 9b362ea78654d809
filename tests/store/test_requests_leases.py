"""How a gate asks Redis: seldom, once for all who wait, in order, and for no more than it needs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial

import pytest

from gateway.domain.errors import TenantRate
from gateway.domain.leases import LEASE_US
from gateway.domain.limits import Limits, Rate
from gateway.domain.tenant import Tenant
from tests.store.request_tools import TwinWorld, enters, limited, until
from tests.support.cancelling import CancelAt, cancelled_at

MS = 1_000
SECOND = 1_000_000
HOUR = 3600 * SECOND


@pytest.fixture
async def world() -> AsyncIterator[TwinWorld]:
    async with AsyncExitStack() as stack:
        yield TwinWorld(stack)


async def test_a_lease_lets_calls_through_without_a_word_to_redis(world: TwinWorld) -> None:
    gate, tenant = await world.gate(), limited(1000, MS)
    for _ in range(30):
        await enters(gate, tenant)
        world.clock.us += 4 * MS
    before = world.asks
    assert 20 == sum([await enters(gate, tenant) for _ in range(20)])
    assert world.asks - before <= 2
    assert 20 == max(ask.tokens for ask in world.server.asks), "2 % of the burst"


async def test_a_lease_is_used_for_a_quarter_second_and_its_rest_given_back(
    world: TwinWorld,
) -> None:
    gate, tenant = await world.gate(), limited(1000, HOUR)
    await enters(gate, tenant, 15)
    await enters(gate, tenant)
    assert 15 == world.server.asks[-1].tokens, "as many as went lately"
    world.clock.us += LEASE_US - 1
    before = world.asks
    await enters(gate, tenant)
    assert before == world.asks
    world.clock.us += 1
    await enters(gate, tenant)
    assert before + 1 == world.asks
    assert 2 == world.server.asks[-1].used
    world.clock.us += LEASE_US
    assert 1000 - 18 == await enters(gate, tenant, 2000), "nothing was lost with the leases"


async def test_a_lease_is_as_old_as_its_ask(world: TwinWorld) -> None:
    """Redis let the tokens go at some time after that, nobody knows when."""
    gate, tenant = await world.gate(), limited(1000, HOUR)

    async def slowly() -> None:
        world.clock.us += 50 * MS

    await enters(gate, tenant, 15)
    world.links[0].carry = slowly
    asked_at = world.clock.us
    await enters(gate, tenant)
    before = world.asks
    world.clock.us = asked_at + LEASE_US - 1
    await enters(gate, tenant)
    assert before == world.asks
    world.clock.us = asked_at + LEASE_US
    await enters(gate, tenant)
    assert before + 1 == world.asks


@pytest.mark.parametrize("burst", [1, 20, 49])
async def test_of_a_small_burst_nothing_is_drawn_in_advance(world: TwinWorld, burst: int) -> None:
    gate, tenant = await world.gate(), limited(burst, MS)
    for _ in range(50):
        await enters(gate, tenant)
        world.clock.us += MS
    assert [1] * 50 == [ask.tokens for ask in world.server.asks]


async def test_a_slow_caller_leaves_nothing_unused(world: TwinWorld) -> None:
    gate, tenant = await world.gate(), limited(1000, MS)
    for _ in range(20):
        await enters(gate, tenant)
        world.clock.us += LEASE_US
    assert {1} == {ask.tokens for ask in world.server.asks}


async def test_callers_at_once_share_one_ask(world: TwinWorld) -> None:
    gate, tenant = await world.gate(), limited(1000, HOUR)
    assert 300 == await enters(gate, tenant, 300)
    assert [300] == [ask.tokens for ask in world.server.asks]
    assert [300] == [ask.waiting for ask in world.server.asks]


async def test_those_who_come_while_redis_is_asked_share_the_next_ask(world: TwinWorld) -> None:
    gate, tenant = await world.gate(), limited(1000, HOUR)
    held = asyncio.Event()
    world.links[0].carry = held.wait
    first = asyncio.create_task(enters(gate, tenant, 3))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    second = asyncio.create_task(enters(gate, tenant, 50))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    held.set()
    assert (3, 50) == (await first, await second)
    assert [3, 50] == [ask.waiting for ask in world.server.asks]


async def test_callers_are_served_in_order(world: TwinWorld) -> None:
    gate, tenant = await world.gate(), limited(60, HOUR)
    served: list[int] = []

    async def call(number: int) -> None:
        try:
            await gate.enter(tenant)
        except TenantRate:
            served.append(-number)
        else:
            served.append(number)

    await asyncio.gather(*(call(number) for number in range(1, 101)))
    assert [*range(1, 61), *range(-61, -101, -1)] == served


async def test_a_flood_of_refused_calls_asks_redis_four_times_a_second(world: TwinWorld) -> None:
    gate, tenant = await world.gate(), limited(10, HOUR)
    await enters(gate, tenant, 10)
    before = world.asks
    for _ in range(2000):
        assert 0 == await enters(gate, tenant, 3)
        world.clock.us += MS
    assert world.asks - before <= 8


async def test_a_refusal_is_not_believed_longer_than_the_told_wait(world: TwinWorld) -> None:
    """Another replica may give tokens back, or an administrator raise the rate."""
    gate, tenant = await world.gate(), limited(10, 100 * MS)
    await enters(gate, tenant, 20)
    before = world.asks
    for _ in range(10):
        world.clock.us += 100 * MS + 1
        assert 1 == await enters(gate, tenant, 5)
    assert 10 == world.asks - before


async def test_after_a_reload_redis_is_asked_at_once(world: TwinWorld) -> None:
    gate, tenant = await world.gate(), limited(10, HOUR)
    await enters(gate, tenant, 20)
    raised = replace(tenant, limits=Limits(requests=Rate(HOUR, 12)))
    assert 2 == await enters(gate, raised, 20)


async def test_a_refusal_by_the_rate_of_before_is_not_told_to_those_of_now(
    world: TwinWorld,
) -> None:
    gate, tenant = await world.gate(), limited(10, HOUR)
    await enters(gate, tenant, 10)
    world.clock.us += LEASE_US
    held = asyncio.Event()
    world.links[0].carry = held.wait
    old = asyncio.create_task(enters(gate, tenant))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    raised = replace(tenant, limits=Limits(requests=Rate(HOUR, 13)))
    new = asyncio.create_task(enters(gate, raised, 2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    held.set()
    assert 3 == await old + await new


async def test_two_ways_to_say_the_same_limits_are_the_same(world: TwinWorld) -> None:
    """A reload makes new tenants; those that say the same do not make Redis be asked."""
    gate, tenant = await world.gate(), limited(1000, HOUR)
    await enters(gate, tenant, 10)
    await enters(gate, tenant)
    before = world.asks
    for _ in range(9):
        again = Tenant(tenant.id, limits=Limits(requests=Rate(HOUR, 1000)))
        assert 1 == await enters(gate, again)
    assert before == world.asks


async def test_a_caller_that_leaves_as_it_is_let_through_takes_no_token(world: TwinWorld) -> None:
    gate, tenant = await world.gate(), limited(10, HOUR)
    with pytest.raises(asyncio.CancelledError):
        await cancelled_at(CancelAt(1), gate.enter(tenant))
    assert 10 == await enters(gate, tenant, 20)


async def get_lost() -> None:
    raise ConnectionError


async def test_after_a_lost_ask_the_next_one_tells_of_no_use(world: TwinWorld) -> None:
    """What was left of the lease before ended with it."""
    gate, tenant = await world.gate(), limited(1000, HOUR)
    await enters(gate, tenant, 15)
    await enters(gate, tenant)
    before = world.asks
    for carry in (get_lost, partial(asyncio.sleep, 0)):
        world.links[0].carry = carry
        world.clock.us += LEASE_US
        assert 1 == await enters(gate, tenant)
    await until(lambda: world.asks > before)
    assert 0 == world.server.asks[-1].used


async def test_one_that_leaves_as_it_is_let_through_on_trust_leaves_no_token(
    world: TwinWorld,
) -> None:
    gate, tenant = await world.gate(), limited(1000, HOUR)
    world.links[0].carry = get_lost
    with pytest.raises(asyncio.CancelledError):
        await cancelled_at(CancelAt(1), gate.enter(tenant))
    world.links[0].carry = partial(asyncio.sleep, 0)
    world.clock.us += LEASE_US
    await enters(gate, tenant)
    await until(lambda: world.asks == 1)
    assert 0 == world.server.asks[0].used


async def test_the_next_in_line_gets_the_token_of_one_that_leaves(world: TwinWorld) -> None:
    gate, tenant = await world.gate(), limited(2, HOUR)
    leaving = gate.enter(tenant)
    place: asyncio.Future[float] = leaving.send(None)
    await asyncio.wait([place])
    world.links[0].carry = asyncio.Event().wait
    following = asyncio.create_task(gate.enter(tenant))
    await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        leaving.throw(asyncio.CancelledError())
    async with asyncio.timeout(10):
        await following


@pytest.mark.parametrize("leaving", [0, 1, 2])
async def test_one_that_leaves_the_line_does_not_hold_up_the_others(
    world: TwinWorld, leaving: int
) -> None:
    gate, tenant = await world.gate(), limited(2, HOUR)
    held = asyncio.Event()
    world.links[0].carry = held.wait
    calls = [asyncio.create_task(gate.enter(tenant)) for _ in range(3)]
    for _ in range(3):
        await asyncio.sleep(0)
    calls[leaving].cancel()
    held.set()
    ends = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(ends.pop(leaving), asyncio.CancelledError)
    assert [None, None] == ends
    assert 0 == await enters(gate, tenant)


async def test_an_answer_later_than_its_lease_is_none(world: TwinWorld) -> None:
    """Its tokens were drawn nobody knows when in that time; callers are served on trust."""
    gate, tenant = await world.gate(), limited(100, HOUR)

    async def slowly() -> None:
        world.clock.us += LEASE_US // 2

    world.links[0].carry = slowly
    assert 1 == await enters(gate, tenant)
    assert 1 == gate.degraded
