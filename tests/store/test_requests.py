"""What a gate promises, with Redis and without."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace

import pytest
from redis.crc import key_slot

from gateway.domain.errors import TenantRate
from gateway.domain.limits import BucketState, Limits, Rate
from gateway.domain.tenant import Tenant
from gateway.ports import RequestGate
from gateway.store.keyspace import CACHE_SECRET, requests_key
from gateway.store.solo import SoloRequestGate
from tests.store.conftest import SERVERS
from tests.store.request_tools import Clock, enters, gates, limited

SECOND = 1_000_000
HOUR = 3600 * SECOND


@dataclass(slots=True)
class World:
    """A gate, and the time that it reads."""

    gate: RequestGate
    pass_us: Callable[[int], Awaitable[None]]

    async def refusal(self, tenant: Tenant) -> TenantRate:
        """Call, and be refused."""
        with pytest.raises(TenantRate) as caught:
            await self.gate.enter(tenant)
        return caught.value

    async def wait(self, tenant: Tenant) -> int:
        """Call, be refused, and return the microseconds to wait."""
        retry_after = (await self.refusal(tenant)).retry_after
        assert retry_after is not None
        return math.ceil(retry_after * 1e6)


@pytest.fixture(params=["solo", *SERVERS])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param == "solo":
        clock = Clock()

        async def pass_us(us: int) -> None:
            clock.us += us

        yield World(SoloRequestGate(clock), pass_us)
        return
    async with gates(request.getfixturevalue(request.param).url) as (time, [gate]):
        yield World(gate, time.pass_time)


async def test_a_tenant_without_a_rate_is_never_refused(world: World) -> None:
    tenant = Tenant("free")
    assert 1000 == await enters(world.gate, tenant, 1000)
    assert world.gate.state(tenant) is None


@pytest.mark.parametrize("burst", [1, 20, 100, 1000])
async def test_of_calls_at_once_the_burst_is_let_through(world: World, burst: int) -> None:
    assert burst == await enters(world.gate, limited(burst, HOUR), 2 * burst)


@pytest.mark.parametrize("burst", [1, 20, 100])
async def test_of_calls_one_by_one_the_burst_is_let_through(world: World, burst: int) -> None:
    tenant = limited(burst, HOUR)
    assert burst == sum([await enters(world.gate, tenant) for _ in range(burst + 10)])


@pytest.mark.parametrize("interval", [40_000, SECOND, HOUR])
@pytest.mark.parametrize("burst", [1, 100])
async def test_the_told_wait_is_the_true_one(world: World, burst: int, interval: int) -> None:
    tenant = limited(burst, interval)
    await enters(world.gate, tenant, burst)
    assert interval == await world.wait(tenant)
    await world.pass_us(interval // 4)
    assert interval - interval // 4 == pytest.approx(await world.wait(tenant), abs=1)
    await world.pass_us(interval - interval // 4 - 2)
    assert 0 < await world.wait(tenant) < 5
    await world.pass_us(5)
    assert 1 == await enters(world.gate, tenant, 2), "one token has grown, and refusals took none"


async def test_a_refusal_names_tenant_and_limit(world: World) -> None:
    tenant = limited(1, SECOND)
    await world.gate.enter(tenant)
    error = await world.refusal(tenant)
    assert (tenant.id, "requests", "TENANT_RATE") == (error.tenant, error.limit, error.reason)


async def test_a_bucket_fills_up_and_not_beyond(world: World) -> None:
    tenant = limited(100, 10_000)
    await enters(world.gate, tenant, 100)
    await world.pass_us(300_000)
    assert 30 == await enters(world.gate, tenant, 100)
    await world.pass_us(HOUR)
    assert 100 == await enters(world.gate, tenant, 200)


async def test_tenants_do_not_take_each_other_s_tokens(world: World) -> None:
    one, two = limited(30, HOUR), limited(30, HOUR)
    assert 30 == await enters(world.gate, one, 100)
    assert 30 == await enters(world.gate, two, 100)


async def test_the_state_counts_down_and_fills_up(world: World) -> None:
    tenant = limited(100, 100_000)
    full = BucketState(burst=100, window=10.0, left=100, full_in=0.0)
    assert full == world.gate.state(tenant), "before the first call"
    for left in range(99, -1, -1):
        await world.gate.enter(tenant)
        seen = BucketState(burst=100, window=10.0, left=left, full_in=(100 - left) / 10)
        assert seen == world.gate.state(tenant)
    await world.refusal(tenant)
    assert replace(full, left=0, full_in=10.0) == world.gate.state(tenant)
    await world.pass_us(3_050_000)
    assert replace(full, left=30, full_in=6.95) == world.gate.state(tenant)
    await world.pass_us(HOUR)
    assert full == world.gate.state(tenant)


def changed(tenant: Tenant, rate: Rate | None) -> Tenant:
    """The tenant after a reload."""
    return replace(tenant, limits=Limits(requests=rate))


@pytest.mark.parametrize(
    ("before", "after", "let_through"),
    [
        (Rate(HOUR, 10), Rate(HOUR, 15), 5),
        (Rate(HOUR, 10), Rate(HOUR, 5), 0),
        (Rate(HOUR, 10), Rate(SECOND, 10), 0),
        (Rate(HOUR, 10), None, 100),
        (None, Rate(HOUR, 10), 10),
        (Rate(HOUR, 10), Rate(HOUR, 10), 0),
    ],
    ids=["raised", "lowered", "faster", "removed", "added", "read again"],
)
async def test_changed_limits_hold_from_the_next_call(
    world: World, before: Rate | None, after: Rate | None, let_through: int
) -> None:
    tenant = changed(limited(1, 1), before)
    await enters(world.gate, tenant, 20)
    assert let_through == await enters(world.gate, changed(tenant, after), 100)


async def test_a_faster_rate_is_waited_for_by_its_own_measure(world: World) -> None:
    """Not for the hours in which the bucket would have filled before."""
    tenant = limited(10, HOUR)
    await enters(world.gate, tenant, 20)
    tenant = changed(tenant, Rate(SECOND, 10))
    assert SECOND == await world.wait(tenant)
    await world.pass_us(SECOND + 1)
    assert 1 == await enters(world.gate, tenant, 20)


async def test_a_tenant_that_was_away_is_the_same_tenant(world: World) -> None:
    tenant = limited(10, HOUR)
    await enters(world.gate, tenant, 10)
    await enters(world.gate, changed(tenant, None), 10)
    assert 0 == await enters(world.gate, tenant, 10)


def test_the_name_is_this() -> None:
    assert "pg1:{ctl}:requests:catalog" == requests_key("catalog")
    assert key_slot(CACHE_SECRET.encode()) == key_slot(requests_key("catalog").encode())
