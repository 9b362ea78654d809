"""What the tests of request rates share: a clock, the script's twin behind a link, gates over a server."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio.client import PubSub

from gateway.domain.errors import TenantRate
from gateway.domain.leases import LEASE_US, Ask, LeasedBucket
from gateway.domain.limits import Limits, Rate
from gateway.domain.tenant import Tenant
from gateway.ports import RequestGate
from gateway.store.breaker import Circuit
from gateway.store.connect import connect
from gateway.store.link import Command, Link, TimeOuts
from gateway.store.requests import RedisRequestGate
from gateway.store.scripts import Script, load
from tests.store.flight_tools import NOW

__all__ = [
    "AHEAD_US",
    "PATIENT",
    "Clock",
    "RedisTime",
    "TwinLink",
    "TwinServer",
    "TwinWorld",
    "enters",
    "gates",
    "limited",
    "rate_is_kept",
    "timed_script",
    "until",
]

AHEAD_US = 1_800_000_000_000_000
"""What Redis's clock is ahead of the gates'."""

PATIENT = TimeOuts(connect=10.0, operation=10.0)
"""A busy machine is no outage; tests of outages bring their own."""


@dataclass(slots=True)
class Clock:
    """A clock that a test sets, in microseconds; the gates read it in seconds."""

    us: int = 1_000_000_000

    def __call__(self) -> float:
        return self.us / 1e6


def limited(burst: int, interval_us: int, *, strict: bool = False) -> Tenant:
    """A tenant with that rate of requests, of a name that no other test uses."""
    limits = Limits(requests=Rate(interval_us, burst), strict=strict)
    return Tenant(secrets.token_hex(8), limits=limits)


@dataclass(slots=True)
class TwinServer:
    """A Redis that knows one script, by its twin. `asks` are the asks that it has heard.

    `drawn` is by replica: the time of each ask, and the tokens that it got.
    """

    clock: Clock
    buckets: dict[str, LeasedBucket] = field(default_factory=dict)
    asks: list[Ask] = field(default_factory=list)
    drawn: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))

    def carry_out(self, command: Command) -> list[int]:
        name, _, keys, key, *arguments = command
        assert ("EVALSHA", 1) == (name, keys)
        replica = str(arguments.pop(2))
        interval, burst, *numbers = map(int, arguments)
        ask = Ask(replica, *numbers)
        self.asks.append(ask)
        now = self.clock.us + AHEAD_US
        bucket = self.buckets.get(str(key), LeasedBucket())
        bucket, tokens = bucket.draw(Rate(interval, burst), now, ask)
        self.buckets[str(key)] = bucket
        self.drawn[replica].append((self.clock.us, tokens))
        return [tokens, bucket.full_at, now]


class TwinLink(Link):
    """A link to the twin. `carry` is called before and after the server: a test may delay and lose there."""

    def __init__(self, server: TwinServer) -> None:
        super().__init__(Circuit(server.clock), connections=8, time_outs=PATIENT)
        self._server = server
        self.carry: Callable[[], Any] = lambda: asyncio.sleep(0)

    async def _send(self, commands: Sequence[Command]) -> list[Any]:
        await self.carry()
        replies = [self._server.carry_out(command) for command in commands]
        await self.carry()
        return replies

    async def _pubsub(self) -> PubSub:
        raise ConnectionError

    async def aclose(self) -> None:
        """Nothing is open."""


@dataclass(slots=True)
class TwinWorld:
    """Gates over one twin."""

    stack: AsyncExitStack
    clock: Clock = field(default_factory=Clock)
    server: TwinServer = field(init=False)
    links: list[TwinLink] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server = TwinServer(self.clock)

    async def gate(self) -> RedisRequestGate:
        link = TwinLink(self.server)
        self.links.append(link)
        gate = RedisRequestGate(link, replicas=lambda: len(self.links), clock=self.clock)
        return await self.stack.enter_async_context(gate.running())

    @property
    def asks(self) -> int:
        return len(self.server.asks)


def timed_script(clock: str) -> Script:
    """The script with another `now()`: microseconds from the key `clock`, in the slot of `{ctl}`."""
    reading = f"local function now() return tonumber(redis.call('GET', '{clock}')) end"
    text, replaced = NOW.subn(reading, load("lease").text)
    assert 1 == replaced, "lease.lua has one line that tells the time"
    return Script.of(text)


@dataclass(slots=True)
class RedisTime:
    """Time that a test sets for a server, as the script reads it, and for gates."""

    link: Link
    clock: Clock = field(default_factory=Clock)
    key: str = field(default_factory=lambda: "pg1:{ctl}:test-time:" + secrets.token_hex(8))

    async def pass_time(self, us: int) -> None:
        self.clock.us += us
        await self.link.exchange(("SET", self.key, self.clock.us + AHEAD_US))


@asynccontextmanager
async def gates(
    url: str, count: int = 1, *, timed: bool = True, time_outs: TimeOuts = PATIENT
) -> AsyncIterator[tuple[RedisTime, list[RedisRequestGate]]]:
    """Gates of that many replicas, each with connections of its own; `timed`: on a clock that is set."""
    async with AsyncExitStack() as stack:
        links = [connect(url, connections=4, time_outs=time_outs) for _ in range(count + 1)]
        for link in links:
            stack.push_async_callback(link.aclose)
        time = RedisTime(links[-1])
        made = []
        for link in links[:-1]:
            gate = RedisRequestGate(link, replicas=lambda: count)
            if timed:
                gate = RedisRequestGate(
                    link, replicas=lambda: count, clock=time.clock, script=timed_script(time.key)
                )
            made.append(await stack.enter_async_context(gate.running()))
        if timed:
            await time.pass_time(0)
        yield time, made


async def enters(gate: RequestGate, tenant: Tenant, calls: int = 1) -> int:
    """Call so many times at once; return how many were let through."""
    ends = await asyncio.gather(*(gate.enter(tenant) for _ in range(calls)), return_exceptions=True)
    for end in ends:
        assert end is None or (isinstance(end, TenantRate) and end.retry_after), end
    return ends.count(None)


def rate_is_kept(rate: Rate, let_through: Counter[int]) -> bool:
    """Whether calls, counted by their time in microseconds, keep to the bound of all replicas together."""
    times = sorted(let_through)
    sums = [0, *itertools.accumulate(let_through[time] for time in times)]
    return all(
        sums[j + 1] - sums[i] <= rate.burst + (times[j] - times[i] + LEASE_US) // rate.interval_us
        for i in range(len(times))
        for j in range(i, len(times))
    )


async def until(fact: Callable[[], bool]) -> None:
    """Wait for something that comes by itself."""
    async with asyncio.timeout(30):
        while not fact():  # noqa: ASYNC110 - a server's state raises no event here
            await asyncio.sleep(0.01)
