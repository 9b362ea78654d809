"""A cache in trouble costs purchases, never an answer, and never a wrong one."""

from __future__ import annotations

import asyncio
import io
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from PIL import Image

from gateway.emulator import Cut, Emulator, FaultRule, Wrong
from tests.e2e.asks import Ask, ask_rest, edit_of
from tests.e2e.harness import World, replica, world
from tests.e2e.metric_lines import counted
from tests.e2e.purchases import DOORS, had
from tests.servers.fixtures import StartServer
from tests.servers.process import Server
from tests.support.pictures import png

CIRCUIT = "gateway_cache_redis_circuit_open"
TROUBLES = "gateway_cache_redis_troubles"
NO_MEMORY = {"memory": "1KiB"}


def redis_of(state: Server, cache: Server) -> dict[str, object]:
    return {"redis": {"state_url": state.url, "cache_url": cache.url}}


def ask_number(number: int) -> Ask:
    """An edit for each number."""
    return edit_of({}, {"imageFile": png(subject=f"#{number:06x}")})


async def is_open(w: World) -> bool:
    return bool(await counted(w, CIRCUIT))


async def served(w: World, ask: Ask, door: str = "rest") -> tuple[str, int]:
    """Where the answer came from, and what it cost."""
    answer = await had(w, door, ask)
    assert answer.body
    return answer.source, answer.cost


STOPS = {"killed": (Server.kill, Server.start), "hanging": (Server.freeze, Server.thaw)}


@pytest.mark.parametrize(("stop", "revive"), STOPS.values(), ids=STOPS)
async def test_without_its_redis_the_gateway_serves_from_memory_and_buys_the_rest(
    start_server: StartServer, stop: Callable[[Server], None], revive: Callable[[Server], None]
) -> None:
    state, cache = start_server(), start_server()
    async with (
        Emulator() as emulator,
        replica(emulator, changes=redis_of(state, cache)) as one,
        replica(emulator, changes=redis_of(state, cache) | {"cache": NO_MEMORY}) as bare,
    ):
        assert ("miss", 1000) == await served(one, ask_number(1))
        assert ("redis", 0) == await served(bare, ask_number(1))
        stop(cache)
        assert ("memory", 0) == await served(one, ask_number(1))
        await asyncio.gather(*(served(bare, ask_number(1), DOORS[n % 2]) for n in range(4)))
        # A silent server costs every call its time-out until the circuit opens, and none from then on.
        async with asyncio.timeout(20):
            while not await is_open(bare):
                assert ("miss", 1000) == await served(bare, ask_number(1))
        bought = emulator.bill.charges
        async with asyncio.timeout(20):
            for number in range(20):
                assert ("miss", 1000) == await served(bare, ask_number(number))
        assert 20 == emulator.bill.charges - bought
        assert (await counted(bare, TROUBLES, "kind"))[("unavailable",)] > 0
        revive(cache)
        async with asyncio.timeout(20):
            while await is_open(bare):
                await served(bare, ask_number(100))
        await served(bare, ask_number(101))
        assert ("redis", 0) == await served(one, ask_number(101))
        assert ("redis", 0) == await served(bare, ask_number(101))


async def body_of(w: World, ask: Ask) -> bytes:
    return (await had(w, "rest", ask)).body


async def test_what_memory_cannot_hold_is_had_from_redis_and_without_either_bought_again(
    start_server: StartServer,
) -> None:
    state, cache = start_server(), start_server()
    changes = redis_of(state, cache) | {"cache": NO_MEMORY}
    async with world(changes=changes) as w:
        assert [("miss", 1000), ("redis", 0)] == [await served(w, edit_of()) for _ in range(2)]
        cache.kill()
        assert [("miss", 1000)] * 2 == [await served(w, edit_of()) for _ in range(2)]
        assert 3 == w.emulator.bill.charges


@dataclass(frozen=True, slots=True)
class Damage:
    """What is done to the values of all keys of a pattern: the byte at `offset` becomes another one."""

    pattern: str
    offset: int

    def do(self, server: Server) -> int:
        """Damage; how many keys it met."""
        names = [name.decode() for name in server.admin("KEYS", self.pattern)]
        for name in names:
            offset = self.offset % server.admin("STRLEN", name)
            found = server.admin("GETRANGE", name, offset, offset)
            server.admin("SETRANGE", name, offset, "B" if found == b"A" else "A")
        return len(names)


