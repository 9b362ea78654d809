"""Redis is restarted, fails over, hangs, and is emptied while 200 edits are asked for on each replica.

What may be bought then: a replica merges its own calls and keeps what it bought, so it buys an edit
once at most, whatever Redis does. Over replicas, an edit whose calls were all answered before the
trouble began was bought once, for the board worked; and so is one that is first asked for when the
board is there again. The other edits are exposed:

    edits <= billed <= edits + exposed * (replicas - 1).

Without trouble nothing is exposed. Where the board is away for a time that the test does not know, all
that is unanswered when the trouble begins counts; where it is emptied, which takes no time, only what
was asked for before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.emulator import EmulatorSettings, LatencySettings
from gateway.store.keyspace import TICK
from tests.client.waiting import until
from tests.e2e.asks import Ask, edit_of
from tests.replicas.edits import colour
from tests.replicas.replicas import DOORS, Answer, Fleet, fleet
from tests.servers.cluster import Cluster
from tests.servers.fixtures import StartServer
from tests.servers.process import Server
from tests.servers.sentinel import SentinelSet
from tests.support.pictures import opened

EDITS = 200
AT_ONCE = 50
BEFORE = 50  # edits that are answered before the trouble begins
AFTER = range(EDITS, EDITS + 20)
REPLICAS = 2
PAUSE = 3.0
PATIENCE = 90
SETTINGS = EmulatorSettings(latency=LatencySettings(edit=(0.1, 0.7)))
TRUSTED = {"emergency_images": 2 * EDITS * REPLICAS}
"""Limits of a tenant that goes on without Redis: each replica has its share of 80 %."""


@dataclass(slots=True)
class Numbers:
    """Edits by number, each of a colour of its own, and what came of them."""

    f: Fleet
    picture: bytes
    begun: set[int] = field(default_factory=set)
    answers: dict[int, list[Answer]] = field(default_factory=dict)
    free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    def ask(self, number: int) -> Ask:
        texts = {"background.color": colour(number), "padding": "0.2"}
        return edit_of(texts, {"imageFile": self.picture})

    async def edit(self, number: int) -> None:
        """Ask every replica, at changing doors; every third edit not of all at once."""
        async with self.free:
            self.begun.add(number)
            ask = self.ask(number)
            calls = [
                replica.ask(DOORS[(number + i) % 2], ask)
                for i, replica in enumerate(self.f.replicas)
            ]
            if number % 3:
                answers = await asyncio.gather(*calls)
            else:
                answers = [await call for call in calls]
            self.answers[number] = answers

    def check(self) -> None:
        """Every caller has the picture of its own edit."""
        for number, answers in self.answers.items():
            assert ["200"] * REPLICAS == [answer.outcome for answer in answers]
            for answer in answers:
                corner = opened(answer.body).convert("RGB").crop((0, 0, 1, 1)).tobytes()
                assert colour(number) == f"#{corner.hex()}"


@dataclass(frozen=True, slots=True)
class Trouble:
    """`at_once`: the board is there again before anybody can ask. `heal` ends what does not by itself."""

    strike: Callable[[], Awaitable[None]]
    at_once: bool = False
    heal: Callable[[], None] = lambda: None


async def ride_out(f: Fleet, picture: bytes, trouble: Trouble) -> None:
    """Send edits, let the trouble come between them, and look at the bill."""
    numbers = Numbers(f, picture)
    edits = [asyncio.create_task(numbers.edit(number)) for number in range(EDITS)]

    async def some_are_answered() -> bool:
        return len(numbers.answers) >= BEFORE

    await until(some_are_answered)
    begun = numbers.begun if trouble.at_once else range(EDITS)
    exposed = len(set(begun) - set(numbers.answers))
    assert exposed
    await trouble.strike()
    await asyncio.gather(*edits)

    numbers.check()
    bound = EDITS + exposed * (REPLICAS - 1)
    print(  # noqa: T201 - shown by `pytest -s`
        f"billed {f.billed} for {EDITS} edits on {REPLICAS} replicas; bound {bound}, as {exposed} "
        "edits were exposed to the trouble"
    )
    assert EDITS == len(f.bought)
    assert max(f.bought.values()) <= REPLICAS
    assert f.billed <= bound

    trouble.heal()
    await the_cache_is_back(numbers)
    billed = f.billed
    await asyncio.gather(*(numbers.edit(number) for number in AFTER))
    numbers.check()
    assert len(AFTER) == f.billed - billed


async def the_cache_is_back(numbers: Numbers) -> None:
    """Read in vain until every replica reads its Redis again."""
    nothing = numbers.ask(-1)

    async def is_back() -> bool:
        for replica in numbers.f.replicas:
            assert "NOT_CACHED" == (await replica.look(nothing)).outcome
            if await replica.number("gateway_cache_redis_circuit_open"):
                return False
        return True

    await until(is_back)


async def restarted(server: Server) -> None:
    server.kill()
    server.start()


async def frozen(server: Server) -> None:
    server.freeze()
    try:
        await asyncio.sleep(PAUSE)  # the trouble itself
    finally:
        server.thaw()


async def killed(server: Server) -> None:
    server.kill()


def of_the_board(cluster: Cluster) -> Server:
    """The master that has the board."""
    masters = cluster.masters()
    slot = masters[0].admin("CLUSTER", "KEYSLOT", TICK)
    [owner] = [m for m in masters if m.admin("CLUSTER", "COUNTKEYSINSLOT", slot)]
    return owner


@contextmanager
def healed(servers: SentinelSet | Cluster) -> Iterator[None]:
    """Leave servers that others share as they were."""
    try:
        yield
    finally:
        servers.heal()


async def emptied(server: Server) -> None:
    server.admin("FLUSHALL")


TROUBLES = {
    "restarted": (restarted, ("--appendonly", "yes")),
    "frozen": (frozen, ()),
    "emptied": (emptied, ()),
}


@pytest.mark.parametrize(("strike", "options"), TROUBLES.values(), ids=TROUBLES)
async def test_no_wrong_picture_and_a_bounded_bill_when_redis_is(
    strike: Callable[[Server], Awaitable[None]],
    options: tuple[str, ...],
    start_server: StartServer,
    tmp_path: Path,
    picture: bytes,
) -> None:
    server = start_server(*options)
    trouble = Trouble(lambda: strike(server), at_once=strike is emptied)
    async with (
        fleet(REPLICAS, tmp_path, server.url, settings=SETTINGS, limits=TRUSTED) as f,
        asyncio.timeout(PATIENCE),
    ):
        await ride_out(f, picture, trouble)


async def test_no_wrong_picture_and_a_bounded_bill_when_sentinels_fail_over(
    sentinel_set: SentinelSet, tmp_path: Path, picture: bytes
) -> None:
    trouble = Trouble(lambda: killed(sentinel_set.master()), heal=sentinel_set.heal)
    with healed(sentinel_set):
        async with (
            fleet(REPLICAS, tmp_path, sentinel_set.url, settings=SETTINGS, limits=TRUSTED) as f,
            asyncio.timeout(PATIENCE),
        ):
            await ride_out(f, picture, trouble)


async def test_no_wrong_picture_and_a_bounded_bill_when_a_cluster_fails_over(
    redis_cluster: Cluster, tmp_path: Path, picture: bytes
) -> None:
    trouble = Trouble(lambda: killed(of_the_board(redis_cluster)), heal=redis_cluster.heal)
    with healed(redis_cluster):
        async with (
            fleet(REPLICAS, tmp_path, redis_cluster.url, settings=SETTINGS, limits=TRUSTED) as f,
            asyncio.timeout(PATIENCE),
        ):
            await ride_out(f, picture, trouble)
