"""A call under an idempotency key is one call: on every replica, for a day, paid once."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import grpc
import pytest

from gateway.domain.caching import CacheMode
from gateway.domain.edit import ImageRef
from gateway.emulator import FaultRule
from gateway.ports import Replay
from tests.e2e.asks import Ask, edit_of, segment_of
from tests.e2e.harness import CATALOG_KEY, LAB_KEY, world
from tests.e2e.keyed import End, aboard, held, keyed, two_replicas
from tests.e2e.purchases import DOORS
from tests.pipeline.recording import ANSWER, PICTURE, Steps, a_call, an_edit
from tests.servers.fixtures import StartServer
from tests.servers.process import Server
from tests.support.pictures import png

RED = edit_of({"background.color": "red"})
BLUE = edit_of({"background.color": "blue"})
UNSEEDED = edit_of({"background.prompt": "fog"})
BYPASS = CacheMode.BYPASS
NAME = "order-4711"
Code = grpc.StatusCode

# Calls that nothing but the key makes one: each of them is bought whenever it is made without.
ALONE = pytest.mark.parametrize(
    ("ask", "mode"), [(RED, BYPASS), (UNSEEDED, CacheMode.DEFAULT)], ids=["bypass", "unseeded"]
)
EVERY = pytest.mark.parametrize(
    ("ask", "mode"),
    [
        (RED, CacheMode.DEFAULT),
        (RED, CacheMode.REFRESH),
        (RED, BYPASS),
        (UNSEEDED, CacheMode.DEFAULT),
        (segment_of(), BYPASS),
    ],
    ids=["default", "refresh", "bypass", "unseeded", "segment"],
)
BOTH_WAYS = pytest.mark.parametrize("doors", [DOORS, DOORS[::-1]], ids=" then ".join)


def lose(server: Server, pattern: str) -> None:
    """Take all keys of a pattern away."""
    names = [name.decode() for name in server.admin("KEYS", pattern)]
    assert len(names) == server.admin("DEL", *names) > 0


@EVERY
@BOTH_WAYS
async def test_the_outcome_is_replayed_on_another_replica_free_of_charge(
    start_server: StartServer, ask: Ask, mode: CacheMode, doors: tuple[str, str]
) -> None:
    async with two_replicas(start_server()) as (one, other):
        bought = await keyed(one, doors[0], ask, NAME, mode)
        again = [await keyed(w, door, ask, NAME, mode) for w in (other, one) for door in DOORS]
        assert {("replay", 0, bought.cost, bought.body)} == {
            (end.source, end.cost, end.saved, end.body) for end in again
        }
        assert bought.cost > 0
        assert bought.body
        assert 1 == one.emulator.bill.charges


@ALONE
async def test_without_the_key_the_same_call_is_bought_each_time(ask: Ask, mode: CacheMode) -> None:
    async with world(changes={"redis": "embedded"}) as w:
        for name in (None, None, "one", "another"):
            assert (await keyed(w, "rest", ask, name, mode)).cost > 0
        assert 4 == w.emulator.bill.charges


async def test_the_key_may_be_quoted_at_either_door() -> None:
    async with world(changes={"redis": "embedded"}) as w:
        spellings = itertools.product(DOORS, (NAME, f'"{NAME}"'))
        ends = [await keyed(w, door, RED, text, BYPASS) for door, text in spellings]
        assert ["bypass", *["replay"] * 3] == [end.source for end in ends]


@ALONE
@BOTH_WAYS
@pytest.mark.parametrize("same", [True, False], ids=["one replica", "two replicas"])
async def test_a_call_under_the_key_of_one_that_flies_joins_it(
    start_server: StartServer,
    ask: Ask,
    mode: CacheMode,
    doors: tuple[str, str],
    same: bool,  # noqa: FBT001 - a column of the table
) -> None:
    async with two_replicas(start_server()) as (one, other):
        second = one if same else other
        one.emulator.faults.add(FaultRule(gate="held"))
        calls = [asyncio.ensure_future(keyed(one, doors[0], ask, NAME, mode))]
        await held(one)
        calls.append(asyncio.ensure_future(keyed(second, doors[1], ask, NAME, mode)))
        await aboard(second, 2 if same else 1)
        one.emulator.gates.open("held")
        bought, joined = await asyncio.gather(*calls)

        assert (bought.cost, 0, bought.body) == (joined.saved, joined.cost, joined.body)
        assert {"POST /v2/edit": 1} == dict(one.emulator.bill.requests)


@ALONE
async def test_many_calls_at_once_under_one_key_are_one(
    start_server: StartServer, ask: Ask, mode: CacheMode
) -> None:
    async with two_replicas(start_server()) as replicas:
        where = itertools.islice(itertools.cycle(itertools.product(replicas, DOORS)), 40)
        ends = await asyncio.gather(*(keyed(w, door, ask, NAME, mode) for w, door in where))
        assert 1 == len({end.body for end in ends})
        assert 39 == Counter(end.cost for end in ends)[0]
        assert 1 == replicas[0].emulator.bill.charges


class EndedMeanwhile:
    """A book in which another call under the key ends between this one's first look and its lead."""

    def __init__(self, outcome: Replay) -> None:
        self._outcomes = [None, outcome]

    async def open(self, slot: str, request: str) -> Replay | None:
        del slot, request
        return self._outcomes.pop(0)

    async def close(self, slot: str, request: str, replay: Replay) -> None:
        del slot, request, replay


