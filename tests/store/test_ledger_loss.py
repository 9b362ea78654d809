"""The ledger when Redis fails over to an older state, or is emptied: replicas notice, and tell again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from itertools import permutations
from typing import Any

import pytest

from gateway.domain.errors import PolicyError, StateUnavailable, TenantBudget
from gateway.domain.limits import Rate
from gateway.domain.tenant import Tenant
from gateway.ports import HoldLost, Settlement
from gateway.store.admission import WINDOW
from gateway.store.keyspace import LEDGER_ROOT
from tests.servers.process import Server
from tests.store.flight_tools import until
from tests.store.ledger_tools import LedgerWorld, Replica, a_claim, a_tenant

HISTORIES = [
    (saved_after, lost_after)
    for lost_after in ("send", "settle")
    for saved_after in ("nothing", "admit", "send")
]
"""What a replica of Redis has of a purchase, and how far that had come."""


@pytest.fixture
async def world(valkey: Server) -> AsyncIterator[LedgerWorld]:
    async with LedgerWorld.at(valkey.url) as made:
        yield made


async def go(replica: Replica, tenant: Tenant, settlement: Settlement) -> AsyncIterator[str]:
    """A purchase, step by step, each as far as Redis has heard it."""
    hold = await replica.admit(tenant)
    yield "admit"
    await replica.send(hold)
    yield "send"
    replica.admission.settle(hold, settlement)
    await replica.tell()
    yield "settle"


@pytest.mark.parametrize("settlement", Settlement)
@pytest.mark.parametrize(("saved_after", "lost_after"), HISTORIES)
async def test_what_a_failover_lost_is_told_again(
    world: LedgerWorld, saved_after: str, lost_after: str, settlement: Settlement
) -> None:
    """As far as the purchase had come. Another replica's calls in between do not hide the loss."""
    one, other = await world.replica(), await world.replica()
    tenant = a_tenant(budget_milli=9_000)
    for replica in (one, other):
        await replica.tell()
    saved = await world.save()
    async for step in go(one, tenant, settlement):
        if step == saved_after:
            saved = await world.save()
        if step == lost_after:
            break
    before = await world.picture()
    await world.go_back(saved)
    for _ in range(9):
        await other.tell()
        await other.admit(a_tenant())
    await one.tell()
    after = await world.picture()
    [hold_id] = [name for name, line in before.lines.items() if line.tenant == tenant.id]
    assert before.lines[hold_id].state == after.lines[hold_id].state
    assert before.spent(tenant.id) == after.spent(tenant.id)
    assert (saved_after != lost_after) == bool(one.table.losses)


async def test_a_failover_is_told_to_the_outbox_by_an_admission_too(world: LedgerWorld) -> None:
    """Whatever call notices it, the beat tells again at once."""
    replica, tenant = await world.replica(), a_tenant(budget_milli=9_000)
    await replica.tell()
    saved = await world.save()
    hold = await replica.buy(tenant)
    replica.admission.settle(hold, Settlement.POSTED)
    await replica.tell()
    await world.go_back(saved)
    await replica.admit(tenant)
    assert (1, 1) == (replica.admission.untold, replica.table.losses)
    assert replica.admission._teller._due.is_set()


async def test_a_hold_that_a_failover_lost_is_not_sent(world: LedgerWorld) -> None:
    replica, tenant = await world.replica(), a_tenant(budget_milli=9_000)
    await replica.tell()
    saved = await world.save()
    hold, lead = await replica.admit(tenant), await replica.lead()
    await world.go_back(saved)
    with pytest.raises(HoldLost):
        await replica.board.sent(lead, hold)
    assert {} == (await world.picture()).states()


async def test_what_was_resolved_long_ago_is_not_told_again(world: LedgerWorld) -> None:
    """No Redis is behind by a quarter of an hour, and nobody keeps everything."""
    replica, tenant = await world.replica(), a_tenant(budget_milli=9_000)
    await replica.tell()
    saved = await world.save()
    for wait in (0.0, 901.0):
        await world.pass_time(wait)
        hold = await replica.buy(tenant)
        replica.admission.settle(hold, Settlement.POSTED)
        await replica.tell()
    await world.go_back(saved)
    await replica.tell()
    assert {"posted": 1_000} == (await world.picture()).spent(tenant.id)


