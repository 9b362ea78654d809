"""Equal calls in flight become one, and what becomes of those who wait."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from gateway.domain.edit import Operation
from gateway.domain.errors import (
    GatewayError,
    OutcomeUnknown,
    PolicyError,
    ShuttingDown,
    TenantBudget,
    UpstreamBadAnswer,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamUnavailable,
    UpstreamUnreachable,
)
from gateway.domain.periods import Period
from gateway.flights import Boarding, Flights, Landed
from gateway.ports import Hold
from tests.flights.boards import SharedBoard

HOLD = Hold("a", "catalog", Operation.EDIT, 1000, 2.0, Period(0, 1))


@dataclass
class Trip:
    """A trip that waits at two gates, before and after it is sent, and then ends as it is told."""

    stored: dict[str, str] = field(default_factory=dict)
    error: Exception | None = None
    can_store: bool = True
    before: asyncio.Event = field(default_factory=asyncio.Event)
    after: asyncio.Event = field(default_factory=asyncio.Event)
    started: asyncio.Event = field(default_factory=asyncio.Event)
    sent: asyncio.Event = field(default_factory=asyncio.Event)
    purchases: int = 0
    timeout: float = 2.0
    tenant: str = "catalog"

    async def look(self, *, landed: bool) -> str | None:
        del landed
        await asyncio.sleep(0)
        return self.stored.get("result")

    async def lead(self, boarding: Boarding) -> Landed[str]:
        self.started.set()
        await self.before.wait()
        await boarding.sent(HOLD)
        self.sent.set()
        self.purchases += 1
        await self.after.wait()
        if self.error is not None:
            raise self.error
        if self.can_store:
            self.stored["result"] = "bought"
        return Landed("bought", self.can_store)

    def meets(self, error: GatewayError) -> bool:
        return isinstance(error, PolicyError) and error.tenant == self.tenant

    def open(self) -> Trip:
        self.before.set()
        self.after.set()
        return self


async def settled(flights: Flights) -> None:
    assert 0 == await flights.drain(5)


async def test_many_callers_of_one_flight_buy_once() -> None:
    flights, trip = Flights(SharedBoard()), Trip()
    calls = [asyncio.create_task(flights.fly("f", trip)) for _ in range(100)]
    await trip.started.wait()
    trip.open()
    results = await asyncio.gather(*calls)
    assert 1 == trip.purchases
    assert {"bought"} == {value for value, _ in results}
    assert 1 == sum(took_off for _, took_off in results)
    await settled(flights)


async def test_flights_of_other_names_are_their_own() -> None:
    flights, trip = Flights(SharedBoard()), Trip(can_store=False).open()
    await asyncio.gather(*(flights.fly(f"f{n}", trip) for n in range(5)))
    assert 5 == trip.purchases


@pytest.mark.parametrize(
    "kind", [UpstreamRefused, UpstreamFailed, OutcomeUnknown, UpstreamBadAnswer]
)
async def test_an_outcome_of_the_request_is_shared_and_each_caller_gets_an_error_of_its_own(
    kind: type[GatewayError],
) -> None:
    flights, trip = Flights(SharedBoard()), Trip(error=kind("what it said", retry_after=3.0))
    calls = [asyncio.create_task(flights.fly("f", trip)) for _ in range(3)]
    await trip.started.wait()
    trip.open()
    errors = await asyncio.gather(*calls, return_exceptions=True)
    assert 1 == trip.purchases
    assert [(kind, "what it said", 3.0)] * 3 == [
        (type(e), e.message, e.retry_after) for e in errors if isinstance(e, GatewayError)
    ]
    assert 3 == len({id(e) for e in errors})


async def test_a_limit_of_the_leader_s_tenant_refuses_its_own_calls_and_no_other_s() -> None:
    spent = TenantBudget("spent", tenant="catalog", limit="monthly_images", retry_after=9.0)
    flights, leader = Flights(SharedBoard()), Trip(error=spent)
    own, other = Trip(), Trip(tenant="web")
    calls = [asyncio.create_task(flights.fly("f", trip)) for trip in (leader, own, other)]
    await leader.started.wait()
    other.open()
    leader.open()
    first, second, third = await asyncio.gather(*calls, return_exceptions=True)

    assert isinstance(first, TenantBudget)
    assert isinstance(second, TenantBudget)
    assert first is not second
    assert (9.0, "monthly_images") == (second.retry_after, second.limit)
    assert ("bought", True) == third
    assert (0, 1) == (own.purchases, other.purchases)


@pytest.mark.parametrize("kind", [UpstreamUnavailable, UpstreamUnreachable])
async def test_trouble_of_the_leader_is_its_own_and_the_others_try_themselves(
    kind: type[GatewayError],
) -> None:
    flights, trip = Flights(SharedBoard()), Trip(error=kind("no"))
    calls = [asyncio.create_task(flights.fly("f", trip)) for _ in range(3)]
    await trip.started.wait()
    trip.open()
    errors = await asyncio.gather(*calls, return_exceptions=True)
    assert [kind] * 3 == [type(e) for e in errors]
    assert 3 == trip.purchases
    await settled(flights)


async def test_a_caller_who_leaves_takes_nothing_from_the_others() -> None:
    flights, trip = Flights(SharedBoard()), Trip()
    leaves, stays = (asyncio.create_task(flights.fly("f", trip)) for _ in range(2))
    await trip.started.wait()
    leaves.cancel()
    await asyncio.wait([leaves])
    trip.open()
    assert ("bought", False) == await stays
    assert 1 == trip.purchases


async def test_paid_work_goes_on_when_all_callers_have_left() -> None:
    board = SharedBoard()
    flights, trip = Flights(board), Trip()
    call = asyncio.create_task(flights.fly("f", trip))
    trip.before.set()
    await trip.sent.wait()
    call.cancel()
    await asyncio.wait([call])
    trip.after.set()
    await settled(flights)
    assert {"result": "bought"} == trip.stored
    assert "complete stored" == board.said[-1]


async def test_unpaid_work_that_nobody_waits_for_stops_and_is_given_back() -> None:
    board = SharedBoard()
    flights, trip = Flights(board), Trip()
    call = asyncio.create_task(flights.fly("f", trip))
    await trip.started.wait()
    call.cancel()
    await asyncio.wait([call])
    await settled(flights)
    assert 0 == trip.purchases
    assert [] == board.flying
    assert "release" == board.said[-1]


async def test_who_comes_while_unpaid_work_is_stopping_takes_off_anew() -> None:
    flights, trip = Flights(SharedBoard()), Trip()
    call = asyncio.create_task(flights.fly("f", trip))
    await trip.started.wait()
    call.cancel()
    await asyncio.wait([call])
    trip.open()
    assert ("bought", True) == await flights.fly("f", trip)


async def test_a_follower_on_another_replica_takes_the_stored_result() -> None:
    board, stored = SharedBoard(), dict[str, str]()
    here, there = Flights(board), Flights(board)
    lead, follow = Trip(stored), Trip(stored).open()
    leading = asyncio.create_task(here.fly("f", lead))
    await lead.started.wait()
    following = asyncio.create_task(there.fly("f", follow))
    lead.open()
    assert ("bought", True) == await leading
    assert "bought" == (await following)[0]
    assert (1, 0) == (lead.purchases, follow.purchases)


async def test_a_result_that_cannot_be_stored_is_bought_by_each_replica_and_once_there() -> None:
    board = SharedBoard()
    here, there = Flights(board), Flights(board)
    lead, follow = Trip(can_store=False), Trip(can_store=False).open()
    leading = asyncio.create_task(here.fly("f", lead))
    await lead.started.wait()
    following = [asyncio.create_task(there.fly("f", follow)) for _ in range(5)]
    await asyncio.sleep(0)
    lead.open()
    await asyncio.gather(leading, *following)
    assert (1, 1) == (lead.purchases, follow.purchases)


async def test_an_outcome_of_the_request_reaches_followers_on_another_replica() -> None:
    board = SharedBoard()
    here, there = Flights(board), Flights(board)
    lead, follow = Trip(error=OutcomeUnknown("cut")), Trip().open()
    leading = asyncio.create_task(here.fly("f", lead))
    lead.before.set()
    await lead.sent.wait()
    following = asyncio.create_task(there.fly("f", follow))
    await board.heard("join -1", 2)
    lead.after.set()
    for call in (leading, following):
        with pytest.raises(OutcomeUnknown, match="cut"):
            await call
    assert 0 == follow.purchases


async def test_a_mistake_of_ours_after_the_flight_is_sent_ends_it_for_everybody() -> None:
    board = SharedBoard()
    flights, trip = Flights(board), Trip(error=ZeroDivisionError("ours")).open()
    with pytest.raises(ZeroDivisionError):
        await flights.fly("f", trip)
    assert [] == board.flying
    assert "complete OUTCOME_UNKNOWN" == board.said[-1]


async def test_who_comes_after_an_unknown_outcome_buys_anew() -> None:
    board = SharedBoard()
    with pytest.raises(OutcomeUnknown):
        await Flights(board).fly("f", Trip(error=OutcomeUnknown("cut")).open())
    assert ("bought", True) == await Flights(board).fly("f", Trip().open())


async def test_a_leader_that_is_deposed_before_it_is_sent_follows() -> None:
    board, stored = SharedBoard(), dict[str, str]()
    flights, trip = Flights(board), Trip(stored)
    call = asyncio.create_task(flights.fly("f", trip))
    await trip.started.wait()
    board.depose("f")
    trip.open()
    await board.heard("join -1", 2)
    stored["result"] = "of the other"
    await board.complete(board.records["f"].lead, "stored")
    assert "of the other" == (await call)[0]
    assert 0 == trip.purchases


async def test_without_the_board_a_flight_goes_on_alone() -> None:
    board = SharedBoard(down=True)
    flights = Flights(board, patience=0.0, pause=0.0)
    trip = Trip().open()
    results = await asyncio.gather(*(flights.fly("f", trip) for _ in range(10)))
    assert {"bought"} == {value for value, _ in results}
    assert 1 == trip.purchases
    assert 1 == flights.alone


async def test_nothing_takes_off_when_the_doors_are_closed_and_what_is_in_the_air_lands() -> None:
    flights, trip = Flights(SharedBoard()), Trip()
    call = asyncio.create_task(flights.fly("f", trip))
    await trip.started.wait()
    flights.close()
    with pytest.raises(ShuttingDown):
        await flights.fly("another", trip)
    assert 1 == await flights.drain(0)
    trip.open()
    assert ("bought", True) == await call
    await settled(flights)
