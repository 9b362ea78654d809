"""Budgets by the calendar: months of time zones, budgets that change, replicas with wrong clocks."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from gateway.domain.calls import Balance
from gateway.domain.errors import TenantBudget
from gateway.domain.tenant import Tenant
from gateway.ports import Settlement
from tests.servers.process import Server
from tests.store.ledger_tools import NOON, LedgerWorld, Replica, a_tenant, us

BUDGET = 2_000

EDGES = [
    ("UTC", "2096-03-01T00:00"),
    ("UTC", "2097-01-01T00:00"),
    ("Europe/Paris", "2096-03-31T22:00"),
    ("Europe/Paris", "2096-10-31T23:00"),
    ("Europe/Paris", "2096-11-30T23:00"),
    ("America/Los_Angeles", "2096-03-01T08:00"),
    ("America/Los_Angeles", "2096-04-01T07:00"),
    ("America/Los_Angeles", "2096-11-01T07:00"),
    ("America/Los_Angeles", "2096-12-01T08:00"),
    ("Asia/Kolkata", "2096-10-31T18:30"),
    ("Pacific/Kiritimati", "2096-10-31T10:00"),
    ("Pacific/Kiritimati", "2096-12-31T10:00"),
]
"""Where a month begins, in UTC: after a leap day, at a year's end, in and out of summer time."""


def edge_at(text: str) -> int:
    return us(datetime.fromisoformat(text).replace(tzinfo=UTC))


async def spend(replica: Replica, tenant: Tenant, cost: int = 1_000) -> None:
    hold = await replica.buy(tenant, cost)
    replica.admission.settle(hold, Settlement.POSTED)
    await replica.tell()


async def is_refused(replica: Replica, tenant: Tenant) -> float:
    """The wait of the refusal, in seconds."""
    with pytest.raises(TenantBudget) as caught:
        await replica.admit(tenant)
    assert caught.value.retry_after is not None
    return caught.value.retry_after


@pytest.mark.parametrize(("zone", "edge"), EDGES)
async def test_a_budget_is_new_from_the_first_moment_of_the_month(
    valkey: Server, zone: str, edge: str
) -> None:
    start = edge_at(edge)
    async with LedgerWorld.at(valkey.url, now=start - 60_000_000) as world:
        replica = await world.replica()
        tenant = a_tenant(budget_milli=BUDGET, zone=ZoneInfo(zone))
        await spend(replica, tenant)
        await spend(replica, tenant)
        assert 60.0 == await is_refused(replica, tenant)
        assert Balance(BUDGET, BUDGET, start / 1e6) == await replica.admission.balance(tenant)
        await world.pass_time(59.999)
        assert 0.001 == await is_refused(replica, tenant)
        await world.pass_time(0.001)
        hold = await replica.admit(tenant)
        assert start // 1000 == hold.period.start
        balance = await replica.admission.balance(tenant)
        assert Balance(BUDGET, 1_000, hold.period.end / 1000) == balance
        picture = await world.picture()
        assert {"posted": 2_000} in picture.budgets.values()
        assert {"held": 1_000} == picture.budgets[tenant.id, hold.period.start]


