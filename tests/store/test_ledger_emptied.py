"""The ledger when Redis is emptied: replicas write back what they know, and nothing is spent twice."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import permutations

import pytest

from gateway.domain.errors import StateUnavailable, TenantBudget, TenantConcurrency
from gateway.domain.limits import Rate
from gateway.ports import HoldLost, Settlement
from gateway.store.admission import WINDOW
from gateway.store.keyspace import LEDGER_ROOT
from tests.servers.process import Server
from tests.store.flight_tools import until
from tests.store.ledger_tools import LedgerWorld, Replica, a_tenant


@pytest.fixture
async def world(valkey: Server) -> AsyncIterator[LedgerWorld]:
    async with LedgerWorld.at(valkey.url) as made:
        yield made


@pytest.mark.parametrize("order", [*permutations(range(3))])
async def test_emptied_books_begin_with_the_most_that_any_replica_knew(
    world: LedgerWorld, order: tuple[int, ...]
) -> None:
    replicas = [await world.replica() for _ in range(3)]
    tenant = a_tenant(budget_milli=9_000, edits=Rate(3_600_000_000, 9))
    for replica, count in zip(replicas, (1, 2, 3), strict=True):
        await replica.spend(tenant, count)
    assert {"posted": 6_000} == (await world.picture()).spent(tenant.id)
    await world.lose_all()
    for number in order:
        await replicas[number].tell()
    picture = await world.picture()
    assert {"base": 6_000} == picture.spent(tenant.id)
    assert world.now + 6 * 3_600_000_000 == picture.full_at[tenant.id]
    assert picture.gen is not None
    assert world.now // 1000 + round(WINDOW * 1000) == picture.gen[1]
    await world.pass_time(WINDOW)
    for replica in replicas:
        await replica.admit(tenant)
    for replica in replicas:
        with pytest.raises(TenantBudget):
            await replica.admit(tenant)


async def test_open_holds_that_were_sent_are_held_in_the_new_books_too(
    world: LedgerWorld,
) -> None:
    one, two = await world.replica(), await world.replica()
    tenant = a_tenant(budget_milli=9_000, in_flight=3)
    await one.buy(tenant)
    await one.admit(tenant, 200)
    sent = await two.buy(tenant)
    await world.lose_all()
    await world.tell()
    picture = await world.picture()
    assert {"held": 2_000} == picture.spent(tenant.id)
    assert {"sent"} == set(picture.states().values())
    two.admission.settle(sent, Settlement.POSTED)
    await two.tell()
    assert {"held": 1_000, "posted": 1_000} == (await world.picture()).spent(tenant.id)


async def test_what_was_settled_while_the_books_were_away_counts_beside_what_they_had(
    world: LedgerWorld,
) -> None:
    replica, tenant = await world.replica(), a_tenant(budget_milli=9_000)
    await replica.spend(tenant, 2)
    hold = await replica.buy(tenant)
    await world.lose_all()
    replica.admission.settle(hold, Settlement.POSTED)
    await replica.tell()
    assert {"base": 2_000, "posted": 1_000} == (await world.picture()).spent(tenant.id)


async def test_nothing_is_admitted_before_the_others_could_write_back(world: LedgerWorld) -> None:
    poor, rich = await world.replica(), await world.replica()
    tenant = a_tenant(budget_milli=3_000)
    await rich.spend(tenant, 3)
    await world.lose_all()
    claim = asyncio.ensure_future(poor.admit(tenant))

    async def are_opened() -> bool:
        return (await world.picture()).gen is not None

    await until(are_opened)
    await world.pass_time(WINDOW - 0.001)
    await asyncio.wait([claim], timeout=0.3)
    assert not claim.done()
    assert {} == (await world.picture()).states()
    await rich.tell()
    await world.pass_time(0.001)
    with pytest.raises(TenantBudget):
        await claim


async def test_a_claim_does_not_wait_for_ever_for_books_that_do_not_open(
    world: LedgerWorld,
) -> None:
    replica = await world.replica(hasty=2.0)
    await world.ask("HSET", LEDGER_ROOT + "gen", "id", "g9", "open_at", world.now // 1000 + 100)
    with pytest.raises(StateUnavailable) as caught:
        await replica.admit(a_tenant())
    assert 1.0 == caught.value.retry_after
    await replica.tell()
    assert (await world.picture()).is_quiet


async def test_books_that_are_emptied_twice_begin_with_what_was_spent_before_the_first(
    world: LedgerWorld,
) -> None:
    """Though nobody called in between: what was written back is known, not forgotten."""
    replica = await world.replica()
    tenant = a_tenant(budget_milli=9_000, edits=Rate(3_600_000_000, 9))
    await replica.spend(tenant, 2)
    for _ in range(3):
        await world.lose_all()
        await replica.tell()
        picture = await world.picture()
        assert {"base": 2_000} == picture.spent(tenant.id)
        assert world.now + 2 * 3_600_000_000 == picture.full_at[tenant.id]


async def test_the_budgets_of_many_tenants_are_written_back_in_one_beat(
    world: LedgerWorld,
) -> None:
    """The window is over soon."""
    replica = await world.replica()
    tenants = [a_tenant(budget_milli=9_000) for _ in range(260)]
    for tenant in tenants:
        hold = await replica.admit(tenant)
        replica.admission.settle(hold, Settlement.POSTED)
    await replica.tell()
    await world.lose_all()
    await replica.tell()
    picture = await world.picture()
    assert [{"base": 1_000}] * 260 == [picture.spent(tenant.id) for tenant in tenants]


async def test_first_books_of_all_are_opened_and_admit_after_the_window(valkey: Server) -> None:
    async with LedgerWorld.at(valkey.url, is_open=False) as world:
        one, two = await world.replica(), await world.replica()
        await one.tell()
        await two.tell()
        await world.pass_time(WINDOW)
        tenant = a_tenant(budget_milli=1_000)
        await one.admit(tenant)
        with pytest.raises(TenantBudget):
            await two.admit(tenant)
        assert [0, 0] == [one.table.losses, two.table.losses]


async def test_no_budget_is_overspent_while_the_books_are_emptied_again_and_again(
    valkey: Server,
) -> None:
    """Replicas that buy as fast as they can: what they bill stays within the budget and in the books."""
    budget, places = 120_000, 12
    async with LedgerWorld.at(valkey.url) as world:
        replicas = [await world.replica(running=True, timed=False) for _ in range(3)]
        tenant = a_tenant(budget_milli=budget, in_flight=places)
        draw = random.Random(5)
        levels = [18_000, 42_000, 66_000]
        bill = 0

        async def attempt(replica: Replica, cost: int) -> None:
            nonlocal bill
            hold = await replica.admit(tenant, cost)
            settlement = Settlement.VOIDED
            with suppress(HoldLost):
                await replica.send(hold)
                await asyncio.sleep(draw.uniform(0, 0.02))
                settlement = draw.choice([Settlement.POSTED] * 3 + [Settlement.VOIDED])
            bill += cost if settlement is Settlement.POSTED else 0
            replica.admission.settle(hold, settlement)
            if levels and bill > levels[0]:
                del levels[0]
                await world.lose_all()

        async def buyer(number: int) -> None:
            refusals = 0
            while refusals < 10:
                try:
                    await attempt(replicas[number % 3], draw.choice([1_000, 200]))
                except (TenantBudget, TenantConcurrency, StateUnavailable) as error:
                    refusals += isinstance(error, TenantBudget)
                    await asyncio.sleep(0.02)

        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            for number in range(places):
                group.create_task(buyer(number))

        async def is_quiet() -> bool:
            untold = sum(replica.admission.untold for replica in replicas)
            return not untold and (await world.picture()).is_quiet

        await until(is_quiet)
        spent = sum((await world.picture()).spent(tenant.id).values())
        assert bill <= budget
        assert bill <= spent, "nothing that was billed is forgotten"
        assert budget - 1_000 < spent < budget + places * 1_000, "counted twice: what was under way"
