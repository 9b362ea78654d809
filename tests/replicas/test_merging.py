"""Equal calls over replicas become one purchase."""

from __future__ import annotations

import asyncio
from itertools import cycle
from pathlib import Path

from gateway.emulator import FaultRule
from tests.client.waiting import until
from tests.e2e.asks import edit_of
from tests.replicas.replicas import DOORS, fleet
from tests.servers.fixtures import StartServer

CALLS = 500
SPELLINGS = (
    {"background.color": "red", "padding": "0.3"},
    {"padding": "30%", "background.color": "RED"},
    {"background.color": "f00", "padding": ".30", "margin": "0"},
    {"removeBackground": "true", "background.color": "#FF0000", "padding": "3e-1"},
    {"export.format": "png", "background.color": "#ff0000FF", "padding": "0.300"},
)


async def test_500_equal_calls_over_4_replicas_are_billed_once(
    start_server: StartServer, tmp_path: Path, picture: bytes
) -> None:
    """Both doors and all spellings, and all calls are on their way before the upstream answers."""
    server = start_server()
    async with fleet(4, tmp_path, server.url, time_out="30s") as f, asyncio.timeout(60):
        f.emulator.faults.add(FaultRule(gate="held"))
        asks = cycle(edit_of(texts, {"imageFile": picture}) for texts in SPELLINGS)
        ways = cycle((replica, door) for replica in f.replicas for door in DOORS)
        calls = [
            asyncio.create_task(replica.ask(door, ask))
            for (replica, door), ask, _ in zip(ways, asks, range(CALLS), strict=False)
        ]

        async def all_in_flight() -> bool:
            return await f.in_flight() == CALLS

        await until(all_in_flight)
        f.emulator.gates.open("held")
        answers = await asyncio.gather(*calls)

        assert ["200"] * CALLS == [answer.outcome for answer in answers]
        assert 1 == len({answer.body for answer in answers})
        assert 1 == f.billed
