"""Holds that nobody waits for any more: they lapse or are presumed spent, and an outcome may still come."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.domain.errors import TenantConcurrency
from gateway.domain.limits import Rate
from gateway.ports import HoldLost, Settlement
from gateway.store.ledger_calls import HELD_MS
from tests.servers.process import Server
from tests.store.flight_tools import until
from tests.store.ledger_tools import LedgerWorld, a_tenant

HELD = HELD_MS / 1000
SECONDS = 60.0
HOUR_MS = 3_600_000
WEEKS_MS = 8 * 7 * 24 * HOUR_MS


@pytest.fixture
async def world(valkey: Server) -> AsyncIterator[LedgerWorld]:
    async with LedgerWorld.at(valkey.url) as made:
        yield made


async def test_a_hold_that_is_not_sent_lapses_and_gives_everything_but_the_token_back(
    world: LedgerWorld,
) -> None:
    dead, replica = await world.replica(), await world.replica()
    tenant = a_tenant(in_flight=1, budget_milli=1_000, edits=Rate(3_600_000_000, 2))
    hold = await dead.admit(tenant)
    await world.pass_time(HELD - 0.001)
    await replica.tell()
    with pytest.raises(TenantConcurrency):
        await replica.admit(a_tenant(tenant.id, in_flight=1))
    await world.pass_time(0.001)
    await replica.tell()
    picture = await world.picture()
    assert ({hold.id: "lapsed"}, True) == (picture.states(), picture.is_quiet)
    await replica.admit(tenant)
    assert 0 == (replica.admission.state(tenant) or pytest.fail("there is a rate")).left


async def test_an_admission_sweeps_too(world: LedgerWorld) -> None:
    """Places return even if no replica beats just then."""
    dead, replica = await world.replica(), await world.replica()
    tenant = a_tenant(in_flight=1, budget_milli=1_000)
    await dead.admit(tenant)
    await world.pass_time(HELD)
    await replica.admit(tenant)


async def test_a_hold_that_was_sent_is_waited_for_as_long_as_its_call_may_take(
    world: LedgerWorld,
) -> None:
    dead, replica = await world.replica(), await world.replica()
    tenant = a_tenant(in_flight=1, budget_milli=2_000)
    hold = await dead.buy(tenant, seconds=SECONDS)
    await world.pass_time(SECONDS + HELD - 0.001)
    await replica.tell()
    assert {hold.id: "sent"} == (await world.picture()).states()
    await world.pass_time(0.001)
    await replica.tell()
    picture = await world.picture()
    assert ({hold.id: "presumed"}, {"presumed": 1_000}) == (
        picture.states(),
        picture.spent(tenant.id),
    )
    assert picture.is_quiet
    await replica.admit(tenant)


@pytest.mark.parametrize("settlement", Settlement)
async def test_an_outcome_that_comes_after_the_sweep_counts(
    world: LedgerWorld, settlement: Settlement
) -> None:
    """Of a replica that stalled: it was taken for dead."""
    stalled, replica = await world.replica(), await world.replica()
    tenant = a_tenant(in_flight=1, budget_milli=2_000)
    hold = await stalled.buy(tenant)
    await world.pass_time(1_000)
    await replica.tell()
    assert {"presumed": 1_000} == (await world.picture()).spent(tenant.id)
    stalled.admission.settle(hold, settlement)
    await stalled.tell()
    picture = await world.picture()
    spent = {"posted": {"posted": 1_000}, "voided": {}, "presumed": {"presumed": 1_000}}
    assert (settlement.value, spent[settlement.value]) == (
        picture.lines[hold.id].state,
        picture.spent(tenant.id),
    )
    assert picture.is_quiet


@pytest.mark.parametrize("settlement", Settlement)
async def test_a_call_whose_hold_lapsed_unheard_counts_as_its_outcome_says(
    world: LedgerWorld, settlement: Settlement
) -> None:
    """The board was silent when it was sent; so was the ledger, until it was over."""
    stalled, replica = await world.replica(), await world.replica()
    tenant = a_tenant(in_flight=1, budget_milli=2_000)
    hold = await stalled.admit(tenant)
    stalled.admission.sent(hold)
    await world.pass_time(HELD)
    await replica.tell()
    assert {hold.id: "lapsed"} == (await world.picture()).states()
    stalled.admission.settle(hold, settlement)
    await stalled.tell()
    spent = {"posted": {"posted": 1_000}, "voided": {}, "presumed": {"presumed": 1_000}}
    assert spent[settlement.value] == (await world.picture()).spent(tenant.id)


async def test_a_hold_that_has_lapsed_is_not_sent(world: LedgerWorld) -> None:
    replica, tenant = await world.replica(), a_tenant(budget_milli=1_000)
    hold, lead = await replica.admit(tenant), await replica.lead()
    await world.pass_time(HELD)
    await replica.tell()
    with pytest.raises(HoldLost):
        await replica.board.sent(lead, hold)
    assert {hold.id: "lapsed"} == (await world.picture()).states()
    again = await replica.admit(tenant)
    assert await replica.board.sent(lead, again), "the same lead goes on with another hold"


async def test_a_hold_that_nobody_swept_yet_is_sent(world: LedgerWorld) -> None:
    """Its place was kept for it."""
    replica, tenant = await world.replica(), a_tenant(in_flight=1)
    hold, lead = await replica.admit(tenant), await replica.lead()
    await world.pass_time(HELD)
    assert await replica.board.sent(lead, hold)
    with pytest.raises(TenantConcurrency):
        await replica.admit(tenant)


async def test_a_place_is_not_given_twice_while_many_holds_wait_to_be_swept(
    world: LedgerWorld,
) -> None:
    """An admission sweeps some of them. The others still have their places, and may still be sent."""
    replica, tenant = await world.replica(), a_tenant(in_flight=1)
    for _ in range(20):
        await replica.admit(a_tenant())
    await world.pass_time(0.001)
    hold, lead = await replica.admit(tenant), await replica.lead()
    await world.pass_time(HELD)
    with pytest.raises(TenantConcurrency):
        await replica.admit(tenant)
    assert await replica.board.sent(lead, hold)


async def test_a_dead_replica_s_places_and_credits_return_by_themselves(valkey: Server) -> None:
    async with LedgerWorld.at(valkey.url) as world:
        tenant = a_tenant(in_flight=2, budget_milli=3_000)
        dead = await world.replica()
        await dead.admit(tenant)
        await dead.buy(tenant)
        await world.replica(running=True)
        await world.pass_time(SECONDS + HELD)

        async def is_quiet() -> bool:
            return (await world.picture()).is_quiet

        await until(is_quiet)
        assert {"presumed": 1_000} == (await world.picture()).spent(tenant.id)


@pytest.mark.parametrize(
    ("state", "shortest", "longest"),
    [
        ("held", WEEKS_MS, 2 * WEEKS_MS),
        ("sent", WEEKS_MS, 2 * WEEKS_MS),
        ("presumed", WEEKS_MS, 2 * WEEKS_MS),
        ("posted", HOUR_MS - 60_000, HOUR_MS),
        ("voided", HOUR_MS - 60_000, HOUR_MS),
    ],
)
async def test_a_hold_is_known_as_long_as_something_may_still_come_of_it(
    world: LedgerWorld, state: str, shortest: int, longest: int
) -> None:
    """Nobody sweeps while all replicas are down: what was sent must not be forgotten, nor held for ever."""
    replica = await world.replica()
    hold = await replica.admit(a_tenant())
    if state != "held":
        await replica.send(hold)
    if state in set(Settlement):
        replica.admission.settle(hold, Settlement(state))
    await replica.tell()
    assert shortest < (await world.picture()).lives[f"hold:{hold.id}"] <= longest
