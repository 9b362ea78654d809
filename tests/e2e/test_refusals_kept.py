"""A refusal that is certain to repeat costs one upstream call, however often the picture is sent."""

from __future__ import annotations

import asyncio
import itertools

import grpc
import pytest

from gateway.domain.caching import CacheMode
from gateway.emulator import Emulator, FaultRule
from gateway.v1.admin_service_pb2 import PurgeCacheRequest
from tests.e2e.asks import Ask, edit_of, plan, segment_of, spent
from tests.e2e.companions import TEMPLATE
from tests.e2e.fleet import ADMINS, purge
from tests.e2e.harness import LAB_KEY, World, replica, world
from tests.e2e.keyed import End, keyed
from tests.e2e.metric_lines import counted
from tests.e2e.purchases import DOORS
from tests.servers.fixtures import StartServer
from tests.support.pictures import png

REDIS = {"redis": "embedded"}
REFUSED = {
    "rest": End(400, "UPSTREAM_REFUSED"),
    "grpc": End(grpc.StatusCode.FAILED_PRECONDITION, "UPSTREAM_REFUSED"),
}


def corrupt() -> bytes:
    """A PNG whose header is right and whose pixels cannot be read."""
    data = bytearray(png())
    start = data.index(b"IDAT") + 4
    data[start : start + 16] = bytes(16)
    return bytes(data)


EDIT = edit_of({}, {"imageFile": corrupt()})
SEGMENT = segment_of({}, corrupt())
DRAWN = edit_of({"imageFromPrompt.prompt": "a cup", "imageFromPrompt.seed": "7"}, {})


async def flood(worlds: list[World], ask: Ask, calls: int) -> list[End]:
    """So many calls at once, over both doors of every replica in turn."""
    doors = itertools.cycle(itertools.product(worlds, DOORS))
    where = list(itertools.islice(doors, calls))
    return await asyncio.gather(*(keyed(w, door, ask, None) for w, door in where))


@pytest.mark.parametrize("ask", [EDIT, SEGMENT], ids=["edit", "segment"])
async def test_a_flood_of_one_corrupt_picture_is_one_upstream_call(
    start_server: StartServer, ask: Ask
) -> None:
    """A hundred calls at once and fifty later ones, over both doors of two replicas."""
    changes = {"redis": {"state_url": start_server().url}}
    async with (
        Emulator() as emulator,
        replica(emulator, changes=changes) as one,
        replica(emulator, changes=changes) as other,
    ):
        worlds = [one, other]
        ends = await flood(worlds, ask, 100)
        for _ in range(10):
            ends += await flood(worlds, ask, 5)
        assert set(REFUSED.values()) == set(ends)
        assert 1 == emulator.bill.requests.total()
        assert 0 == emulator.bill.charges


async def test_the_words_of_a_kept_refusal_are_those_of_the_first() -> None:
    async with world(changes=REDIS) as w:
        replies = [await w.post("/v2/edit", [], {"imageFile": corrupt()}) for _ in range(2)]
        assert replies[0].json == replies[1].json
        assert replies[0].json["error"]["message"]
        assert 1 == spent(w)


async def test_a_refusal_is_asked_again_when_its_life_is_over() -> None:
    async with world(changes=REDIS | {"cache": {"negative_ttl": "1s"}}) as w:
        assert REFUSED["rest"] == await keyed(w, "rest", EDIT, None)
        async with asyncio.timeout(20):
            while spent(w) < 2:
                assert REFUSED["rest"] == await keyed(w, "rest", EDIT, None)
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("mode", [CacheMode.REFRESH, CacheMode.BYPASS])
async def test_who_does_not_read_the_cache_asks_again(mode: CacheMode) -> None:
    async with world(changes=REDIS) as w:
        ends = [await keyed(w, door, EDIT, None, mode) for door in DOORS]
        assert [REFUSED[door] for door in DOORS] == ends
        assert 2 == spent(w)