CHUNKS, MANIFESTS, ENTRIES = "pg1:b:*:[0-9]*", "pg1:b:*:m", "pg1:e:*"
DAMAGES = {
    "first bytes": (Damage(CHUNKS, 0), 2),
    "last bytes": (Damage(CHUNKS, -1), 2),
    "size": (Damage(MANIFESTS, 8), 1),
    "version of the manifest": (Damage(MANIFESTS, 0), 1),
    "seal": (Damage(ENTRIES, 0), 1),
    "entry": (Damage(ENTRIES, 40), 1),
    "end of the entry": (Damage(ENTRIES, -2), 1),
}


@asynccontextmanager
async def two_replicas(server: Server) -> AsyncIterator[tuple[World, World]]:
    """One that has in memory what it bought, and one that has to read it from Redis each time."""
    changes = redis_of(server, server)
    async with (
        Emulator() as emulator,
        replica(emulator, changes=changes) as one,
        replica(emulator, changes=changes | {"cache": NO_MEMORY}) as bare,
    ):
        yield one, bare


@pytest.mark.parametrize(("damage", "keys"), DAMAGES.values(), ids=DAMAGES)
async def test_wrong_bytes_in_redis_are_never_served(
    start_server: StartServer, damage: Damage, keys: int
) -> None:
    server, ask = start_server(), edit_of({"removeBackground": "false"}, {"imageFile": noisy()})
    async with two_replicas(server) as (one, bare):
        bought = await had(one, "rest", ask)
        assert keys == damage.do(server)
        again, hit = await had(bare, "rest", ask), await had(bare, "grpc", ask)
        assert [("miss", bought.body), ("redis", bought.body)] == [
            (a.source, a.body) for a in (again, hit)
        ]
        assert 2 == one.emulator.bill.charges
        assert (await counted(bare, TROUBLES, "kind"))[("damaged",)] > 0


@pytest.mark.parametrize("pattern", [CHUNKS, ENTRIES, MANIFESTS])
async def test_whole_values_that_stand_under_another_name_are_never_served(
    start_server: StartServer, pattern: str
) -> None:
    server, asks = start_server(), (ask_number(1), edit_of({}, {"imageFile": png(200, 100)}))
    async with two_replicas(server) as (one, bare):
        bodies = [await body_of(one, ask) for ask in asks]
        first, second = (name.decode() for name in server.admin("KEYS", pattern))
        values = server.admin("DUMP", first), server.admin("DUMP", second)
        for name, value in zip((second, first), values, strict=True):
            server.admin("RESTORE", name, 60_000, value, "REPLACE")
        assert bodies == [await body_of(bare, ask) for ask in asks]
        assert bodies[0] != bodies[1]


def noisy() -> bytes:
    """A photograph whose PNG takes two chunks."""
    noise, out = random.Random(7).randbytes(3 * 500 * 400), io.BytesIO()
    Image.frombytes("RGB", (500, 400), noise).save(out, "JPEG")
    return out.getvalue()


FAULTS = {
    "422": (FaultRule(status=422), "UPSTREAM_REFUSED", 0),
    # It is told to wait too long for another attempt: two 500 would close the edit for a minute.
    "500": (FaultRule(status=500, retry_after="6"), "UPSTREAM_FAILED", 0),
    "504": (FaultRule(status=504), "OUTCOME_UNKNOWN", 0),
    "no picture": (FaultRule(wrong=Wrong.JSON), "UPSTREAM_BAD_ANSWER", 1),
    "nothing": (FaultRule(wrong=Wrong.EMPTY), "UPSTREAM_BAD_ANSWER", 1),
    "half a picture": (FaultRule(cut=Cut.MID_BODY), "UPSTREAM_BAD_ANSWER", 1),
    "cut": (FaultRule(cut=Cut.AFTER_CHARGE), "OUTCOME_UNKNOWN", 1),
}


@pytest.mark.parametrize(("fault", "reason", "lost"), FAULTS.values(), ids=FAULTS)
async def test_an_error_is_not_kept(fault: FaultRule, reason: str, lost: int) -> None:
    async with world(changes={"redis": "embedded"}) as w:
        w.emulator.faults.add(fault)
        failed = await ask_rest(w, edit_of())
        assert reason == failed.json["error"]["type"]
        assert "ETag" not in failed.headers
        w.emulator.faults.clear()
        assert [("miss", 1000), ("memory", 0)] == [await served(w, edit_of()) for _ in range(2)]
        assert 1 + lost == w.emulator.bill.charges