async def test_every_replica_notices_for_itself_and_nothing_is_counted_twice(
    world: LedgerWorld,
) -> None:
    replicas = [await world.replica() for _ in range(3)]
    tenant = a_tenant(budget_milli=90_000)
    for replica in replicas:
        await replica.tell()
    saved = await world.save()
    for replica in replicas:
        hold = await replica.buy(tenant)
        replica.admission.settle(hold, Settlement.POSTED)
        await replica.buy(tenant, 200)
        await replica.tell()
    before = await world.picture()
    await world.go_back(saved)
    await world.tell()
    assert before.spent(tenant.id) == (await world.picture()).spent(tenant.id)
    assert [1, 1, 1] == [replica.table.losses for replica in replicas]


async def spend(tenant: Tenant, count: int, replica: Replica) -> None:
    for _ in range(count):
        hold = await replica.buy(tenant)
        replica.admission.settle(hold, Settlement.POSTED)
    await replica.tell()


@pytest.mark.parametrize("order", [*permutations(range(3))])
async def test_emptied_books_begin_with_the_most_that_any_replica_knew(
    world: LedgerWorld, order: tuple[int, ...]
) -> None:
    replicas = [await world.replica() for _ in range(3)]
    tenant = a_tenant(budget_milli=9_000, edits=Rate(3_600_000_000, 9))
    for replica, count in zip(replicas, (1, 2, 3), strict=True):
        await spend(tenant, count, replica)
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
    await spend(tenant, 2, replica)
    hold = await replica.buy(tenant)
    await world.lose_all()
    replica.admission.settle(hold, Settlement.POSTED)
    await replica.tell()
    assert {"base": 2_000, "posted": 1_000} == (await world.picture()).spent(tenant.id)


async def test_nothing_is_admitted_before_the_others_could_write_back(world: LedgerWorld) -> None:
    poor, rich = await world.replica(), await world.replica()
    tenant = a_tenant(budget_milli=3_000)
    await spend(tenant, 3, rich)
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
    await spend(tenant, 2, replica)
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


async def held_back(replica: Replica, work: asyncio.Future[Any], told: asyncio.Event) -> None:
    """Wait until the server has carried the work out, and its answer is held back."""
    async with asyncio.timeout(10):
        while replica.link.gate is told:  # noqa: ASYNC110 - a link tells nobody of its faults
            await asyncio.sleep(0)
        await asyncio.wait([work], timeout=0.05)
    assert not work.done()


@pytest.mark.parametrize("loss", ["emptied", "failover"])
async def test_an_outcome_whose_answer_is_from_before_the_loss_is_told_again(
    world: LedgerWorld, loss: str
) -> None:
    replica, tenant = await world.replica(), a_tenant(budget_milli=9_000)
    hold = await replica.buy(tenant)
    saved = await world.save()
    replica.admission.settle(hold, Settlement.POSTED)
    replica.link.gate = gate = asyncio.Event()
    telling = asyncio.ensure_future(replica.tell())
    await held_back(replica, telling, gate)
    assert {"posted": 1_000} == (await world.picture()).spent(tenant.id)
    # One more call is answered: what was answered is lost, so the replica can notice it.
    await replica.admit(a_tenant())
    await (world.lose_all() if loss == "emptied" else world.go_back(saved))
    await replica.admission._teller.rebuild()
    assert 1 == replica.table.losses
    gate.set()
    await telling
    await replica.tell()
    assert {"posted": 1_000} == (await world.picture()).spent(tenant.id)
    assert 0 == replica.admission.untold


async def test_a_mark_whose_answer_is_from_before_the_loss_is_told_again(
    world: LedgerWorld,
) -> None:
    replica, tenant = await world.replica(), a_tenant(budget_milli=9_000)
    hold, lead = await replica.admit(tenant), await replica.lead()
    replica.link.gate = gate = asyncio.Event()
    marking = asyncio.ensure_future(replica.board.sent(lead, hold))
    await held_back(replica, marking, gate)
    await world.lose_all()
    await replica.tell()
    gate.set()
    assert await marking
    replica.admission.sent(hold)
    await replica.tell()
    assert {"held": 1_000} == (await world.picture()).spent(tenant.id)


