"""Whoever leaves while it is admitted, at whatever moment, leaves nothing held behind."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import NoReturn

import pytest

from gateway.domain.retries import RetryBudget
from gateway.flights import Boarding
from gateway.ports import Hold, Lead, Purchase
from gateway.purchasing.payment import Boarded, Payment
from tests.servers.process import Server
from tests.store.flight_tools import until
from tests.store.ledger_tools import LedgerWorld, Replica, a_claim, a_tenant
from tests.support.cancelling import CancelAt, cancelled_at
from tests.upstream.purchases import by_bytes


class Nobody:
    """An upstream, and its account, that nobody asks."""

    async def buy(self, purchase: Purchase, key: str) -> NoReturn:
        raise AssertionError(purchase, key)

    async def is_forbidden(self, key: str) -> NoReturn:
        raise AssertionError(key)


@pytest.fixture(params=["valkey", "debian_redis"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[LedgerWorld]:
    server: Server = request.getfixturevalue(request.param)
    async with LedgerWorld.at(server.url) as made:
        yield made


async def is_left_quiet(world: LedgerWorld, replica: Replica) -> None:
    """After a beat nothing is held. A connection that was given up may still be at work for a moment."""
    await replica.tell()
    assert 0 == replica.admission.untold

    async def is_quiet() -> bool:
        return (await world.picture()).is_quiet

    await until(is_quiet)


async def test_a_claim_that_is_cancelled_at_any_moment_holds_nothing(world: LedgerWorld) -> None:
    replica = await world.replica()
    tenant = a_tenant(in_flight=1, budget_milli=1_000)
    cancelled = set()
    for number in itertools.count(1):
        when = CancelAt(number)
        call = asyncio.ensure_future(cancelled_at(when, replica.admission.admit(a_claim(tenant))))
        await asyncio.wait([call])
        cancelled.add(call.cancelled())
        if not when.reached:
            assert isinstance(call.result(), Hold)
            break
        assert call.cancelled()
        await is_left_quiet(world, replica)
    assert {True, False} == cancelled


async def test_a_claim_that_is_cancelled_while_redis_is_away_holds_nothing(
    world: LedgerWorld,
) -> None:
    replica = await world.replica(hasty=0.3)
    tenant = a_tenant(in_flight=1, emergency_milli=10**6)
    for number in itertools.count(1):
        replica.link.lose = 2
        when = CancelAt(number)
        call = asyncio.ensure_future(cancelled_at(when, replica.admission.admit(a_claim(tenant))))
        await asyncio.wait([call])
        replica.link.lose = 0
        if not when.reached:
            break
        await is_left_quiet(world, replica)
    assert number > 4


async def test_a_purchase_that_is_cancelled_while_it_boards_holds_nothing(
    world: LedgerWorld,
) -> None:
    """Neither before the mark, nor when the mark was made and its answer not heard."""
    replica, nobody = await world.replica(), Nobody()
    payment = Payment(replica.admission, nobody, nobody, RetryBudget())
    tenant, purchase = a_tenant(in_flight=1, budget_milli=1_000), by_bytes()
    seen = set()
    for number in itertools.count(1):
        lead = await replica.lead()

        async def mark(hold: Hold, lead: Lead = lead) -> None:
            assert await replica.board.sent(lead, hold)

        when = CancelAt(number)
        work = payment.board(tenant, purchase, 60.0, Boarding(mark))
        call = asyncio.ensure_future(cancelled_at(when, work))
        await asyncio.wait([call])
        if not when.reached:
            assert isinstance(call.result(), Boarded)
            picture = await world.picture()
            assert ({"held": 1_000}, "sent") == (
                picture.spent(tenant.id),
                picture.lines[call.result().hold.id].state,
            )
            break
        assert call.cancelled()
        seen |= {note.state for note in (await world.picture()).journal}
        await is_left_quiet(world, replica)
    assert {"held", "sent", "voided"} <= seen, "it was cancelled at each stage"


async def test_a_hold_that_lapsed_while_it_boarded_is_replaced_once(world: LedgerWorld) -> None:
    replica, nobody = await world.replica(), Nobody()
    payment = Payment(replica.admission, nobody, nobody, RetryBudget())
    tenant, lead = a_tenant(in_flight=1, budget_milli=1_000), await replica.lead()
    stalls = [10.0, 0.0]
    boarded: list[Hold] = []

    async def mark(hold: Hold) -> None:
        boarded.append(hold)
        await world.pass_time(stalls[len(boarded) - 1])
        await replica.tell()
        assert await replica.board.sent(lead, hold)

    hold = (await payment.board(tenant, by_bytes(), 60.0, Boarding(mark))).hold
    assert [hold] == boarded[1:]
    await replica.tell()
    picture = await world.picture()
    assert {boarded[0].id: "voided", hold.id: "sent"} == picture.states()
    assert {"held": 1_000} == picture.spent(tenant.id)