@pytest.mark.parametrize("settlement", Settlement)
async def test_a_hold_of_last_month_that_is_settled_in_this_one_counts_in_last_month(
    valkey: Server, settlement: Settlement
) -> None:
    start = edge_at("2096-11-01T00:00")
    async with LedgerWorld.at(valkey.url, now=start - 5_000_000) as world:
        replica, tenant = await world.replica(), a_tenant(budget_milli=BUDGET)
        hold = await replica.buy(tenant)
        await world.pass_time(10.0)
        replica.admission.settle(hold, settlement)
        await replica.tell()
        for _ in range(2):
            await replica.admit(tenant)
        await is_refused(replica, tenant)
        budgets = (await world.picture()).budgets
        last = {"posted": {"posted": 1_000}, "voided": None, "presumed": {"presumed": 1_000}}
        assert last[settlement.value] == budgets.get((tenant.id, hold.period.start))
        assert {"held": 2_000} == budgets[tenant.id, start // 1000]


@pytest.mark.parametrize("after", [-1.0, 0.0, 1.0])
async def test_replicas_whose_clocks_are_wrong_by_minutes_agree_on_the_month(
    valkey: Server, after: float
) -> None:
    """Redis's clock decides; theirs only have to be right to the month."""
    start = edge_at("2096-11-01T00:00")
    async with LedgerWorld.at(valkey.url, now=start + round(after * 1e6)) as world:
        replicas = [
            await world.replica(wrong_by=wrong) for wrong in (-300.0, 300.0, -20 * 86_400.0, 0.0)
        ]
        tenant = a_tenant(budget_milli=3_000)
        holds = [await replica.buy(tenant) for replica in replicas[:3]]
        assert 1 == len({hold.period for hold in holds})
        assert (after >= 0) == (holds[0].period.start == start // 1000)
        for replica in replicas:
            await is_refused(replica, tenant)
            known = await replica.admission.balance(tenant)
            assert Balance(3_000, 3_000, holds[0].period.end / 1000) == known


async def test_a_replica_that_has_heard_nothing_yet_reads_the_balance_by_its_own_clock(
    valkey: Server,
) -> None:
    async with LedgerWorld.at(valkey.url) as world:
        one, two = await world.replica(), await world.replica(wrong_by=-300.0)
        tenant = a_tenant(budget_milli=3_000)
        await spend(one, tenant)
        assert 1_000 == (await two.admission.balance(tenant) or Balance(0, 0, 0)).spent_milli


@pytest.mark.parametrize(
    ("budget", "granted"), [(1_500, 0), (2_000, 0), (2_999, 0), (3_000, 1), (9_000, 7), (None, 9)]
)
async def test_a_budget_that_is_changed_in_the_month_holds_from_the_next_call(
    valkey: Server, budget: int | None, granted: int
) -> None:
    """Two credits are spent of it. Lower than that, it refuses; raised, it goes on."""
    async with LedgerWorld.at(valkey.url, now=NOON) as world:
        replicas = [await world.replica() for _ in range(2)]
        before = a_tenant(budget_milli=BUDGET)
        for replica in replicas:
            await spend(replica, before)
        changed = a_tenant(before.id, budget_milli=budget)
        for number in range(granted):
            await replicas[number % 2].admit(changed)
        for replica in replicas:
            if budget is not None:
                await is_refused(replica, changed)
                balance = await replica.admission.balance(changed)
                spent = 2_000 + 1_000 * granted
                assert balance is not None
                assert (budget, spent, max(0, budget - spent)) == (
                    balance.budget_milli,
                    balance.spent_milli,
                    balance.left_milli,
                )


async def test_a_tenant_that_had_no_budget_has_spent_what_it_has_when_it_gets_one(
    valkey: Server,
) -> None:
    async with LedgerWorld.at(valkey.url) as world:
        replica, free = await world.replica(), a_tenant()
        for _ in range(2):
            await spend(replica, free)
        await is_refused(replica, a_tenant(free.id, budget_milli=2_500))


async def test_a_tenant_that_is_removed_and_added_again_keeps_its_spending(
    valkey: Server,
) -> None:
    """Also with every replica started anew: Redis knows."""
    async with LedgerWorld.at(valkey.url) as world:
        tenant = a_tenant(budget_milli=BUDGET)
        await spend(await world.replica(), tenant)
        await world.pass_time(5 * 86_400)
        replica = await world.replica()
        await replica.admit(tenant)
        await is_refused(replica, tenant)


async def test_a_month_is_known_for_two_more(valkey: Server) -> None:
    async with LedgerWorld.at(valkey.url) as world:
        replica, tenant = await world.replica(), a_tenant(budget_milli=BUDGET)
        hold = await replica.buy(tenant)
        lives = (await world.picture()).lives
        [life] = [life for name, life in lives.items() if name.startswith("budget:")]
        ends = time.time() * 1000 + life
        assert hold.period.end + 62 * 86_400_000 == pytest.approx(ends, abs=5_000)
