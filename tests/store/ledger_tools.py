"""What the tests of the ledger share: replicas over one Redis, a time that a test sets, and faults."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from redis.asyncio.client import PubSub

from gateway.domain.edit import Operation
from gateway.domain.limits import Limits
from gateway.domain.tenant import Tenant
from gateway.ports import Claim, Hold, Lead, Settlement
from gateway.store.admission import RedisAdmission
from gateway.store.breaker import Circuit
from gateway.store.connect import connect
from gateway.store.flight_calls import FlightScripts
from gateway.store.flights import RedisFlights
from gateway.store.hold_table import HoldTable
from gateway.store.keyspace import LEDGER_ROOT
from gateway.store.ledger_calls import LedgerScripts
from gateway.store.link import Command, Link
from tests.store.flight_tools import PATIENT, timed
from tests.store.ledger_picture import DUMP, READ, RESTORE, WIPE, Picture, read_picture

__all__ = [
    "NOON",
    "FaultyLink",
    "HastyClock",
    "LedgerWorld",
    "Replica",
    "a_claim",
    "a_tenant",
    "timed_board",
    "timed_ledger",
    "us",
]


T = TypeVar("T")


def us(moment: datetime) -> int:
    """Microseconds since the epoch."""
    return int(moment.timestamp()) * 1_000_000


NOON = us(datetime(2096, 10, 10, 12, tzinfo=UTC))
"""In the midst of a month in every time zone, and later than any day on which this runs: what Redis is
to forget at the end of a month must not be past by its own clock."""


def timed_ledger(clock: str) -> LedgerScripts:
    """The scripts with another `now()`: microseconds from the key `clock`, in the slot of `{ctl}`."""
    return timed(LedgerScripts.load(), f"tonumber(redis.call('GET', '{clock}'))")


def timed_board(clock: str) -> FlightScripts:
    """The scripts of flights by the same clock."""
    return timed(FlightScripts.load(), f"math.floor(redis.call('GET', '{clock}') / 1000)")


def a_tenant(name: str = "", **limits: Any) -> Tenant:
    """A tenant with these limits, of a name that no other test has."""
    return Tenant(name or "t" + secrets.token_hex(4), limits=Limits(**limits))


def a_claim(tenant: Tenant, cost: int = 1_000, *, name: str = "", seconds: float = 60.0) -> Claim:
    """A claim of its own name."""
    return Claim(name or secrets.token_hex(8), tenant, Operation.EDIT, cost, seconds)


class HastyClock:
    """Whenever somebody reads it, `step` seconds have passed: patience ends soon."""

    def __init__(self, step: float) -> None:
        self._now = 0.0
        self._step = step

    def __call__(self) -> float:
        self._now += self._step
        return self._now


class FaultyLink(Link):
    """Another link, whose commands and answers may be lost. Its circuit never stays open.

    `cut`: nothing is carried out. `lose`: so many answers are lost to what is carried out; `unheard`: so
    are all answers to commands with this word. `gate` holds the next answer back until it is set.
    """

    def __init__(self, behind: Link) -> None:
        super().__init__(Circuit(HastyClock(10.0)), 64, PATIENT)
        self._behind = behind
        self.cut = False
        self.lose = 0
        self.unheard = ""
        self.gate: asyncio.Event | None = None

    async def _send(self, commands: Sequence[Command]) -> list[Any]:
        if self.cut:
            raise ConnectionError
        replies = await self._behind._send(commands)
        gate, self.gate = self.gate, None
        if gate is not None:
            await gate.wait()
        if self.unheard and any(self.unheard in command for command in commands):
            raise ConnectionError
        if self.lose:
            self.lose -= 1
            raise ConnectionError
        return replies

    async def _pubsub(self) -> PubSub:
        return await self._behind._pubsub()

    async def aclose(self) -> None:
        await self._behind.aclose()


@dataclass(slots=True)
class Replica:
    """One replica's admission and board, over a link of its own."""

    admission: RedisAdmission
    board: RedisFlights
    table: HoldTable
    link: FaultyLink
    name: str

    async def admit(self, tenant: Tenant, cost: int = 1_000, *, seconds: float = 60.0) -> Hold:
        return await self.admission.admit(a_claim(tenant, cost, seconds=seconds))

    async def lead(self, *, seconds: float = 60.0) -> Lead:
        """Lead a flight that nobody else knows."""
        flight = secrets.token_hex(8)
        joined = await self.board.join(flight, timeout=seconds, seen=-1, token=flight)
        assert isinstance(joined, Lead)
        return joined

    async def send(self, hold: Hold) -> None:
        """Mark a hold as sent, with a flight of its own, as `Payment.board` does."""
        lead = await self.lead(seconds=hold.seconds)
        assert await self.board.sent(lead, hold)
        self.admission.sent(hold)

    async def buy(self, tenant: Tenant, cost: int = 1_000, *, seconds: float = 60.0) -> Hold:
        """Be admitted and send."""
        hold = await self.admit(tenant, cost, seconds=seconds)
        await self.send(hold)
        return hold

    async def spend(self, tenant: Tenant, count: int = 1, cost: int = 1_000) -> None:
        """Buy, and have told Redis that all of it was charged."""
        for _ in range(count):
            self.admission.settle(await self.buy(tenant, cost), Settlement.POSTED)
        await self.tell()

    async def held_back(
        self, work: Coroutine[Any, Any, T]
    ) -> tuple[asyncio.Event, asyncio.Task[T]]:
        """Begin `work`: Redis has carried its call out, and the answer comes when the event is set."""
        self.link.gate = gate = asyncio.Event()
        task = asyncio.ensure_future(work)
        async with asyncio.timeout(10):
            while self.link.gate is gate:  # noqa: ASYNC110 - a link tells nobody of its faults
                await asyncio.sleep(0)
        await asyncio.wait([task], timeout=0.02)
        assert not task.done()
        return gate, task

    async def tell(self) -> None:
        """One beat, and those that it wakes."""
        teller = self.admission._teller
        await teller._tell_all()
        while teller._due.is_set():
            await teller._tell_all()


