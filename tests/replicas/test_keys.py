"""A call under an idempotency key is one call on every replica, also when nobody knows how it ended."""

from __future__ import annotations

import asyncio
from itertools import cycle
from pathlib import Path

import grpc

from gateway.domain.caching import CacheMode
from gateway.emulator import Cut, FaultRule
from tests.e2e.asks import edit_of
from tests.e2e.test_idempotency import lose
from tests.replicas.replicas import DOORS, Answer, equal, fleet, until_followed
from tests.servers.fixtures import StartServer

PATIENCE = 40
HELD = "held"
NAME = "order-4711"
BYPASS = CacheMode.BYPASS  # nothing but the key makes two such calls one
Code = grpc.StatusCode

CONFLICT = {
    "rest": Answer("IDEMPOTENCY_CONFLICT", 422),
    "grpc": Answer("IDEMPOTENCY_CONFLICT", Code.INVALID_ARGUMENT),
}
GONE = {
    "rest": Answer("RESULT_GONE", 409),
    "grpc": Answer("RESULT_GONE", Code.FAILED_PRECONDITION),
}
UNKNOWN = {
    "rest": Answer("OUTCOME_UNKNOWN", 504),
    "grpc": Answer("OUTCOME_UNKNOWN", Code.ABORTED),
}


async def test_an_outcome_is_replayed_on_another_replica_free_of_charge(
    start_server: StartServer, tmp_path: Path, picture: bytes
) -> None:
    ask = edit_of({}, {"imageFile": picture})
    async with fleet(2, tmp_path, start_server().url) as f, asyncio.timeout(PATIENCE):
        one, other = f.replicas
        for door in DOORS:
            bought = await one.ask(door, ask, name=f"bought-at-{door}", mode=BYPASS)
            assert ("bypass", 1000) == (bought.source, bought.cost)
            again = [
                await replica.ask(d, ask, name=f"bought-at-{door}", mode=BYPASS)
                for replica in (other, one)
                for d in DOORS
            ]
            equal([bought, *again])
            assert {("replay", 0)} == {(answer.source, answer.cost) for answer in again}
        assert len(DOORS) == f.billed


async def test_a_key_conflicts_with_another_request_on_another_replica(
    start_server: StartServer, tmp_path: Path, picture: bytes
) -> None:
    """While the first call is on its way, and when it has been served."""
    ask = edit_of({}, {"imageFile": picture})
    different = ask.also({"padding": "0.2"})
    async with fleet(2, tmp_path, start_server().url) as f, asyncio.timeout(PATIENCE):
        one, other = f.replicas
        f.emulator.faults.add(FaultRule(gate=HELD))
        call = asyncio.create_task(one.ask("rest", ask, name=NAME))
        await f.emulator.until(lambda: f.emulator.gates.waiting(HELD) == 1)
        early = {door: await other.ask(door, different, name=NAME) for door in DOORS}
        f.emulator.gates.open(HELD)
        assert 1000 == (await call).cost
        late = {door: await other.ask(door, different, name=NAME) for door in DOORS}
        assert [CONFLICT, CONFLICT] == [early, late]
        assert {"POST /v2/edit": 1} == dict(f.emulator.bill.requests)


async def test_a_result_that_is_lost_is_not_bought_again_under_its_key(
    start_server: StartServer, tmp_path: Path, picture: bytes
) -> None:
    """The replica that has it in its memory replays it; the others never saw it."""
    server = start_server()
    ask = edit_of({}, {"imageFile": picture})
    async with fleet(3, tmp_path, server.url) as f, asyncio.timeout(PATIENCE):
        one, *others = f.replicas
        bought = await one.ask("rest", ask, name=NAME)
        lose(server, "pg1:b:*")
        for replica in others:
            assert GONE == {door: await replica.ask(door, ask, name=NAME) for door in DOORS}
        kept = [await one.ask(door, ask, name=NAME) for door in DOORS]
        equal([bought, *kept])
        assert {"replay"} == {answer.source for answer in kept}
        assert 1 == f.billed


async def test_what_was_cut_after_the_charge_is_sent_again_only_for_a_caller_who_says_so(
    start_server: StartServer, tmp_path: Path, picture: bytes
) -> None:
    """Each replica has a caller in the flight, each under a key of its own: all are told that nobody
    knows, and so are their retries under these keys, on any replica. A call without a key is a new one.
    """
    server = start_server()
    ask = edit_of({}, {"imageFile": picture})
    async with fleet(3, tmp_path, server.url) as f, asyncio.timeout(PATIENCE):
        f.emulator.faults.add(FaultRule(gate=HELD, cut=Cut.AFTER_CHARGE, times=1))
        callers = list(zip(f.replicas, cycle(DOORS), ("one", "two", "three"), strict=False))
        calls = [
            asyncio.create_task(replica.ask(door, ask, name=name))
            for replica, door, name in callers
        ]
        await f.emulator.until(lambda: f.emulator.gates.waiting(HELD) == 1)
        await until_followed(server, 2)
        f.emulator.gates.open(HELD)
        assert [UNKNOWN[door] for _, door, _ in callers] == await asyncio.gather(*calls)
        counts = ("gateway_requests_total", "gateway_upstream_calls_total")
        assert [3, 1] == [await f.number(count, outcome="OUTCOME_UNKNOWN") for count in counts]

        for replica in f.replicas:
            for _, _, name in callers:
                retries = {door: await replica.ask(door, ask, name=name) for door in DOORS}
                assert UNKNOWN == retries
        assert {"POST /v2/edit": 1} == dict(f.emulator.bill.requests)
        assert 1 == f.billed

        again = await f.replicas[-1].ask("grpc", ask)
        assert ("miss", 1000) == (again.source, again.cost)
        assert 2 == f.billed
