"""Callers leave, and replicas die: what is bought then."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gateway.emulator import FaultRule
from tests.client.waiting import until
from tests.e2e.asks import Ask, edit_of
from tests.replicas.replicas import (
    DOORS,
    Answer,
    Fleet,
    Replica,
    equal,
    fleet,
    phases,
    until_followed,
)
from tests.servers.fixtures import StartServer
from tests.servers.process import Server

PATIENCE = 40
HELD = "held"


async def test_a_leader_that_dies_before_it_has_sent_costs_nothing(
    start_server: StartServer, tmp_path: Path, picture: bytes
) -> None:
    """A silent cache keeps the leader between joining and `sent`; there it is stopped."""
    state, cache = start_server(), start_server()
    ask = edit_of({}, {"imageFile": picture})
    async with (
        fleet(3, tmp_path, state.url, cache=cache.url) as f,
        asyncio.timeout(PATIENCE),
    ):
        leader, *others = f.replicas
        cache.freeze()
        lost = [asyncio.create_task(leader.ask(door, ask)) for door in DOORS]
        await until_phases(state, ["prepared"])
        leader.freeze()
        cache.thaw()
        assert ["prepared"] == phases(state)
        calls = [asyncio.create_task(r.ask(door, ask)) for r in others for door in DOORS]
        await until_followed(state, len(others))
        assert 0 == f.billed
        leader.kill()

        assert ["cut", "cut"] == [(await call).outcome for call in lost]
        retried = [others[0].ask(door, ask) for door in DOORS]
        equal(await asyncio.gather(*calls, *retried))
        assert 1 == f.billed


async def test_a_leader_that_dies_after_it_has_sent_costs_one_more_purchase(
    start_server: StartServer, tmp_path: Path, picture: bytes
) -> None:
    """Of each edit that it had in flight, whether its own was charged before it died or after."""
    state = start_server()
    asks = [edit_of({"padding": padding}, {"imageFile": picture}) for padding in ("0.1", "0.2")]
    async with fleet(3, tmp_path, state.url) as f, asyncio.timeout(PATIENCE):
        leader, *others = f.replicas
        for charged in (False, True):
            f.emulator.faults.add(FaultRule(gate=HELD, gate_after_charge=charged, times=1))
        lost = [asyncio.create_task(leader.ask(door, ask)) for ask in asks for door in DOORS]
        await f.emulator.until(lambda: f.emulator.gates.waiting(HELD) == len(asks))
        assert 1 == f.billed
        leader.freeze()
        calls = [
            [asyncio.create_task(r.ask(door, ask)) for r in others for door in DOORS]
            for ask in asks
        ]
        await until_followed(state, len(asks) * len(others))
        leader.kill()

        assert {"cut"} == {(await call).outcome for call in lost}
        for ask, same in zip(asks, calls, strict=True):
            retried = [others[0].ask(door, ask) for door in DOORS]
            equal(await asyncio.gather(*same, *retried))
        f.emulator.gates.open(HELD)
        await f.emulator.until(lambda: not f.emulator.gates.waiting(HELD) and f.billed >= 4)
        assert {2} == set(f.bought.values())


async def test_what_all_callers_left_after_it_was_sent_is_stored(
    start_server: StartServer, tmp_path: Path, picture: bytes
) -> None:
    server = start_server()
    ask = edit_of({}, {"imageFile": picture})
    async with fleet(2, tmp_path, server.url) as f, asyncio.timeout(PATIENCE):
        f.emulator.faults.add(FaultRule(gate=HELD))
        calls = [asyncio.create_task(r.ask(door, ask)) for r in f.replicas for door in DOORS]
        await f.emulator.until(lambda: f.emulator.gates.waiting(HELD) == 1)
        await until_followed(server, 1)
        await leave(f, calls)
        assert 0 == f.billed
        f.emulator.gates.open(HELD)
        for replica in f.replicas:
            await until_stored(replica, ask)

        answers = [await r.ask(door, ask) for r in f.replicas for door in DOORS]
        equal(answers)
        assert all(answer.hit for answer in answers)
        assert 1 == f.billed


async def test_what_all_callers_left_before_it_was_sent_is_not_bought(
    start_server: StartServer, tmp_path: Path, picture: bytes
) -> None:
    """A silent cache keeps the leader between joining and `sent`, as above."""
    state, cache = start_server(), start_server()
    ask = edit_of({}, {"imageFile": picture})
    async with (
        fleet(2, tmp_path, state.url, cache=cache.url) as f,
        asyncio.timeout(PATIENCE),
    ):
        cache.freeze()
        calls = [asyncio.create_task(r.ask(door, ask)) for r in f.replicas for door in DOORS]
        await until_phases(state, ["prepared"])
        await leave(f, calls)
        await until_phases(state, ["free"])
        cache.thaw()
        assert {} == f.emulator.bill.requests

        equal(await asyncio.gather(*(r.ask(door, ask) for r in f.replicas for door in DOORS)))
        assert 1 == f.billed


async def leave(f: Fleet, calls: list[asyncio.Task[Answer]]) -> None:
    """Hang up, and wait until the replicas have seen it."""
    for call in calls:
        call.cancel()
    await asyncio.wait(calls)
    assert all(call.cancelled() for call in calls)

    async def nobody_waits() -> bool:
        return await f.number("gateway_requests_in_flight") == 0

    await until(nobody_waits)


async def until_phases(state: Server, expected: list[str]) -> None:
    async def are_so() -> bool:
        return phases(state) == expected

    await until(are_so)


async def until_stored(replica: Replica, ask: Ask) -> None:
    async def is_stored() -> bool:
        return (await replica.look(ask)).outcome == "200"

    await until(is_stored)
