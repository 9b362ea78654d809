"""What a replica grants by itself while the state Redis is away, and what it says when it is back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.domain.errors import RequestCost, StateUnavailable, TenantBudget
from gateway.domain.limits import TRUSTED_PART, Rate
from gateway.domain.tenant import Tenant
from gateway.ports import BoardUnavailable, Hold, Settlement
from tests.servers.fixtures import StartServer
from tests.servers.process import Server
from tests.store.flight_tools import until
from tests.store.ledger_tools import LedgerWorld, Replica, a_claim, a_tenant

PLENTY = 10**9


@pytest.fixture
async def world(valkey: Server) -> AsyncIterator[LedgerWorld]:
    async with LedgerWorld.at(valkey.url) as made:
        yield made


async def granted(replica: Replica, tenant: Tenant, count: int, cost: int = 1_000) -> list[Hold]:
    """So many claims at once: those that are granted. The others are refused for our ignorance."""
    answers = await asyncio.gather(
        *(replica.admission.admit(a_claim(tenant, cost)) for _ in range(count)),
        return_exceptions=True,
    )
    for answer in answers:
        assert isinstance(answer, Hold | StateUnavailable), answer
    return [answer for answer in answers if isinstance(answer, Hold)]


async def test_a_strict_tenant_is_refused_and_nothing_is_held_for_it(world: LedgerWorld) -> None:
    replica = await world.replica(hasty=0.3)
    tenant = a_tenant(strict=True, emergency_milli=PLENTY, in_flight=1)
    replica.link.lose = PLENTY
    with pytest.raises(StateUnavailable) as caught:
        await replica.admit(tenant)
    assert 1.0 == caught.value.retry_after
    assert {"held"} == {line.state for line in (await world.picture()).lines.values()}, "it was"
    replica.link.lose = 0
    await replica.tell()
    assert (await world.picture()).is_quiet
    assert 0 == replica.admission.trusted


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        pytest.param({}, 60, id="no limits"),
        pytest.param({"edits": Rate(3_600_000_000, 20)}, 8, id="a rate"),
        pytest.param({"edits": Rate(3_600_000_000, 1)}, 1, id="a token at least"),
        pytest.param({"in_flight": 20}, 8, id="places"),
        pytest.param({"in_flight": 1}, 1, id="a place at least"),
        pytest.param({"budget_milli": 1_000_000, "emergency_milli": 20_000}, 8, id="the allowance"),
        pytest.param({"emergency_milli": 2_000}, 0, id="an allowance below one credit a replica"),
        pytest.param({"emergency_milli": 0}, 0, id="no allowance"),
    ],
)
async def test_each_replica_grants_its_share_of_every_limit(
    world: LedgerWorld, limits: dict[str, Any], expected: int
) -> None:
    """Two replicas: 40 % each."""
    world.living = 2
    assert 0.8 == TRUSTED_PART
    replica = await world.replica(hasty=0.3)
    replica.link.cut = True
    tenant = a_tenant(**({"emergency_milli": PLENTY} | limits))
    assert expected == len(await granted(replica, tenant, 60))
    assert expected == replica.admission.trusted


async def test_no_more_is_granted_than_the_budget_had_left_when_it_was_last_seen(
    world: LedgerWorld,
) -> None:
    replica = await world.replica(hasty=0.3)
    tenant = a_tenant(budget_milli=10_000, emergency_milli=PLENTY)
    hold = await replica.buy(tenant, 5_000)
    replica.admission.settle(hold, Settlement.POSTED)
    await replica.tell()
    await replica.admit(tenant, 0)
    replica.link.cut = True
    assert 4 == len(await granted(replica, tenant, 20)), "0.8 of what was left"


async def test_what_is_refused_whatever_redis_says_is_refused_as_ever(world: LedgerWorld) -> None:
    replica = await world.replica(hasty=0.3)
    replica.link.cut = True
    with pytest.raises(RequestCost):
        await replica.admit(a_tenant(cost_milli=500, emergency_milli=PLENTY))


async def test_what_is_free_needs_no_allowance(world: LedgerWorld) -> None:
    replica = await world.replica(hasty=0.3)
    replica.link.cut = True
    assert 3 == len(await granted(replica, a_tenant(emergency_milli=0), 3, cost=0))


@pytest.mark.parametrize("settlement", Settlement)
async def test_what_was_bought_on_trust_is_told_when_redis_is_back(
    world: LedgerWorld, settlement: Settlement
) -> None:
    replica = await world.replica(hasty=0.3)
    tenant = a_tenant(budget_milli=PLENTY, emergency_milli=PLENTY, in_flight=1)
    replica.link.cut = True
    hold = await replica.admit(tenant)
    assert hold.trusted
    replica.admission.sent(hold)
    replica.link.cut = False
    await replica.tell()
    assert {"held": 1_000} == (await world.picture()).spent(tenant.id), "it is under way"
    replica.link.cut = True
    replica.admission.settle(hold, settlement)
    assert 1 == replica.admission.untold
    replica.link.cut = False
    await replica.tell()
    picture = await world.picture()
    spent = {"posted": {"posted": 1_000}, "voided": {}, "presumed": {"presumed": 1_000}}
    assert spent[settlement.value] == picture.spent(tenant.id)
    assert picture.is_quiet


async def test_what_was_spent_on_trust_is_refused_for_when_redis_is_back(
    world: LedgerWorld,
) -> None:
    replica = await world.replica(hasty=0.3)
    tenant = a_tenant(budget_milli=4_500, emergency_milli=PLENTY)
    await replica.admit(tenant, 0)
    replica.link.cut = True
    for hold in await granted(replica, tenant, 9):
        replica.admission.settle(hold, Settlement.POSTED)
    replica.link.cut = False
    await replica.tell()
    assert {"posted": 3_000} == (await world.picture()).spent(tenant.id)
    await replica.admit(tenant)
    with pytest.raises(TenantBudget):
        await replica.admit(tenant)


async def test_a_claim_that_redis_granted_unheard_and_the_replica_on_trust_is_one_hold(
    world: LedgerWorld,
) -> None:
    replica = await world.replica(hasty=0.3)
    tenant = a_tenant(budget_milli=PLENTY, emergency_milli=PLENTY)
    replica.link.lose = PLENTY
    hold = await replica.admit(tenant)
    assert hold.trusted
    assert {"held": 1_000} == (await world.picture()).spent(tenant.id)
    replica.link.lose = 0
    await replica.send(hold)
    replica.admission.settle(hold, Settlement.POSTED)
    await replica.tell()
    assert {"posted": 1_000} == (await world.picture()).spent(tenant.id)


@pytest.mark.parametrize("lapsed", [False, True])
async def test_a_hold_on_trust_is_marked_though_redis_does_not_know_it(
    world: LedgerWorld,
    lapsed: bool,  # noqa: FBT001 - pytest calls it
) -> None:
    """Redis is back between the grant and the mark; `lapsed`: it had heard the claim and given it up."""
    replica = await world.replica(hasty=0.3)
    tenant = a_tenant(budget_milli=PLENTY, emergency_milli=PLENTY)
    lead = await replica.lead()
    if lapsed:
        replica.link.lose = PLENTY
    else:
        replica.link.cut = True
    hold = await replica.admit(tenant)
    replica.link.cut, replica.link.lose = False, 0
    if lapsed:
        await world.pass_time(10.0)
        await replica.tell()
        assert {hold.id: "lapsed"} == (await world.picture()).states()
    assert await replica.board.sent(lead, hold)
    picture = await world.picture()
    assert ({hold.id: "sent"}, {"held": 1_000}) == (picture.states(), picture.spent(tenant.id))


async def test_a_hold_on_trust_that_was_not_used_costs_nothing(world: LedgerWorld) -> None:
    replica = await world.replica(hasty=0.3)
    tenant = a_tenant(budget_milli=PLENTY, emergency_milli=1_250, in_flight=9)
    replica.link.cut = True
    for _ in range(5):
        [hold] = await granted(replica, tenant, 2)
        replica.admission.settle(hold, Settlement.VOIDED)
    replica.link.cut = False
    await replica.tell()
    picture = await world.picture()
    assert ({}, True) == (picture.spent(tenant.id), picture.is_quiet)


async def test_the_allowance_is_for_one_outage(world: LedgerWorld) -> None:
    """It is spent for good in an outage, and there again in the next: what was spent has been told."""
    replica = await world.replica(hasty=0.3)
    tenant = a_tenant(emergency_milli=2_500, budget_milli=PLENTY)
    for outage in (1, 2):
        replica.link.cut = True
        for hold in await granted(replica, tenant, 5):
            replica.admission.settle(hold, Settlement.POSTED)
        assert [] == await granted(replica, tenant, 5)
        replica.link.cut = False
        await replica.tell()
        spent = (await world.picture()).spent(tenant.id)
        assert {"posted": outage * 2_000} == spent


async def test_a_short_trouble_is_waited_out(world: LedgerWorld) -> None:
    replica = await world.replica()
    replica.link.lose = 3
    assert not (await replica.admit(a_tenant(strict=True))).trusted


async def test_a_replica_that_loses_answers_while_others_are_heard_grants_nothing_on_trust(
    world: LedgerWorld,
) -> None:
    """It has more calls than it can carry: Redis goes on granting, and this would come on top."""
    replica = await world.replica(hasty=2.0)
    claim = a_claim(a_tenant(emergency_milli=PLENTY))
    replica.link.unheard = claim.id
    claiming = asyncio.ensure_future(replica.admission.admit(claim))
    while not claiming.done():
        await replica.admission.balance(a_tenant(budget_milli=1))
        await asyncio.sleep(0.01)
    with pytest.raises(StateUnavailable):
        await claiming
    assert 0 == replica.admission.trusted
    replica.link.unheard = ""
    await replica.tell()
    assert (await world.picture()).is_quiet


async def test_an_outage_is_over_when_redis_answers_again(start_server: StartServer) -> None:
    """A server that is killed and started anew: empty, since it kept nothing on disk."""
    server = start_server()
    async with LedgerWorld.at(server.url, is_open=False) as world:
        replica = await world.replica(running=True, timed=False)
        tenant = a_tenant(budget_milli=9_000, emergency_milli=PLENTY)
        hold = await replica.buy(tenant)
        replica.admission.settle(hold, Settlement.POSTED)
        await replica.tell()
        server.kill()
        trusted = await replica.admit(tenant)
        assert trusted.trusted
        with pytest.raises(BoardUnavailable):
            await replica.lead()
        replica.admission.sent(trusted)
        replica.admission.settle(trusted, Settlement.POSTED)
        server.start()

        async def is_served_again() -> bool:
            again = await replica.admit(tenant)
            replica.admission.settle(again, Settlement.VOIDED)
            return not again.trusted

        await until(is_served_again)
        await replica.tell()
        spent = (await world.picture()).spent(tenant.id)
        assert {"base": 1_000, "posted": 1_000} == spent
