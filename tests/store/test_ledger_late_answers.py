"""Answers that come late: of what was lost since, or was said better by another."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.ports import Settlement
from gateway.store.admission import WINDOW
from tests.servers.process import Server
from tests.store.ledger_tools import LedgerWorld, a_tenant


@pytest.fixture
async def world(valkey: Server) -> AsyncIterator[LedgerWorld]:
    async with LedgerWorld.at(valkey.url) as made:
        yield made


@pytest.mark.parametrize("loss", ["emptied", "failover"])
async def test_an_outcome_whose_answer_is_from_before_the_loss_is_told_again(
    world: LedgerWorld, loss: str
) -> None:
    replica, tenant = await world.replica(), a_tenant(budget_milli=9_000)
    hold = await replica.buy(tenant)
    saved = await world.save()
    replica.admission.settle(hold, Settlement.POSTED)
    gate, telling = await replica.held_back(replica.tell())
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
    gate, marking = await replica.held_back(replica.board.sent(lead, hold))
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
    await replica.spend(tenant, 2)
    await world.lose_all()
    await teller.run(notice)
    gate, writing = await replica.held_back(teller.rebuild())
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
    gate, admitting = await replica.held_back(replica.admit(tenant))
    await replica.spend(tenant, 2)
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
    gate, admitting = await replica.held_back(replica.admit(tenant))
    await world.lose_all()
    await replica.tell()
    await world.pass_time(WINDOW)
    gate.set()
    await admitting
    await replica.spend(tenant, 1)
    await world.lose_all()
    await replica.tell()
    assert {"base": 1_000} == (await world.picture()).spent(tenant.id)
