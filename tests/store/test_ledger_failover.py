"""The ledger when Redis fails over to an older state: each replica notices, and tells again."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.domain.tenant import Tenant
from gateway.ports import HoldLost, Settlement
from gateway.store.link import RedisTrouble
from tests.servers.process import Server
from tests.store.ledger_tools import LedgerWorld, Replica, a_tenant

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


@pytest.mark.parametrize("lost", [1, 2])
async def test_a_loss_shows_though_the_first_answers_after_it_are_lost_too(
    world: LedgerWorld, lost: int
) -> None:
    replica, tenant = await world.replica(), a_tenant(budget_milli=9_000)
    hold = await replica.buy(tenant)
    await replica.tell()
    saved = await world.save()
    replica.admission.settle(hold, Settlement.POSTED)
    await replica.tell()
    await world.go_back(saved)
    for _ in range(lost):
        replica.link.lose = 1
        with pytest.raises(RedisTrouble):
            await replica.tell()
    await replica.tell()

    assert {"posted": 1000} == (await world.picture()).spent(tenant.id)


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