async def test_what_was_written_into_books_that_are_gone_is_written_again(
    world: LedgerWorld,
) -> None:
    """The answer comes late, and another call has noticed by then that they are gone."""
    replica, other = await world.replica(), await world.replica()
    tenant, teller = a_tenant(budget_milli=9_000), replica.admission._teller
    notice = replica.admission._calls.settle([])
    await spend(tenant, 2, replica)
    await world.lose_all()
    await teller.run(notice)
    replica.link.gate = gate = asyncio.Event()
    writing = asyncio.ensure_future(teller.rebuild())
    await held_back(replica, writing, gate)
    await world.lose_all()
    await other.tell()
    await teller.run(notice)
    gate.set()
    await writing
    await replica.tell()
    assert {"base": 2_000} == (await world.picture()).spent(tenant.id)


async def test_the_newest_answer_says_what_is_spent_whatever_the_order(
    world: LedgerWorld,
) -> None:
    """An older one that comes late would be written back as too little."""
    replica, tenant = await world.replica(), a_tenant(budget_milli=9_000)
    replica.link.gate = gate = asyncio.Event()
    admitting = asyncio.ensure_future(replica.admit(tenant))
    await held_back(replica, admitting, gate)
    await spend(tenant, 2, replica)
    gate.set()
    await admitting
    await world.lose_all()
    await replica.tell()
    assert {"base": 2_000} == (await world.picture()).spent(tenant.id)


async def test_an_answer_from_before_the_loss_says_nothing_of_what_is_spent_after_it(
    world: LedgerWorld,
) -> None:
    """Its count is high, and would stand above those of the new books."""
    replica, tenant = await world.replica(), a_tenant(budget_milli=9_000)
    for _ in range(9):
        await replica.tell()
    replica.link.gate = gate = asyncio.Event()
    admitting = asyncio.ensure_future(replica.admission.admit(a_claim(tenant)))
    await held_back(replica, admitting, gate)
    await world.lose_all()
    await replica.tell()
    await world.pass_time(WINDOW)
    gate.set()
    await admitting
    await spend(tenant, 1, replica)
    await world.lose_all()
    await replica.tell()
    assert {"base": 1_000} == (await world.picture()).spent(tenant.id)


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
    async with LedgerWorld.at(valkey.url) as world:
        replicas = [await world.replica(running=True, timed=False) for _ in range(3)]
        tenant = a_tenant(budget_milli=120_000, in_flight=12)
        bill = 0
        draw = random.Random(5)

        async def attempt(replica: Replica, cost: int) -> None:
            nonlocal bill
            hold = await replica.admission.admit(a_claim(tenant, cost))
            try:
                await replica.send(hold)
            except HoldLost:
                replica.admission.settle(hold, Settlement.VOIDED)
                return
            await asyncio.sleep(draw.uniform(0, 0.02))
            settlement = draw.choice([Settlement.POSTED] * 3 + [Settlement.VOIDED])
            bill += cost if settlement is Settlement.POSTED else 0
            replica.admission.settle(hold, settlement)

        async def buyer(number: int) -> None:
            refusals = 0
            while refusals < 40:
                try:
                    await attempt(replicas[number % 3], draw.choice([1_000, 200]))
                except PolicyError:
                    refusals += 1
                    await asyncio.sleep(0.02)

        async def empties() -> None:
            for _ in range(3):
                await asyncio.sleep(0.15)
                await world.lose_all()

        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            group.create_task(empties())
            for number in range(12):
                group.create_task(buyer(number))

        async def is_quiet() -> bool:
            return (await world.picture()).is_quiet and not any(
                replica.admission.untold for replica in replicas
            )

        await until(is_quiet)
        spent = sum((await world.picture()).spent(tenant.id).values())
        assert bill <= spent <= 120_000
        assert 120_000 - 1_000 < spent, "the budget was used up"
