"""The ledger of one server under load, and the limiter that is measured beside it on the same server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count, cycle
from typing import TypeAlias, cast

from limits import RateLimitItemPerMinute
from limits.aio.storage import RedisStorage
from limits.aio.storage.redis.redispy import RedispyBridge
from limits.aio.strategies import MovingWindowRateLimiter
from redis.asyncio import Redis

from bench.machine import SERVER_CORE, on_core
from bench.rounds import Contestant
from gateway.domain.edit import Operation
from gateway.domain.limits import Limits, Rate
from gateway.domain.periods import Period, months_around
from gateway.domain.tenant import Tenant
from gateway.ports import Claim, Hold, Settlement
from gateway.store.admission import RedisAdmission
from gateway.store.connect import connect
from gateway.store.embedded import EmbeddedRedis
from gateway.store.hold_table import HELD, Entry, HoldTable
from gateway.store.ledger_calls import Attempt, LedgerCalls, LedgerScripts
from gateway.store.link import Link, TimeOuts
from gateway.store.scripts import run

__all__ = ["Ask", "Ledger", "ledger_of"]

# Nothing is refused, so every call does all of its work. A bucket is not full again before the end.
_LIMITS = Limits(
    edits=Rate.of(per_minute=60, burst=1_000_000), in_flight=1_000_000, budget_milli=10**15
)
_ITEM = RateLimitItemPerMinute(1_000_000)
_COST = 1_000
_SECONDS = 60.0
_CROWD = 32
_POLL = 0.001
_PATIENT = TimeOuts(connect=5.0, operation=30.0)  # a busy machine is no outage

Ask: TypeAlias = Callable[[], Awaitable[object]]


@dataclass(slots=True)
class Ledger:
    """Every method is one call for the next tenant; `tidy` voids what the calls have left open."""

    server: EmbeddedRedis
    link: Link
    admission: RedisAdmission
    calls: LedgerCalls
    limiter: MovingWindowRateLimiter
    tenants: Iterator[Tenant]
    period: Period
    open: list[Hold] = field(default_factory=list)
    ids: Iterator[int] = field(default_factory=count)

    @property
    def asks(self) -> Mapping[str, Ask]:
        """What is measured, by its name in the tables; the limiter first."""
        return {
            "limits": self.hit,
            "admit": self.admit,
            "admit + settle": self.admit_and_settle,
            "admit.lua": self.admit_script,
            "admit.lua + settle.lua": self.both_scripts,
        }

    async def hit(self) -> None:
        assert await self.limiter.hit(_ITEM, next(self.tenants).id)

    async def admit(self) -> None:
        self.open.append(await self.admission.admit(self._claim()))

    async def admit_and_settle(self) -> None:
        hold = await self.admission.admit(self._claim())
        self.admission.settle(hold, Settlement.POSTED)

    async def admit_script(self) -> None:
        self.open.append(await self.hold())

    async def both_scripts(self) -> None:
        """The same, then a call of the other script that tells of this hold alone."""
        await self.settle_script([await self.hold()])

    async def hold(self) -> Hold:
        """Call the script as the admission does, without what the replica makes of the answer."""
        claim = self._claim()
        call = self.calls.admit(claim, Attempt(1), "", time.time())
        [[_, _, _, word, *_]] = await run(self.link, call)
        assert word == b"granted"
        what = (claim.id, claim.tenant.id, claim.operation, claim.cost_milli, claim.seconds)
        return Hold(*what, self.period)

    async def settle_script(self, holds: list[Hold]) -> None:
        state = Settlement.POSTED.value
        entries = [Entry(hold, state, HELD, 0.0) for hold in holds]
        [[_, _, _, *told]] = await run(self.link, self.calls.settle(entries))
        assert told[::3] == [state.encode()] * len(holds)

    async def fill(self, tenants: int) -> None:
        """Let each tenant buy once."""

        async def buy(share: range) -> None:
            for _ in share:
                await self.admit_and_settle()

        await asyncio.gather(*(buy(range(i, tenants, _CROWD)) for i in range(_CROWD)))
        await self.told()

    async def tidy(self) -> None:
        for hold in self.open:
            self.admission.settle(hold, Settlement.VOIDED)
        self.open.clear()
        await self.told()

    async def told(self) -> None:
        """Return once the server has heard of all that was settled."""
        while self.admission.untold:  # noqa: ASYNC110 - it is no event for anybody else
            await asyncio.sleep(_POLL)

    def contestant(self, ask: Ask) -> Contestant:
        return Contestant(self.server.pid, _Asked(ask, self.told))

    def _claim(self) -> Claim:
        return Claim(f"{next(self.ids):032x}", next(self.tenants), Operation.EDIT, _COST, _SECONDS)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A load within this process. What it has settled is told within its time."""

    ask: Ask
    told: Ask

    async def once(self) -> bytes:
        await self.ask()
        return b""

    async def run(self, concurrency: int, seconds: float) -> list[float]:
        took: list[float] = []
        end = time.perf_counter() + seconds

        async def keep_asking() -> None:
            while (began := time.perf_counter()) < end:
                await self.ask()
                took.append(time.perf_counter() - began)

        await asyncio.gather(*(keep_asking() for _ in range(concurrency)))
        await self.told()
        return took


@asynccontextmanager
async def ledger_of(tenants: int) -> AsyncIterator[Ledger]:
    """A server on its core with so many tenants, each of which has bought once."""
    async with AsyncExitStack() as stack:
        with on_core(SERVER_CORE):
            server = await stack.enter_async_context(EmbeddedRedis.running())
        ours, bare = (connect(server.url, time_outs=_PATIENT) for _ in range(2))
        storage = RedisStorage(f"async+redis+{server.url}", implementation="redispy")
        for close in (ours.aclose, bare.aclose, _client_of(storage).aclose):
            stack.push_async_callback(close)
        admission = RedisAdmission(
            ours, "bench", HoldTable(time.monotonic), replicas=lambda: 1, window=0.0
        )
        ledger = Ledger(
            server,
            bare,
            await stack.enter_async_context(admission.running()),
            LedgerCalls("bare", LedgerScripts.load(), 0.0),
            MovingWindowRateLimiter(storage),
            cycle([Tenant(f"tenant-{index}", limits=_LIMITS) for index in range(tenants)]),
            months_around(time.time(), _LIMITS.zone)[1],
        )
        await ledger.fill(tenants)
        yield ledger


def _client_of(storage: RedisStorage) -> Redis:
    """The limiter's client: it has no way of its own to close it."""
    client = cast("RedispyBridge", storage.bridge).get_connection()
    return cast("Redis", client)