@pytest.mark.parametrize("mode", [BYPASS, CacheMode.REFRESH])
async def test_a_call_that_ends_just_before_the_next_takes_off_is_not_made_again(
    mode: CacheMode,
) -> None:
    steps, body = Steps(), ImageRef.of(PICTURE)
    steps.blobs[body.sha256] = PICTURE
    book = EndedMeanwhile(Replay(body=body, media_type=ANSWER.media_type, cost_milli=1000))
    pipeline = replace(steps.pipeline, purchasing=replace(steps.pipeline.purchasing, replays=book))
    delivery = await pipeline.edit(a_call(), an_edit(steps, mode=mode, idempotency_key=NAME))
    assert ("replay", 0, PICTURE) == (
        delivery.cache.tier,
        delivery.cost_milli,
        delivery.answer.body,
    )
    assert 0 == steps.sold


OTHERS: dict[str, Callable[[Ask], Ask]] = {
    "another parameter": lambda ask: ask.also({"padding": "0.2"}),
    "another picture": lambda ask: ask.also(files={"imageFile": png(20, 20)}),
    "another model": lambda ask: ask.also(headers={"pr-ai-background-model-version": "3"}),
    "another operation": lambda _: segment_of(),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
async def test_another_request_under_the_key_is_refused(
    door: str, other: Callable[[Ask], Ask]
) -> None:
    async with world(changes={"redis": "embedded"}) as w:
        await keyed(w, "rest", UNSEEDED, NAME)
        end = await keyed(w, door, other(UNSEEDED), NAME)
        code = 422 if door == "rest" else Code.INVALID_ARGUMENT
        assert End(code, "IDEMPOTENCY_CONFLICT") == end
        assert 1 == w.emulator.bill.charges


async def test_the_sandbox_is_another_request() -> None:
    async with world(changes={"redis": "embedded"}) as w:
        await keyed(w, "rest", RED, NAME, key=f"sandbox_{CATALOG_KEY}")
        assert "IDEMPOTENCY_CONFLICT" == (await keyed(w, "rest", RED, NAME)).reason


async def test_a_request_that_flies_holds_its_key() -> None:
    async with world(changes={"redis": "embedded"}) as w:
        w.emulator.faults.add(FaultRule(gate="held"))
        call = asyncio.ensure_future(keyed(w, "rest", RED, NAME))
        await held(w)
        assert "IDEMPOTENCY_CONFLICT" == (await keyed(w, "grpc", BLUE, NAME)).reason
        w.emulator.gates.open("held")
        assert 1000 == (await call).cost


async def test_what_was_refused_before_it_was_sent_does_not_use_the_key_up() -> None:
    async with world(changes={"redis": "embedded"}) as w:
        refused = await keyed(w, "rest", edit_of({"padding": "9"}), NAME)
        assert "INVALID_REQUEST" == refused.reason
        assert 1000 == (await keyed(w, "rest", RED, NAME)).cost


@EVERY
async def test_a_result_that_is_lost_is_never_bought_again_under_its_key(
    start_server: StartServer, ask: Ask, mode: CacheMode
) -> None:
    server = start_server()
    async with two_replicas(server) as (one, other):
        cost = (await keyed(one, "rest", ask, NAME, mode)).cost
        lose(server, "pg1:b:*")
        ends = [await keyed(w, door, ask, NAME, mode) for w in (one, other) for door in DOORS]
        gone = [End(409, "RESULT_GONE"), End(Code.FAILED_PRECONDITION, "RESULT_GONE")]
        assert gone * 2 == ends
        assert 1 == one.emulator.bill.charges
        assert cost == (await keyed(one, "rest", ask, "another-key", mode)).cost


async def test_tenants_do_not_share_keys() -> None:
    async with world(changes={"redis": "embedded"}) as w:
        calls = ((CATALOG_KEY, RED), (LAB_KEY, RED), (CATALOG_KEY, RED))
        ends = [await keyed(w, "rest", ask, NAME, BYPASS, key=key) for key, ask in calls]
        assert ["bypass", "bypass", "replay"] == [end.source for end in ends]
        assert 1000 == (await keyed(w, "rest", BLUE, "catalog-only", key=CATALOG_KEY)).cost
        assert 1000 == (await keyed(w, "rest", RED, "catalog-only", BYPASS, key=LAB_KEY)).cost


async def test_members_of_a_cache_scope_do_not_share_keys_either() -> None:
    scopes = {"retail": ["catalog", "lab"]}
    async with world(changes={"redis": "embedded", "cache_scopes": scopes}) as w:
        await keyed(w, "rest", RED, NAME)
        assert "" == (await keyed(w, "rest", BLUE, NAME, key=LAB_KEY)).reason


UNAVAILABLE = [
    End(503, "IDEMPOTENCY_UNAVAILABLE"),
    End(Code.UNAVAILABLE, "IDEMPOTENCY_UNAVAILABLE"),
]


async def test_without_redis_a_key_cannot_be_honoured_and_nothing_is_bought() -> None:
    async with world() as w:
        assert UNAVAILABLE == [await keyed(w, door, RED, NAME) for door in DOORS]
        assert 0 == w.emulator.bill.requests.total()
        assert 1000 == (await keyed(w, "rest", RED, None)).cost


async def test_while_the_state_redis_is_gone_a_key_is_refused_and_no_other_call_is(
    start_server: StartServer,
) -> None:
    state, cache = start_server(), start_server()
    redis = {"redis": {"state_url": state.url, "cache_url": cache.url}}
    async with world(changes=redis) as w:
        assert 1000 == (await keyed(w, "rest", RED, NAME)).cost
        state.kill()
        assert UNAVAILABLE == [await keyed(w, door, RED, NAME) for door in DOORS]
        assert "memory" == (await keyed(w, "rest", RED, None)).source
        assert 1 == w.emulator.bill.charges


BAD = {"space": "two words", "too long": "k" * 256, "nothing in quotes": '""'}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
async def test_a_bad_key_is_refused_by_the_name_of_its_field(text: str) -> None:
    async with world(changes={"redis": "embedded"}) as w:
        ends = [await keyed(w, door, RED, text) for door in DOORS]
        assert [
            End(400, "INVALID_REQUEST", fields=("Idempotency-Key",)),
            End(Code.INVALID_ARGUMENT, "INVALID_REQUEST", fields=("idempotency_key",)),
        ] == ends
        assert 0 == w.emulator.bill.requests.total()


async def test_an_empty_header_is_no_key_and_is_refused() -> None:
    """A client that has lost its key must not buy twice; an empty field of a message is none."""
    async with world(changes={"redis": "embedded"}) as w:
        assert ("Idempotency-Key",) == (await keyed(w, "rest", RED, "")).fields
        assert 1000 == (await keyed(w, "grpc", RED, "")).cost
