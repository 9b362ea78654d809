"""A cancellation at any resumption leaves no task, no lead and no flight."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from contextlib import suppress
from typing import Any

import pytest

from gateway.flights import Flights
from tests.flights.boards import SharedBoard
from tests.flights.test_merging import Trip
from tests.support.cancelling import CancelAt, cancelled_at

_MOST = 60


async def _fly_cancelled(when: CancelAt, flights: Flights, trip: Trip) -> None:
    async def call() -> None:
        await cancelled_at(when, flights.fly("f", trip))

    with suppress(asyncio.CancelledError):
        await asyncio.create_task(call())


@pytest.mark.parametrize("can_store", [True, False])
async def test_a_caller_cancelled_at_any_resumption_leaves_nothing(can_store: bool) -> None:  # noqa: FBT001 - a table
    before = asyncio.all_tasks()
    for nth in range(1, _MOST):
        board, when = SharedBoard(), CancelAt(nth)
        flights, trip = Flights(board), Trip(can_store=can_store).open()
        await _fly_cancelled(when, flights, trip)
        assert 0 == await flights.drain(5)
        assert [] == board.flying, nth
        assert before == asyncio.all_tasks(), nth
        assert trip.purchases <= 1
        if trip.purchases and can_store:
            assert {"result": "bought"} == trip.stored, nth
        if not when.reached:
            assert 1 == trip.purchases
            return
    pytest.fail("the call never completed")


async def test_a_flight_cancelled_at_any_resumption_before_it_is_sent_is_given_back() -> None:
    loop = asyncio.get_running_loop()
    for nth in range(1, _MOST):
        board, when = SharedBoard(), CancelAt(nth)
        flights, trip = Flights(board), Trip().open()

        def factory(
            loop: asyncio.AbstractEventLoop,
            work: Coroutine[Any, Any, Any] | Generator[Any, Any, Any],
            when: CancelAt = when,
            **options: Any,
        ) -> asyncio.Task[Any]:
            # Python 3.11 gives the factory no name: the flight is told by its coroutine.
            if getattr(work, "__qualname__", "") == Flights._run.__qualname__:
                inner = work

                async def run() -> object:
                    assert asyncio.iscoroutine(inner)
                    return await cancelled_at(when, inner)

                work = run()
            return asyncio.Task(work, loop=loop, **options)

        loop.set_task_factory(factory)
        try:
            with suppress(asyncio.CancelledError):
                await flights.fly("f", trip)
        finally:
            loop.set_task_factory(None)
        assert 0 == await flights.drain(5)
        if not trip.sent.is_set():
            assert [] == board.flying, nth
        if not when.reached:
            assert nth > 1, "nothing was cancelled"
            return
    pytest.fail("the flight never completed")
