"""What a flight costs: its calls of Redis, and how long after the upstream's answer its callers have it.

Leader and followers are two replicas' flights in this one process, over one embedded Redis. So the
followers' times hold the work of all of them on one core, and neither doors nor pictures.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from bench.plan import Plan
from bench.report import table
from bench.stats import Spread, percentile
from gateway.domain.edit import Operation
from gateway.domain.errors import GatewayError
from gateway.domain.periods import Period
from gateway.flights import Boarding, Flights, Landed
from gateway.ports import Hold, Lead
from gateway.store.connect import connect
from gateway.store.embedded import EmbeddedRedis
from gateway.store.flights import RedisFlights
from gateway.store.link import Link

__all__ = ["measure_flights"]

_CROWDS = (1, 32, 500)
_FLIGHTS = 500
_TIMEOUT = 60.0
_SETTLE = 0.1  # seconds in which all followers are aboard


async def measure_flights(plan: Plan) -> str:
    """Measure, and return the tables in Markdown."""
    async with _pair() as (one, other, link):
        steps = await _steps(one, link, plan.repeats)
        crowds = [await _crowd(Flights(one), Flights(other), n, plan.repeats) for n in _CROWDS]
    head = ("followers", "same replica p50", "p99, ms", "another replica p50", "p99, ms")
    return "\n".join([*table(("a flight", "measured"), steps), *table(head, crowds)])


@asynccontextmanager
async def _pair() -> AsyncIterator[tuple[RedisFlights, RedisFlights, Link]]:
    """Two replicas' boards, and a link to ask the server with."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(EmbeddedRedis.running())
        links = [connect(server.url) for _ in range(3)]
        for link in links:
            stack.push_async_callback(link.aclose)
        boards = [RedisFlights(link, uuid.uuid4().hex) for link in links[:2]]
        for board in boards:
            await stack.enter_async_context(board.running())
        yield boards[0], boards[1], links[2]


async def _steps(board: RedisFlights, link: Link, repeats: int) -> list[tuple[str, ...]]:
    """Lead flights one after the other: join, sent, complete."""
    walls, cpus = [], []
    before = await _calls(link)
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(_FLIGHTS):
            await _fly_alone(board)
        walls.append((time.perf_counter() - wall) / _FLIGHTS * 1e6)
        cpus.append((time.process_time() - cpu) / _FLIGHTS * 1e6)
    calls = (await _calls(link) - before) / (repeats * _FLIGHTS)
    return [
        ("round trips", f"{calls:.2f}"),
        ("us from its beginning to its end", Spread.of(walls).text()),
        ("of it CPU of the replica, us", Spread.of(cpus).text()),
    ]


async def _fly_alone(board: RedisFlights) -> None:
    name = uuid.uuid4().hex
    lead = await board.join(name, timeout=_TIMEOUT, seen=-1, token=name)
    assert isinstance(lead, Lead)
    assert await board.sent(lead)
    await board.complete(lead, "stored")


async def _calls(link: Link) -> int:
    """How many calls of scripts the server has answered."""
    [told] = await link.exchange(("INFO", "commandstats"))
    counts: Mapping[str, int] = told.get("cmdstat_evalsha", {"calls": 0})
    return counts["calls"]


@dataclass(slots=True)
class _Trip:
    """A flight whose upstream answers when `answer` is set; what is stored is found at once."""

    answer: asyncio.Event = field(default_factory=asyncio.Event)
    timeout: float = _TIMEOUT

    async def look(self, *, landed: bool) -> bool | None:
        return True if landed else None

    async def lead(self, boarding: Boarding) -> Landed[bool]:
        what = (uuid.uuid4().hex, "bench", Operation.EDIT, 0, self.timeout)
        await boarding.sent(Hold(*what, Period(0, 2**45), trusted=True))
        await self.answer.wait()
        return Landed(value=True, stored=True)

    def meets(self, error: GatewayError) -> bool:
        del error
        return False


async def _crowd(one: Flights, other: Flights, followers: int, repeats: int) -> tuple[str, ...]:
    """Let so many callers follow a leader, on its replica and, in another flight, on the other one."""
    near, far = [], []
    for _ in range(repeats):
        near += await _follow(one, one, followers)
        far += await _follow(one, other, followers)
    return (str(followers), *_cells(near), *_cells(far))


async def _follow(leading: Flights, following: Flights, followers: int) -> list[float]:
    """Return the seconds from the upstream's answer until each follower has it."""
    name, trip = uuid.uuid4().hex, _Trip()
    leader = asyncio.create_task(leading.fly(name, trip))
    await asyncio.sleep(_SETTLE)
    answered = 0.0

    async def follow() -> float:
        await following.fly(name, trip)
        return time.perf_counter() - answered

    tasks = [asyncio.create_task(follow()) for _ in range(followers)]
    await asyncio.sleep(_SETTLE)
    answered = time.perf_counter()
    trip.answer.set()
    took = await asyncio.gather(*tasks)
    await leader
    return took


def _cells(took: list[float]) -> Iterator[str]:
    for share in (0.5, 0.99):
        yield f"{percentile(took, share) * 1e3:.2f}"