@dataclass(slots=True)
class LedgerWorld:
    """Replicas over the Redis at `url`, whose books are their own, and a clock that a test sets.

    `now` is in microseconds. `living` is how many replicas each of them takes for alive.
    """

    url: str
    stack: AsyncExitStack
    now: int = NOON
    living: int = 1
    clock: str = field(default_factory=lambda: "test:{ctl}:time:" + secrets.token_hex(8))
    replicas: list[Replica] = field(default_factory=list)
    admin: Link | None = None

    @classmethod
    @asynccontextmanager
    async def at(
        cls, url: str, *, now: int = NOON, is_open: bool = True
    ) -> AsyncIterator[LedgerWorld]:
        """Empty books, or such as admit already."""
        async with AsyncExitStack() as stack:
            world = cls(url, stack, now)
            world.admin = world._connect()
            await world.lose_all()
            stack.push_async_callback(world.lose_all)
            await world.pass_time(0)
            if is_open:
                await world.ask("HSET", LEDGER_ROOT + "gen", "id", "g1", "open_at", 0)
            yield world

    async def replica(
        self,
        *,
        running: bool = False,
        timed: bool = True,
        hasty: float = 0.0,
        wrong_by: float = 0.0,
    ) -> Replica:
        """One more replica. Not running, it tells only when a test says so.

        Not `timed`, it lives by the clocks of the machine; else by the world's, `wrong_by` seconds. A
        `hasty` one finds that so many seconds have passed whenever it looks: it waits for no Redis.
        """
        link, name = FaultyLink(self._connect()), "r" + secrets.token_hex(4)
        wall: Callable[[], float] = (lambda: self.now / 1e6 + wrong_by) if timed else time.time
        table = HoldTable(HastyClock(hasty) if hasty else wall if timed else time.monotonic)
        admission = RedisAdmission(
            link,
            name,
            table,
            replicas=lambda: self.living,
            scripts=timed_ledger(self.clock) if timed else None,
            wall=wall,
        )
        if running:
            await self.stack.enter_async_context(admission.running())
        scripts = timed_board(self.clock) if timed else None
        board = RedisFlights(link, name, table=table, scripts=scripts)
        replica = Replica(admission, board, table, link, name)
        self.replicas.append(replica)
        return replica

    async def pass_time(self, seconds: float) -> None:
        self.now += round(seconds * 1e6)
        await self.ask("SET", self.clock, self.now)

    async def tell(self) -> None:
        """Let every replica tell all that it has to tell."""
        for replica in self.replicas:
            await replica.tell()

    async def picture(self) -> Picture:
        answer = await self.ask("EVAL", READ, 1, LEDGER_ROOT)
        assert isinstance(answer, list)
        return read_picture(answer)

    async def lose_all(self) -> None:
        """Empty the books, as FLUSHALL does."""
        await self.ask("EVAL", WIPE, 1, LEDGER_ROOT)

    async def save(self) -> list[Any]:
        """What a replica of Redis has got so far."""
        answer = await self.ask("EVAL", DUMP, 1, LEDGER_ROOT)
        assert isinstance(answer, list)
        return answer

    async def go_back(self, saved: list[Any]) -> None:
        """Fail over to that replica of Redis: what came after `saved` is lost."""
        await self.ask("EVAL", RESTORE, 1, LEDGER_ROOT, *saved)

    async def ask(self, *command: str | bytes | memoryview | int) -> object:
        assert self.admin is not None
        [reply] = await self.admin.exchange(command)
        return reply

    def _connect(self) -> Link:
        link = connect(self.url, connections=64, time_outs=PATIENT)
        self.stack.push_async_callback(link.aclose)
        return link
