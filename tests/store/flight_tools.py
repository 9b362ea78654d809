"""What the tests of flights share: replicas over one Redis, and scripts that read their time from a key."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, fields
from typing import TypeVar

from gateway.ports import BoardUnavailable, Ended, Follow, Joined, Lead
from gateway.store.connect import connect
from gateway.store.flight_calls import FlightRules, FlightScripts
from gateway.store.flights import RedisFlights
from gateway.store.keyspace import WAKE_PREFIX, flight_key
from gateway.store.ledger_calls import LedgerScripts
from gateway.store.link import Command, Link, RedisTrouble, TimeOuts
from gateway.store.scripts import Script

__all__ = [
    "PATIENT",
    "FlightWorld",
    "Replica",
    "persistently",
    "set_time",
    "timed",
    "timed_scripts",
    "until",
]

TIMEOUT = 60.0
PATIENT = TimeOuts(connect=10.0, operation=10.0)
"""A busy machine is no outage; tests of outages bring their own."""
NOW = re.compile(r"^local function now\(\) .* end$", re.MULTILINE)
T = TypeVar("T")
Scripts = TypeVar("Scripts", FlightScripts, LedgerScripts)


def timed_scripts(clock: str) -> FlightScripts:
    """The scripts with another `now()`: milliseconds from the key `clock`, in the slot of `{ctl}`."""
    return timed(FlightScripts.load(), f"tonumber(redis.call('GET', '{clock}'))")


def timed(shipped: Scripts, reading: str) -> Scripts:
    """The scripts with a `now()` that answers the Lua expression `reading`."""
    scripts: dict[str, Script] = {}
    replaced = f"local function now() return {reading} end"
    for name in (one.name for one in fields(shipped)):
        text, lines = NOW.subn(lambda _: replaced, getattr(shipped, name).text)
        assert 1 == lines, f"{name}.lua has one line that tells the time"
        scripts[name] = Script.of(text)
    return type(shipped)(**scripts)


def set_time(clock: str, now: int) -> Command:
    """The command that sets the time of `timed_scripts`."""
    return ("SET", clock, now)


@dataclass(slots=True)
class Replica:
    """One replica's board and link. `seen` is as the pipeline keeps it; every join has a new token."""

    board: RedisFlights
    link: Link
    name: str
    disowned: list[Lead] = field(default_factory=list)

    async def join(self, flight: str, *, seen: int = -1, token: str = "") -> Joined:
        return await self.board.join(
            flight, timeout=TIMEOUT, seen=seen, token=token or secrets.token_hex(8)
        )

    async def lead(self, flight: str, *, seen: int = -1) -> Lead:
        joined = await self.join(flight, seen=seen)
        assert isinstance(joined, Lead), joined
        return joined

    async def follow(self, flight: str) -> Follow:
        joined = await self.join(flight)
        assert isinstance(joined, Follow), joined
        return joined

    async def hear(self, followed: Follow) -> Ended:
        """Join again, as one who has followed."""
        joined = await self.join(followed.flight, seen=followed.epoch - 1)
        assert isinstance(joined, Ended), joined
        return joined

    async def listens(self) -> None:
        """Return once its subscription is there."""
        probe = secrets.token_hex(8)
        async with asyncio.timeout(20):
            while probe not in self.board._bells._unheard:
                try:
                    await self.link.exchange(("PUBLISH", WAKE_PREFIX + self.name, probe))
                except RedisTrouble:
                    await asyncio.sleep(0.05)
                await asyncio.sleep(0.01)


@dataclass(slots=True)
class FlightWorld:
    """Replicas over the Redis at `url`, a flight of the test's own, and a clock that it sets."""

    url: str
    stack: AsyncExitStack
    rules: FlightRules
    time_outs: TimeOuts
    flight: str = field(default_factory=lambda: secrets.token_hex(16))
    clock: str = field(default_factory=lambda: "pg1:{ctl}:test-time:" + secrets.token_hex(8))
    now: int = 1_800_000_000_000
    admin: Link | None = None

    @classmethod
    @asynccontextmanager
    async def at(
        cls, url: str, rules: FlightRules | None = None, time_outs: TimeOuts = PATIENT
    ) -> AsyncIterator[FlightWorld]:
        async with AsyncExitStack() as stack:
            world = cls(url, stack, rules or FlightRules(), time_outs)
            world.admin = world.connect()
            await world.pass_time(0)
            yield world

    def connect(self) -> Link:
        link = connect(self.url, connections=8, time_outs=self.time_outs)
        self.stack.push_async_callback(link.aclose)
        return link

    async def replica(self, *, running: bool = False, timed: bool = True) -> Replica:
        """One more replica. Not running, it renews only when a test says so, and hears nothing."""
        link, name, disowned = self.connect(), "r" + secrets.token_hex(4), list[Lead]()
        board = RedisFlights(
            link,
            name,
            rules=self.rules,
            disowned=disowned.append,
            scripts=timed_scripts(self.clock) if timed else None,
        )
        if running:
            await self.stack.enter_async_context(board.running())
        return Replica(board, link, name, disowned)

    async def pass_time(self, ms: int) -> None:
        self.now += ms
        await self.ask(*set_time(self.clock, self.now))

    async def record(self) -> dict[str, str]:
        flat = await self.ask("HGETALL", flight_key(self.flight))
        assert isinstance(flat, dict)
        return {name.decode(): value.decode() for name, value in flat.items()}

    async def lose_it(self) -> None:
        """Take the record away."""
        await self.ask("DEL", flight_key(self.flight))

    async def ask(self, *command: str | bytes | memoryview | int) -> object:
        assert self.admin is not None
        [reply] = await self.admin.exchange(command)
        return reply


async def persistently(question: Callable[[], Awaitable[T]]) -> T:
    """Ask until the board answers, with the same words, as the pipeline does for a while."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await question()
            except BoardUnavailable:
                await asyncio.sleep(0.05)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for something that comes by itself."""
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110 - a server's state raises no event here
            await asyncio.sleep(0.01)
