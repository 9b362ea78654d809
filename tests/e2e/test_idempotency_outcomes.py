"""What a key replays when the call failed, or flew along with another one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import grpc
import pytest

from gateway.domain.caching import CacheMode
from gateway.emulator import Cut, FaultRule, Wrong
from gateway.v1.admin_service_pb2 import PurgeCacheRequest
from tests.e2e.asks import edit_of
from tests.e2e.fleet import purge
from tests.e2e.harness import World, world
from tests.e2e.keyed import End, aboard, held, keyed, two_replicas
from tests.e2e.metric_lines import counted
from tests.e2e.purchases import DOORS
from tests.servers.fixtures import StartServer

RED = edit_of({"background.color": "red"})
BYPASS = CacheMode.BYPASS
NAME = "order-4711"
Code = grpc.StatusCode
BOTH_WAYS = pytest.mark.parametrize("doors", [DOORS, DOORS[::-1]], ids=" then ".join)

LOST = {
    "cut after the charge": (FaultRule(cut=Cut.AFTER_CHARGE, times=1), "OUTCOME_UNKNOWN"),
    "504 after the charge": (FaultRule(status=504, charged=True, times=1), "OUTCOME_UNKNOWN"),
    "no picture": (FaultRule(wrong=Wrong.EMPTY, times=1), "UPSTREAM_BAD_ANSWER"),
}
STATUS: Mapping[str, Mapping[str, int | grpc.StatusCode]] = {
    "OUTCOME_UNKNOWN": {"rest": 504, "grpc": Code.ABORTED},
    "UPSTREAM_BAD_ANSWER": {"rest": 502, "grpc": Code.INTERNAL},
}


@BOTH_WAYS
@pytest.mark.parametrize("mode", [CacheMode.DEFAULT, BYPASS])
@pytest.mark.parametrize(("fault", "reason"), LOST.values(), ids=LOST)
async def test_what_may_have_been_paid_is_not_sent_again_but_by_a_caller_who_says_so(
    start_server: StartServer,
    doors: tuple[str, str],
    mode: CacheMode,
    fault: FaultRule,
    reason: str,
) -> None:
    async with two_replicas(start_server()) as (one, other):
        one.emulator.faults.add(fault)
        first = await keyed(one, doors[0], RED, NAME, mode)
        assert End(STATUS[reason][doors[0]], reason) == first
        assert {"POST /v2/edit": 1} == dict(one.emulator.bill.requests)
        seen = await counted(one, "gateway_upstream_calls_total", "outcome")
        assert {(reason,): 1} == seen
        assert {(reason,): 1} == await counted(one, "gateway_requests_total", "outcome")

        again = [await keyed(w, doors[1], RED, NAME, mode) for w in (other, one)]
        assert [End(STATUS[reason][doors[1]], reason)] * 2 == again
        assert 1 == one.emulator.bill.charges

        assert 1000 == (await keyed(other, doors[1], RED, None, mode)).cost
        assert 2 == one.emulator.bill.charges


@pytest.mark.parametrize("status", [400, 422, 500])
async def test_what_cost_nothing_may_be_tried_again_under_its_key(status: int) -> None:
    async with world(changes={"redis": "embedded"}) as w:
        # It is told to wait too long for another attempt: two 500 would close the edit for a minute.
        w.emulator.faults.add(FaultRule(status=status, retry_after="6"))
        assert "UPSTREAM" in (await keyed(w, "rest", RED, NAME, BYPASS)).reason
        w.emulator.faults.clear()
        assert 1000 == (await keyed(w, "rest", RED, NAME, BYPASS)).cost


async def fly_together(
    one: World, other: World, *names: tuple[World, str], fault: FaultRule
) -> list[End]:
    """Call under other keys while the first call, on replica `one`, is at the gate; let them go."""
    one.emulator.faults.add(fault)
    calls = [asyncio.ensure_future(keyed(one, "rest", RED, "first"))]
    await held(one)
    calls += [asyncio.ensure_future(keyed(w, "rest", RED, name)) for w, name in names]
    await aboard(one, 1 + sum(w is one for w, _ in names))
    await aboard(other, sum(w is other for w, _ in names))
    one.emulator.gates.open("held")
    return await asyncio.gather(*calls)


async def test_who_flies_along_under_another_key_has_the_result_under_that_key_too(
    start_server: StartServer,
) -> None:
    """On the leader's replica and on another; also when the result has been purged since."""
    async with two_replicas(start_server()) as (one, other):
        names = ((one, "second"), (other, "third"))
        ends = await fly_together(one, other, *names, fault=FaultRule(gate="held"))
        assert [1000, 0, 0] == [end.cost for end in ends]
        await purge(one, PurgeCacheRequest(tenant="catalog"))
        for name in ("first", "second", "third"):
            end = await keyed(one, "rest", RED, name)
            assert ("replay", 1000, ends[0].body) == (end.source, end.saved, end.body)
        assert 1 == one.emulator.bill.charges


async def test_who_flies_along_under_another_key_has_the_unknown_outcome_under_that_key_too(
    start_server: StartServer,
) -> None:
    async with two_replicas(start_server()) as (one, other):
        names = ((one, "second"), (other, "third"))
        fault = FaultRule(gate="held", cut=Cut.AFTER_CHARGE, times=1)
        ends = await fly_together(one, other, *names, fault=fault)
        again = [await keyed(other, "rest", RED, name) for name in ("first", "second", "third")]
        assert [End(504, "OUTCOME_UNKNOWN")] * 6 == ends + again
        assert 1 == one.emulator.bill.charges
