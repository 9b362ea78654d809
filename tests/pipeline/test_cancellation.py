"""A caller may leave at any moment, and so may a flight's task: nothing stays behind.

Each test cancels at the first resumption, at the second, and so on until the work completes by itself.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Coroutine, Generator
from types import CoroutineType
from typing import Any, TypeVar

import pytest

from gateway.domain.caching import CacheMode
from gateway.domain.edit import ImageRef
from tests.pipeline.recording import ANSWER, PICTURE, Steps, a_call, an_edit
from tests.support.cancelling import CancelAt, cancelled_at

T = TypeVar("T")

WAYS: dict[str, dict[str, Any]] = {
    "a plain edit": {},
    "past the cache": {"mode": CacheMode.BYPASS},
    "under an idempotency key": {"idempotency_key": "order-17"},
    "of a kept picture": {"kept": ImageRef.of(PICTURE)},
}


async def _cancelled(number: int, work: Coroutine[Any, Any, T]) -> T:
    return await cancelled_at(CancelAt(number), work)


@pytest.mark.parametrize("way", WAYS)
async def test_a_caller_that_leaves_at_any_moment_leaves_nothing_behind(way: str) -> None:
    fates = set()
    for number in itertools.count(1):
        steps = Steps(blobs={ImageRef.of(PICTURE).sha256: PICTURE})
        edit = steps.pipeline.edit(a_call(), an_edit(steps, **WAYS[way]))
        call = asyncio.get_running_loop().create_task(_cancelled(number, edit))
        await asyncio.wait([call])
        assert 0 == await steps.flights.drain(10)

        assert 0 == len(steps.flights)
        assert {asyncio.current_task()} == asyncio.all_tasks()
        assert set() == steps.leading
        assert {} == steps.holds
        # What was marked as sent is bought, stored and told; what was not is not bought.
        sent = "sent" in steps.journal
        assert steps.sold == sent
        assert sent == any(step.startswith("complete") for step in steps.journal)
        assert (sent and way != "past the cache") == ("store" in steps.journal)
        fates.add((call.cancelled(), sent))
        if not call.cancelled():
            assert ANSWER == call.result().answer
            break

    assert {(True, False), (True, True), (False, True)} == fates


@pytest.mark.parametrize("way", WAYS)
async def test_a_flight_that_is_ended_at_any_moment_leaves_nothing_behind(
    way: str, caplog: pytest.LogCaptureFixture
) -> None:
    loop = asyncio.get_running_loop()
    fates = set()
    for number in itertools.count(1):
        steps = Steps(blobs={ImageRef.of(PICTURE).sha256: PICTURE})

        def made(
            loop: asyncio.AbstractEventLoop,
            work: Coroutine[Any, Any, Any] | Generator[Any, Any, Any],
            number: int = number,
            **options: Any,
        ) -> asyncio.Task[Any]:
            # Not by the task's name: Python 3.11 gives a task its name after the factory has made it.
            if isinstance(work, CoroutineType) and work.__qualname__ == "Flights._run":
                work = _cancelled(number, work)
            return asyncio.Task(work, loop=loop, **options)

        loop.set_task_factory(made)
        try:
            edit = steps.pipeline.edit(a_call(), an_edit(steps, **WAYS[way]))
            call = loop.create_task(edit)
            await asyncio.wait([call])
        finally:
            loop.set_task_factory(None)
        assert 0 == await steps.flights.drain(10)

        assert 0 == len(steps.flights)
        assert {asyncio.current_task()} == asyncio.all_tasks()
        assert steps.sold <= 1
        if "sent" not in steps.journal:
            # Unpaid, it is given back at once; paid for, it stays until its lease has run out.
            assert set() == steps.leading
        fates.add((call.cancelled(), "sent" in steps.journal))
        if not call.cancelled():
            break

    assert {(True, False), (True, True), (False, True)} == fates
    assert [] == [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_of_two_callers_of_one_edit_the_second_gets_it_whenever_the_first_leaves() -> None:
    for number in itertools.count(1):
        steps = Steps()
        loop = asyncio.get_running_loop()
        leaving = steps.pipeline.edit(a_call(), an_edit(steps))
        first = loop.create_task(_cancelled(number, leaving))
        second = loop.create_task(steps.pipeline.edit(a_call(), an_edit(steps)))
        await asyncio.wait([first, second])
        await steps.flights.drain(10)

        assert ANSWER == second.result().answer
        assert 1 == steps.sold
        assert set() == steps.leading
        if not first.cancelled():
            break


async def test_a_flight_that_fails_unseen_is_not_reported_twice(
    caplog: pytest.LogCaptureFixture,
) -> None:
    steps = Steps(trouble={"store": ValueError("a mistake")})
    with pytest.raises(ValueError, match="a mistake"):
        await steps.pipeline.edit(a_call(), an_edit(steps))
    await steps.flights.drain(10)

    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert ["a flight failed by a mistake of ours"] == [record.message for record in errors]
