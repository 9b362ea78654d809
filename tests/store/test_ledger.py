"""The ledger in Redis: what replicas tell of their holds, and what it keeps."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest
from redis.crc import key_slot

from gateway.domain.limits import Rate
from gateway.ports import BoardUnavailable, Settlement
from gateway.store.keyspace import JOURNAL, LEDGER_ROOT, budget_key
from gateway.store.ledger_calls import HELD_MS
from gateway.store.link import RedisTrouble
from tests.servers.process import Server
from tests.store.ledger_picture import Note
from tests.store.ledger_tools import LedgerWorld, a_tenant

HELD = HELD_MS / 1000


@pytest.fixture
async def world(valkey: Server) -> AsyncIterator[LedgerWorld]:
    async with LedgerWorld.at(valkey.url) as made:
        yield made


async def test_these_are_all_names_and_they_lie_in_one_slot(world: LedgerWorld) -> None:
    """A rename, or another meaning, would let replicas of a rolling update overspend: it needs `pg2`."""
    replica = await world.replica()
    tenant = a_tenant("shop", edits=Rate(60_000_000, 9))
    hold = await replica.buy(tenant)
    await replica.tell()
    names = {LEDGER_ROOT + name for name in (await world.picture()).lives}
    flights = {name for name in names if name.startswith("pg1:{ctl}:flight:")}
    assert 1 == len(flights)
    assert {
        "pg1:{ctl}:gen",
        f"pg1:{{ctl}}:seq:{replica.name}",
        f"pg1:{{ctl}}:hold:{hold.id}",
        "pg1:{ctl}:holds",
        "pg1:{ctl}:slots:shop",
        "pg1:{ctl}:bucket:shop",
        budget_key("shop", hold.period.start),
        JOURNAL,
    } == names - flights
    assert 1 == len({key_slot(name.encode()) for name in names})
    assert f"pg1:{{ctl}}:budget:shop:{hold.period.start}" == budget_key("shop", hold.period.start)


async def test_what_was_sent_while_the_board_was_silent_is_told_by_the_beat(
    world: LedgerWorld,
) -> None:
    replica, tenant = await world.replica(), a_tenant(budget_milli=2_000)
    hold = await replica.admit(tenant)
    replica.admission.sent(hold)
    assert 1 == replica.admission.untold
    await replica.tell()
    assert ({hold.id: "sent"}, 0) == ((await world.picture()).states(), replica.admission.untold)
    await world.pass_time(HELD)
    await replica.tell()
    assert {hold.id: "sent"} == (await world.picture()).states(), "it does not lapse"


async def test_more_holds_than_one_call_tells_of_are_told_in_one_beat(world: LedgerWorld) -> None:
    replica, tenant = await world.replica(), a_tenant(budget_milli=10**9)
    holds = [await replica.admit(tenant) for _ in range(120)]
    for hold in holds:
        replica.admission.settle(hold, Settlement.POSTED)
    assert 120 == replica.admission.untold
    await replica.tell()
    assert (0, {"posted": 120_000}) == (
        replica.admission.untold,
        (await world.picture()).spent(tenant.id),
    )


async def test_the_journal_tells_what_happened_to_a_hold_once(world: LedgerWorld) -> None:
    replica, tenant = await world.replica(), a_tenant()
    hold = await replica.buy(tenant, 200)
    replica.admission.settle(hold, Settlement.POSTED)
    for _ in range(3):
        await replica.tell()
    what = (hold.id, tenant.id, hold.operation, 200, hold.period.start)
    assert [Note(state, *what) for state in ("held", "sent", "posted")] == (
        await world.picture()
    ).journal


async def test_what_redis_has_heard_wakes_no_beat(world: LedgerWorld) -> None:
    """Most purchases: the board has marked the hold, and only its outcome is left to tell."""
    replica = await world.replica()
    hold = await replica.buy(a_tenant())
    assert not replica.admission._teller._due.is_set()
    replica.admission.settle(hold, Settlement.POSTED)
    assert replica.admission._teller._due.is_set()
    await replica.tell()
    assert not replica.admission._teller._due.is_set()


async def test_what_is_left_is_told_at_the_end(valkey: Server) -> None:
    async with LedgerWorld.at(valkey.url) as world:
        tenant = a_tenant(budget_milli=5_000)
        replica = await world.replica()
        async with replica.admission.running():
            hold = await replica.buy(tenant)
            replica.admission.settle(hold, Settlement.POSTED)
        assert {"posted": 1_000} == (await world.picture()).spent(tenant.id)


async def test_what_redis_was_never_told_is_said_in_the_log(
    world: LedgerWorld, caplog: pytest.LogCaptureFixture
) -> None:
    replica = await world.replica()
    async with replica.admission.running():
        hold = await replica.buy(a_tenant())
        replica.link.cut = True
        replica.admission.settle(hold, Settlement.POSTED)
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert ["Redis was not told of holds"] == [record.getMessage() for record in errors]
    assert [1] == [record.__dict__["holds"] for record in errors]


async def test_a_new_replica_finds_what_the_others_have_spent(world: LedgerWorld) -> None:
    one, two = await world.replica(), await world.replica()
    tenant = a_tenant(budget_milli=5_000)
    hold = await one.buy(tenant)
    one.admission.settle(hold, Settlement.PRESUMED)
    await one.tell()
    await one.admit(tenant, 200)
    assert 1_200 == (await two.admission.balance(tenant) or pytest.fail("it has one")).spent_milli


async def test_a_balance_that_cannot_be_read_is_not_told(world: LedgerWorld) -> None:
    replica, tenant = await world.replica(), a_tenant(budget_milli=5_000)
    await replica.admit(tenant)
    replica.link.cut = True
    assert 1_000 == (await replica.admission.balance(tenant) or pytest.fail("fresh")).spent_milli
    await world.pass_time(1.0)
    assert None is await replica.admission.balance(tenant)


async def test_a_claim_whose_first_answers_are_lost_takes_one_place(world: LedgerWorld) -> None:
    replica = await world.replica()
    tenant = a_tenant(in_flight=2, budget_milli=2_000, edits=Rate(3_600_000_000, 2))
    replica.link.lose = 2
    await replica.admit(tenant)
    assert {"held": 1_000} == (await world.picture()).spent(tenant.id)
    await replica.admit(tenant)


async def test_a_mark_whose_first_answers_are_lost_is_one_mark(world: LedgerWorld) -> None:
    replica, tenant = await world.replica(), a_tenant(budget_milli=2_000)
    hold, lead = await replica.admit(tenant), await replica.lead()
    replica.link.lose = 1
    with pytest.raises(BoardUnavailable):
        await replica.board.sent(lead, hold)
    assert await replica.board.sent(lead, hold)
    picture = await world.picture()
    assert ({hold.id: "sent"}, ["held", "sent"]) == (
        picture.states(),
        [note.state for note in picture.journal],
    )


async def test_an_outcome_whose_answer_is_lost_is_told_again_and_counts_once(
    world: LedgerWorld,
) -> None:
    replica, tenant = await world.replica(), a_tenant(budget_milli=2_000)
    hold = await replica.buy(tenant)
    replica.admission.settle(hold, Settlement.POSTED)
    replica.link.lose = 1
    with pytest.raises(RedisTrouble):
        await replica.tell()
    assert 1 == replica.admission.untold
    await replica.tell()
    assert (0, {"posted": 1_000}) == (
        replica.admission.untold,
        (await world.picture()).spent(tenant.id),
    )
