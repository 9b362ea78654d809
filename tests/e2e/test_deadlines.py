"""A caller waits as long as it says; what was paid by then is finished, and answers the next call."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import grpc
import pytest

from gateway.domain.caching import CacheMode
from gateway.emulator import Emulator, FaultRule
from tests.client.waiting import until
from tests.e2e.asks import Ask, ask_rest, edit_of, rest_violations, segment_of
from tests.e2e.harness import World, replica, world
from tests.e2e.keyed import keyed
from tests.e2e.metric_lines import counted
from tests.e2e.purchases import DOORS
from tests.servers.fixtures import StartServer

SOON = 0.3
WAIT = 20  # seconds after which a test has failed
REDIS = {"redis": "embedded"}
BOTH = pytest.mark.parametrize("door", DOORS)
ASKS = pytest.mark.parametrize("ask", [edit_of(), segment_of()], ids=["edit", "segment"])

IN_MODULE = pytest.mark.asyncio(loop_scope="module")
"""For tests of the world that the module shares."""


async def is_late(
    w: World, door: str, ask: Ask, name: str | None = None, mode: CacheMode = CacheMode.DEFAULT
) -> None:
    """Call with a deadline that passes. Over gRPC the client's own clock may be first, without a reason."""
    async with asyncio.timeout(WAIT):
        end = await keyed(w, door, ask, name, mode, seconds=SOON)
    late = grpc.StatusCode.DEADLINE_EXCEEDED if door == "grpc" else 504
    assert (late, True) == (end.code, end.reason in {"DEADLINE_EXCEEDED", ""})
    assert door == "grpc" or end.reason


async def lands(w: World) -> None:
    """Open the gate and wait until nothing is in the air."""
    w.emulator.gates.open("held")
    assert 0 == await w.gateway.flights.drain(WAIT)


@ASKS
@BOTH
@pytest.mark.parametrize("after_charge", [False, True], ids=["before charge", "after charge"])
async def test_paid_work_goes_on_and_answers_the_next_call(
    door: str,
    ask: Ask,
    after_charge: bool,  # noqa: FBT001 - a column of the table
) -> None:
    async with world(changes=REDIS) as w:
        w.emulator.faults.add(FaultRule(gate="held", gate_after_charge=after_charge))
        await is_late(w, door, ask)
        assert 1 == len(w.gateway.flights)
        await lands(w)
        ends = [await keyed(w, again, ask, None, seconds=WAIT) for again in DOORS]
        assert [("memory", 0)] * 2 == [(end.source, end.cost) for end in ends]
        assert 1 == w.emulator.bill.charges


@BOTH
async def test_a_call_after_the_deadline_joins_the_work_that_goes_on(door: str) -> None:
    async with world(changes=REDIS) as w:
        w.emulator.faults.add(FaultRule(gate="held"))
        await is_late(w, door, edit_of())
        again = asyncio.ensure_future(keyed(w, door, edit_of(), None))

        async def waits() -> bool:
            return any(f.waiters for f in w.gateway.flights._flights.values())

        await until(waits)
        w.emulator.gates.open("held")
        assert ("flight", 0) == ((end := await again).source, end.cost)
        assert 1 == w.emulator.bill.charges


@BOTH
async def test_work_that_no_cache_keeps_answers_the_next_call_under_its_key(door: str) -> None:
    async with world(changes=REDIS) as w:
        w.emulator.faults.add(FaultRule(gate="held"))
        await is_late(w, door, edit_of(), "a-key", CacheMode.BYPASS)
        await lands(w)
        end = await keyed(w, door, edit_of(), "a-key", CacheMode.BYPASS)
        assert ("replay", 0, 1000) == (end.source, end.cost, end.saved)
        assert 1 == w.emulator.bill.charges


@BOTH
async def test_before_it_is_sent_nothing_is_paid(start_server: StartServer, door: str) -> None:
    """The state Redis hangs, so the flight cannot be marked; then it goes on, and the next call buys."""
    state, cache = start_server(), start_server()
    redis = {"redis": {"state_url": state.url, "cache_url": cache.url}}
    async with world(changes=redis) as w:
        state.freeze()
        await is_late(w, door, edit_of())

        async def nothing_flies() -> bool:
            return not len(w.gateway.flights)

        await until(nothing_flies)
        state.thaw()
        assert 0 == w.emulator.bill.requests.total()
        assert 1000 == (await keyed(w, door, edit_of(), None)).cost
        assert 1 == w.emulator.bill.charges


@BOTH
async def test_a_follower_s_deadline_is_its_own(start_server: StartServer, door: str) -> None:
    """On the leader's replica and on another one."""
    changes = {"redis": {"state_url": start_server().url}}
    async with (
        Emulator() as emulator,
        replica(emulator, changes=changes) as one,
        replica(emulator, changes=changes) as other,
    ):
        emulator.faults.add(FaultRule(gate="held"))
        patient = asyncio.ensure_future(keyed(one, door, edit_of(), None, seconds=WAIT))
        async with asyncio.timeout(WAIT):
            await emulator.until(lambda: emulator.gates.waiting("held") == 1)
        await asyncio.gather(is_late(one, door, edit_of()), is_late(other, door, edit_of()))
        emulator.gates.open("held")
        assert 1000 == (await patient).cost
        assert "redis" == (await keyed(other, door, edit_of(), None)).source
        assert 1 == emulator.bill.charges


async def test_a_deadline_that_passes_is_the_caller_s_and_counted_so() -> None:
    async with world(changes=REDIS) as w:
        w.emulator.faults.add(FaultRule(gate="held"))
        await is_late(w, "rest", edit_of())
        assert {("DEADLINE_EXCEEDED", "caller"): 1} == await counted(
            w, "gateway_requests_total", "outcome", "fault"
        )
        await lands(w)
        calls = await counted(w, "gateway_upstream_calls_total", "outcome", "ending")
        assert {("OK", "spent"): 1} == calls


@IN_MODULE
@ASKS
@pytest.mark.parametrize(
    "text", ["", "0", "-1", "0.0", "soon", "30s", "1,5", "nan", "inf", "1e999", "0x10", "1 2"]
)
async def test_a_bad_deadline_is_refused(cached: World, ask: Ask, text: str) -> None:
    before = cached.emulator.bill.requests.total()
    reply = await ask_rest(cached, replace(ask, headers={"Request-Timeout": text}))
    assert [("Request-Timeout", "NOT_A_NUMBER")] == rest_violations(reply)
    assert before == cached.emulator.bill.requests.total()


@IN_MODULE
@pytest.mark.parametrize("text", ["30", " 2e1 ", "20.5", "+20", "1e300"])
async def test_any_number_of_seconds_above_zero_is_a_deadline(cached: World, text: str) -> None:
    reply = await ask_rest(cached, edit_of(headers={"Request-Timeout": text}))
    assert 200 == reply.status