async def test_a_refresh_that_is_served_ends_the_refusal() -> None:
    async with world(changes=REDIS) as w:
        w.emulator.faults.add(FaultRule(status=400, times=1))
        assert REFUSED["rest"] == await keyed(w, "rest", edit_of(), None)
        assert REFUSED["grpc"] == await keyed(w, "grpc", edit_of(), None)
        assert 1000 == (await keyed(w, "rest", edit_of(), None, CacheMode.REFRESH)).cost
        assert "memory" == (await keyed(w, "grpc", edit_of(), None)).source


async def test_a_refusal_answers_a_call_that_wants_nothing_but_what_is_stored() -> None:
    async with world(changes=REDIS) as w:
        await keyed(w, "rest", EDIT, None)
        assert REFUSED["rest"] == await keyed(w, "rest", EDIT, None, CacheMode.ONLY_IF_CACHED)


@pytest.mark.parametrize(
    ("ask", "field"),
    [
        (EDIT, "edit.image_file"),
        (SEGMENT, "segment.image_file"),
        (DRAWN, "edit.image_from_prompt.prompt"),
    ],
    ids=["edit", "segment", "no picture"],
)
async def test_a_plan_of_what_was_refused_tells_the_refusal_and_asks_nobody(
    ask: Ask, field: str
) -> None:
    async with world(changes=REDIS) as w:
        w.emulator.faults.add(FaultRule(status=400, times=1))
        await keyed(w, "rest", ask, None)
        planned = await plan(w, ask)
        assert [(field, "UPSTREAM_REFUSED")] == [(v.field, v.code) for v in planned.violations]
        assert (True, 0) == (planned.hit, planned.cost_milli_credits)
        assert 1 == spent(w)


async def test_a_purge_disowns_refusals_too() -> None:
    async with world(changes=REDIS | ADMINS) as w:
        await keyed(w, "rest", EDIT, None)
        await purge(w, PurgeCacheRequest(tenant="catalog"))
        await keyed(w, "rest", EDIT, None)
        assert 2 == spent(w)


async def test_a_refusal_is_its_edit_s_and_its_tenant_s() -> None:
    async with world(changes=REDIS) as w:
        await keyed(w, "rest", EDIT, None)
        await keyed(w, "rest", EDIT.also({"padding": "0.1"}), None)
        await keyed(w, "rest", EDIT, None, key=LAB_KEY)
        assert 3 == spent(w)


URL = {"imageUrl": "https://shop.example/missing.png"}
# Each of them may be served a moment later, by the same upstream.
NOT_KEPT = {
    "template": (edit_of({"templateId": TEMPLATE}), FaultRule(status=400)),
    "url": (edit_of(URL, {}), FaultRule(status=400)),
    "unseeded": (edit_of({"background.prompt": "fog"}), FaultRule(status=400)),
    "404": (edit_of(), FaultRule(status=404)),
    "413": (edit_of(), FaultRule(status=413)),
    "422": (edit_of(), FaultRule(status=422)),
    "504": (edit_of(), FaultRule(status=504)),
}


@pytest.mark.parametrize(("ask", "fault"), NOT_KEPT.values(), ids=NOT_KEPT)
async def test_a_refusal_that_may_not_repeat_is_not_kept(ask: Ask, fault: FaultRule) -> None:
    async with world(changes=REDIS) as w:
        w.emulator.faults.add(fault)
        assert "" != (await keyed(w, "rest", ask, None)).reason
        asked = spent(w)
        w.emulator.faults.clear()
        await keyed(w, "rest", ask, None)
        assert (1, 2) == (asked, spent(w))


async def test_a_kept_refusal_is_counted_as_a_refusal_and_saves_nothing() -> None:
    async with world(changes=REDIS) as w:
        for _ in range(3):
            await keyed(w, "rest", EDIT, None)
        outcomes = await counted(w, "gateway_requests_total", "outcome")
        assert {("UPSTREAM_REFUSED",): 3} == outcomes
        assert {("UPSTREAM_REFUSED",): 1} == await counted(
            w, "gateway_upstream_calls_total", "outcome"
        )
