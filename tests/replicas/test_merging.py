"""Equal calls over replicas become one purchase, and one refusal."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import cycle
from pathlib import Path

import grpc

from gateway.emulator import FaultRule
from tests.e2e.asks import edit_of
from tests.e2e.test_refusals_kept import corrupt
from tests.replicas.edits import ways
from tests.replicas.replicas import Answer, equal, fleet, until_followed
from tests.servers.fixtures import StartServer

CALLS = 500
FLOOD = 30
PATIENCE = 60
ARRIVING = 0.7
"""Seconds in which callers go on arriving: with what a busy machine adds, the upstream's answer still
comes within its time-out of 2 s."""

SPELLINGS = (
    {"background.color": "red", "padding": "0.3"},
    {"padding": "30%", "background.color": "RED"},
    {"background.color": "f00", "padding": ".30", "margin": "0"},
    {"removeBackground": "true", "background.color": "#FF0000", "padding": "3e-1"},
    {"export.format": "png", "background.color": "#ff0000FF", "padding": "0.300"},
)
REFUSED = {
    "rest": Answer("UPSTREAM_REFUSED", 400),
    "grpc": Answer("UPSTREAM_REFUSED", grpc.StatusCode.FAILED_PRECONDITION),
}


async def test_500_equal_calls_over_4_replicas_are_billed_once(
    start_server: StartServer, tmp_path: Path, picture: bytes
) -> None:
    """Both doors and all spellings race for the lead. Who is late has a hit, but most are not late."""
    server = start_server()
    async with fleet(4, tmp_path, server.url) as f, asyncio.timeout(PATIENCE):
        f.emulator.faults.add(FaultRule(gate="held", gate_after_charge=True))
        asks = cycle([edit_of(texts, {"imageFile": picture}) for texts in SPELLINGS])
        calls = [
            asyncio.create_task(replica.ask(door, ask))
            for (replica, door), ask in zip(ways(f, CALLS), asks, strict=False)
        ]
        await f.emulator.until(lambda: f.emulator.gates.waiting("held") >= 1)
        await until_followed(server, 3)
        await asyncio.wait(calls, timeout=ARRIVING)
        f.emulator.gates.open("held")
        answers = await asyncio.gather(*calls)

        equal(answers)
        assert 1 == f.billed
        sources = Counter(answer.source for answer in answers)
        print(f"billed {f.billed} for {CALLS} calls: {dict(sources)}")  # noqa: T201 - shown by `pytest -s`
        assert 1 == sources["miss"]
        assert sources["memory"] < CALLS / 2


async def test_a_flood_of_one_corrupt_picture_is_one_upstream_call(
    start_server: StartServer, tmp_path: Path
) -> None:
    """Half of it comes at once, and half when the refusal is known."""
    ask = edit_of({}, {"imageFile": corrupt()})
    async with fleet(3, tmp_path, start_server().url) as f, asyncio.timeout(PATIENCE):
        ends: list[Answer] = []
        for _ in range(2):
            ends += await asyncio.gather(*(r.ask(door, ask) for r, door in ways(f, FLOOD)))
        expected = [REFUSED[door] for _, door in ways(f, FLOOD)]
        assert expected * 2 == ends
        assert {"POST /v2/edit": 1} == dict(f.emulator.bill.requests)
        assert 0 == f.billed
