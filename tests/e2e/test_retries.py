"""What cost nothing is asked again: three times at most, within the budget, when the upstream allows it."""

from __future__ import annotations

import asyncio
import random
import zlib

import grpc
import pytest

from gateway.emulator import AccountSettings, Cut, EmulatorSettings, FaultRule, KeySettings
from tests.e2e.asks import Ask, edit_of, segment_of, spent
from tests.e2e.harness import UPSTREAM_KEY, World, world
from tests.e2e.keyed import End, keyed
from tests.e2e.metric_lines import counted
from tests.e2e.purchases import DOORS
from tests.support.pictures import png

WAIT = 20  # seconds after which a test has failed
FAILED = {
    "rest": End(502, "UPSTREAM_FAILED"),
    "grpc": End(grpc.StatusCode.UNAVAILABLE, "UPSTREAM_FAILED"),
}
ASKS = pytest.mark.parametrize(
    "ask",
    [edit_of(), edit_of({"imageUrl": "https://shop.example/1.png"}, {}), segment_of()],
    ids=["post", "get", "segment"],
)
PLENTY = EmulatorSettings(
    accounts=(
        AccountSettings(
            "emulator", keys=(KeySettings("k1", UPSTREAM_KEY, requests_per_window=1000),)
        ),
    )
)


@ASKS
@pytest.mark.parametrize("door", DOORS)
async def test_a_500_is_asked_again_and_the_picture_is_paid_once(door: str, ask: Ask) -> None:
    async with world() as w:
        w.emulator.faults.add(FaultRule(status=500, times=2))
        end = await keyed(w, door, ask, None)
        assert ("miss", "") == (end.source, end.reason)
        assert (3, 1) == (spent(w), w.emulator.bill.charges)
        calls = await counted(w, "gateway_upstream_calls_total", "outcome", "ending")
        assert {("UPSTREAM_FAILED", "not_spent"): 2, ("OK", "spent"): 1} == calls


@ASKS
@pytest.mark.parametrize("door", DOORS)
async def test_a_500_that_stays_is_told_after_three_requests(door: str, ask: Ask) -> None:
    async with world() as w:
        w.emulator.faults.add(FaultRule(status=500))
        assert FAILED[door] == await keyed(w, door, ask, None)
        assert (3, 0) == (spent(w), w.emulator.bill.charges)


async def test_all_callers_of_a_flight_share_its_three_requests() -> None:
    async with world() as w:
        w.emulator.faults.add(FaultRule(status=500, gate="held"))
        calls = [asyncio.ensure_future(keyed(w, DOORS[n % 2], edit_of(), None)) for n in range(20)]
        async with asyncio.timeout(WAIT):
            while 20 != sum(f.waiters for f in w.gateway.flights._flights.values()):  # noqa: ASYNC110 - it counts
                await asyncio.sleep(0.01)
        w.emulator.gates.open("held")
        assert [FAILED[DOORS[n % 2]] for n in range(20)] == await asyncio.gather(*calls)
        assert 3 == spent(w)


def large() -> bytes:
    """A picture whose bytes do not fit into the buffers of a connection."""
    data = bytearray(png())
    end = data.index(b"IEND") - 4
    noise = random.Random(7).randbytes(20 * 1024 * 1024)
    return bytes(data[:end]) + chunk(b"zzZz", noise) + bytes(data[end:])


def chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a PNG that no reader knows and every reader passes over."""
    crc = zlib.crc32(kind + body)
    return len(body).to_bytes(4, "big") + kind + body + crc.to_bytes(4, "big")


async def test_a_call_that_is_cut_before_its_body_has_ended_is_made_again() -> None:
    """The upstream cannot charge for half a request."""
    async with world() as w:
        w.emulator.faults.add(FaultRule(cut=Cut.BEFORE_BODY, times=2))
        end = await keyed(w, "rest", edit_of({}, {"imageFile": large()}), None)
        assert ("miss", 1000) == (end.source, end.cost)
        assert (3, 1) == (spent(w), w.emulator.bill.charges)
        calls = await counted(w, "gateway_upstream_calls_total", "outcome")
        assert {("UPSTREAM_UNREACHABLE",): 2, ("OK",): 1} == calls


async def test_an_upstream_that_nobody_reaches_is_tried_three_times() -> None:
    async with world() as w:
        await w.emulator.__aexit__(None, None, None)
        assert End(503, "UPSTREAM_UNREACHABLE") == await keyed(w, "rest", edit_of(), None)
        calls = await counted(w, "gateway_upstream_calls_total", "outcome")
        assert {("UPSTREAM_UNREACHABLE",): 3} == calls


async def test_an_unknown_outcome_after_a_500_is_not_asked_again() -> None:
    async with world() as w:
        w.emulator.faults.add(FaultRule(status=500, times=1), FaultRule(cut=Cut.AFTER_CHARGE))
        assert End(504, "OUTCOME_UNKNOWN") == await keyed(w, "rest", edit_of(), None)
        assert (2, 1) == (spent(w), w.emulator.bill.charges)


async def test_retries_stay_within_their_budget() -> None:
    """A tenth of the calls, and ten that were saved up."""
    calls = 60
    async with world(PLENTY) as w:
        w.emulator.faults.add(FaultRule(status=500))
        asks = [edit_of({"padding": f"0.{n:03}"}) for n in range(1, calls + 1)]
        ends = await asyncio.gather(*(keyed(w, "rest", ask, None) for ask in asks))
        assert {FAILED["rest"]} == set(ends)
        assert calls + 10 <= spent(w) <= calls * 1.1 + 10


async def asked(w: World, times: int) -> float:
    """Wait until the emulator has been asked so often; return the time."""
    async with asyncio.timeout(WAIT):
        await w.emulator.until(lambda: w.emulator.bill.answers.total() >= times)
    return asyncio.get_running_loop().time()


async def test_the_wait_that_the_upstream_asks_for_is_kept() -> None:
    async with world() as w:
        w.emulator.faults.add(FaultRule(status=500, retry_after="1", times=1))
        call = asyncio.ensure_future(keyed(w, "rest", edit_of(), None))
        first, second = await asked(w, 1), await asked(w, 2)
        assert 1000 == (await call).cost
        assert second - first >= 0.95


@pytest.mark.parametrize("wait", ["6", "3600"])
async def test_a_wait_that_is_too_long_is_told_to_the_caller(wait: str) -> None:
    async with world() as w:
        w.emulator.faults.add(FaultRule(status=500, retry_after=wait))
        reply = await w.post("/v2/edit", [], {"imageFile": png()})
        assert (502, wait) == (reply.status, reply.headers["Retry-After"])
        assert 1 == spent(w)
