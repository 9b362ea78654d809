"""What every admission promises, whatever it stands on."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.domain.calls import Balance
from gateway.domain.errors import (
    PolicyError,
    RequestCost,
    TenantBudget,
    TenantConcurrency,
    TenantRate,
)
from gateway.domain.limits import BucketState, Rate
from gateway.domain.tenant import Tenant
from gateway.ports import Admission, Claim, Hold, Settlement
from tests.store.admission_worlds import Redis, Solo, World
from tests.store.conftest import SERVERS
from tests.store.ledger_tools import NOON, LedgerWorld, a_claim, a_tenant

NEXT_MONTH = datetime(2096, 11, 1, tzinfo=UTC).timestamp()


@pytest.fixture(params=["solo", *SERVERS])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param == "solo":
        yield Solo()
        return
    async with LedgerWorld.at(request.getfixturevalue(request.param).url) as ledger:
        yield Redis(ledger)


async def outcomes(
    replicas: Sequence[Admission], claims: Sequence[Claim]
) -> tuple[list[Hold], Counter[str]]:
    """All claims at once, spread over the replicas: the holds, and refusals by limit."""
    answers = await asyncio.gather(
        *(replicas[i % len(replicas)].admit(claim) for i, claim in enumerate(claims)),
        return_exceptions=True,
    )
    holds = [answer for answer in answers if isinstance(answer, Hold)]
    refusals = [answer for answer in answers if isinstance(answer, PolicyError)]
    assert len(claims) == len(holds) + len(refusals), answers
    return holds, Counter(refusal.limit for refusal in refusals)


async def test_of_many_claims_at_once_the_burst_is_granted(world: World) -> None:
    replicas = [await world.replica() for _ in range(3)]
    tenant = a_tenant(edits=Rate(3_600_000_000, 20))
    holds, refusals = await outcomes(replicas, [a_claim(tenant) for _ in range(120)])
    assert (20, {"edits": 100}) == (len(holds), refusals)


async def test_of_many_claims_at_once_as_many_are_granted_as_there_are_places(
    world: World,
) -> None:
    replicas = [await world.replica() for _ in range(3)]
    tenant = a_tenant(in_flight=7)
    holds, refusals = await outcomes(replicas, [a_claim(tenant) for _ in range(60)])
    assert (7, {"max_in_flight": 53}) == (len(holds), refusals)
    for hold in holds[:3]:
        replicas[0].settle(hold, Settlement.VOIDED)
    await world.tell()
    holds, _ = await outcomes(replicas, [a_claim(tenant) for _ in range(60)])
    assert 3 == len(holds)


async def test_of_many_claims_at_once_the_budget_is_spent_to_the_last_credit(
    world: World,
) -> None:
    """Mixed costs: what is left at the end is less than the smallest."""
    replicas = [await world.replica() for _ in range(3)]
    tenant = a_tenant(budget_milli=10_100)
    claims = [a_claim(tenant, (1_000, 200)[i % 2]) for i in range(120)]
    holds, refusals = await outcomes(replicas, claims)
    assert {"monthly_images"} == refusals.keys()
    assert 10_000 == sum(hold.cost_milli for hold in holds)


async def test_what_is_free_goes_though_the_budget_is_spent(world: World) -> None:
    replica, tenant = await world.replica(), a_tenant(budget_milli=0)
    with pytest.raises(TenantBudget):
        await replica.admit(a_claim(tenant, 200))
    assert 0 == (await replica.admit(a_claim(tenant, 0))).cost_milli


async def test_a_call_that_costs_too_much_is_refused_and_takes_nothing(world: World) -> None:
    replica = await world.replica()
    tenant = a_tenant(cost_milli=999, in_flight=1, edits=Rate(1_000_000, 1))
    with pytest.raises(RequestCost) as caught:
        await replica.admit(a_claim(tenant, 1_000))
    assert (tenant.id, "max_cost", None) == (
        caught.value.tenant,
        caught.value.limit,
        caught.value.retry_after,
    )
    await replica.admit(a_claim(tenant, 999))


async def test_without_limits_everything_goes(world: World) -> None:
    replica, tenant = await world.replica(), a_tenant()
    holds, _ = await outcomes([replica], [a_claim(tenant) for _ in range(50)])
    assert 50 == len(holds)
    assert (None, None) == (replica.state(tenant), await replica.balance(tenant))


async def test_tenants_do_not_share_limits(world: World) -> None:
    replica = await world.replica()
    limits: dict[str, Any] = {
        "in_flight": 1,
        "budget_milli": 1_000,
        "edits": Rate(3_600_000_000, 1),
    }
    for tenant in (a_tenant(**limits), a_tenant(**limits)):
        await replica.admit(a_claim(tenant))


async def refused(replica: Admission, tenant: Tenant, kind: type[PolicyError]) -> PolicyError:
    with pytest.raises(kind) as caught:
        await replica.admit(a_claim(tenant))
    assert tenant.id == caught.value.tenant
    return caught.value


async def test_a_refusal_by_the_rate_tells_the_true_wait(world: World) -> None:
    replica, tenant = await world.replica(), a_tenant(edits=Rate(2_500_000, 2))
    for _ in range(2):
        await replica.admit(a_claim(tenant))
    await world.pass_time(0.4)
    error = await refused(replica, tenant, TenantRate)
    assert "edits" == error.limit
    assert 2.1 == pytest.approx(error.retry_after)
    await world.pass_time(2.099)
    await refused(replica, tenant, TenantRate)
    await world.pass_time(0.001)
    await replica.admit(a_claim(tenant))
    await refused(replica, tenant, TenantRate)


async def test_a_refusal_by_the_budget_tells_the_wait_for_the_next(world: World) -> None:
    replica, tenant = await world.replica(), a_tenant(budget_milli=1_500)
    replica.settle(await replica.admit(a_claim(tenant)), Settlement.POSTED)
    await world.tell()
    error = await refused(replica, tenant, TenantBudget)
    left = NEXT_MONTH - NOON / 1e6
    assert "monthly_images" == error.limit
    assert left == pytest.approx(error.retry_after, abs=0.01)
    await world.pass_time(left - 0.001)
    await refused(replica, tenant, TenantBudget)
    await world.pass_time(0.001)
    await replica.admit(a_claim(tenant))


async def test_a_refusal_for_want_of_a_place_names_a_second(world: World) -> None:
    """Nobody knows how long the calls under way will take."""
    replica, tenant = await world.replica(), a_tenant(in_flight=1)
    await replica.admit(a_claim(tenant))
    error = await refused(replica, tenant, TenantConcurrency)
    assert ("max_in_flight", 1.0) == (error.limit, error.retry_after)


@pytest.mark.parametrize(
    ("limits", "limit"),
    [
        ({"in_flight": 1}, "max_in_flight"),
        ({"budget_milli": 1_000}, "monthly_images"),
        ({"edits": Rate(3_600_000_000, 1)}, "edits"),
    ],
)
async def test_a_refused_claim_takes_nothing_of_the_other_limits(
    world: World, limits: dict[str, Any], limit: str
) -> None:
    """All or nothing: after the narrow limit is widened, the others are as if it had never asked."""
    replica = await world.replica()
    wide: dict[str, Any] = {"in_flight": 2, "budget_milli": 2_000, "edits": Rate(3_600_000_000, 2)}
    narrow = a_tenant(**(wide | limits))
    await replica.admit(a_claim(narrow))
    for _ in range(5):
        with pytest.raises(PolicyError) as caught:
            await replica.admit(a_claim(narrow))
        assert limit == caught.value.limit
    await replica.admit(a_claim(a_tenant(narrow.id, **wide)))


@pytest.mark.parametrize("settlement", Settlement)
async def test_what_is_settled_gives_its_place_back_and_its_credits_if_they_were_not_spent(
    world: World, settlement: Settlement
) -> None:
    one, two = await world.replica(), await world.replica()
    tenant = a_tenant(in_flight=1, budget_milli=2_000)
    hold = await one.admit(a_claim(tenant))
    one.sent(hold)
    one.settle(hold, settlement)
    one.settle(hold, settlement)
    one.settle(hold, Settlement.VOIDED)
    await world.tell()
    await world.tell()
    spent = 0 if settlement is Settlement.VOIDED else 1_000
    assert Balance(2_000, spent, NEXT_MONTH) == await two.balance(tenant)
    await two.admit(a_claim(tenant))


async def test_a_claim_made_twice_is_granted_once_and_takes_nothing_more(world: World) -> None:
    """Its first answer was lost, say."""
    replica = await world.replica()
    tenant = a_tenant(in_flight=2, budget_milli=2_000, edits=Rate(3_600_000_000, 2))
    claim = a_claim(tenant)
    first = await replica.admit(claim)
    assert [first] * 5 == [await replica.admit(claim) for _ in range(5)]
    assert 1 == (replica.state(tenant) or BucketState(0, 0, 0, 0)).left
    await replica.admit(a_claim(tenant))
    assert first == await replica.admit(claim), "also when nothing is left"


async def test_the_state_of_the_rate_is_what_the_next_calls_meet(world: World) -> None:
    replica, tenant = await world.replica(), a_tenant(edits=Rate(10_000_000, 3))
    assert BucketState(3, 30.0, 3, 0.0) == replica.state(tenant)
    await replica.admit(a_claim(tenant))
    await replica.admit(a_claim(tenant))
    assert BucketState(3, 30.0, 1, 20.0) == replica.state(tenant)
    await world.pass_time(12.0)
    assert BucketState(3, 30.0, 2, 8.0) == replica.state(tenant)
    await world.pass_time(1_000.0)
    assert BucketState(3, 30.0, 3, 0.0) == replica.state(tenant)


async def test_after_a_change_of_rate_nobody_waits_longer_than_the_new_one_takes(
    world: World,
) -> None:
    replica, slow = await world.replica(), a_tenant(edits=Rate(3_600_000_000, 1))
    await replica.admit(a_claim(slow))
    quick = a_tenant(slow.id, edits=Rate(1_000_000, 2))
    assert 1.0 == pytest.approx((await refused(replica, quick, TenantRate)).retry_after)
    await world.pass_time(1.0)
    await replica.admit(a_claim(quick))
    await refused(replica, quick, TenantRate)
    state = replica.state(quick)
    assert state is not None
    assert (0, 2.0) == (state.left, state.full_in)
    await world.pass_time(2.0)
    assert 2 == (replica.state(quick) or state).left


async def test_the_balance_is_what_all_replicas_have_spent_and_hold(world: World) -> None:
    one, two = await world.replica(), await world.replica()
    tenant = a_tenant(budget_milli=5_000)
    assert Balance(5_000, 0, NEXT_MONTH) == await one.balance(tenant)
    holds = [await one.admit(a_claim(tenant)), await two.admit(a_claim(tenant, 200))]
    await world.pass_time(1.0)
    assert Balance(5_000, 1_200, NEXT_MONTH) == await one.balance(tenant)
    one.settle(holds[0], Settlement.VOIDED)
    two.settle(holds[1], Settlement.POSTED)
    await world.tell()
    await world.pass_time(1.0)
    assert Balance(5_000, 200, NEXT_MONTH) == await one.balance(tenant)
    other = a_tenant(tenant.id, budget_milli=100)
    assert 0 == (await one.balance(other) or Balance(0, 0, 0)).left_milli


async def test_a_claim_that_is_cancelled_holds_nothing_in_the_end(world: World) -> None:
    replica = await world.replica()
    tenant = a_tenant(in_flight=1, budget_milli=1_000)
    for _ in range(10):
        task = asyncio.ensure_future(replica.admit(a_claim(tenant)))
        await asyncio.sleep(0)
        if not task.cancel():
            replica.settle(task.result(), Settlement.VOIDED)
        await asyncio.wait([task])
        await world.tell()
    await replica.admit(a_claim(tenant))
