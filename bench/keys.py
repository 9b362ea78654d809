"""What the choice of a key costs in `admit`, by how many there are to choose from.

Each key has calls in its window and under way, as in the midst of a working day, and is never full: every
call is granted, and settled outside the measurement. Server and client have a core each.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

from bench.machine import GENERATOR_CORE, SERVER_CORE, cpu_seconds, describe, on_core
from bench.plan import Plan
from bench.report import table
from bench.stats import Spread, percentile
from gateway.domain.credits import PLUS
from gateway.domain.edit import Operation
from gateway.domain.keys import KeyGrant, PoolAccount, PoolKey, Seen, Verdict, fingerprint
from gateway.domain.periods import Period, months_around
from gateway.domain.tenant import Tenant
from gateway.ports import CallTraits, Claim, Hold, Settlement
from gateway.store.connect import connect
from gateway.store.embedded import EmbeddedRedis
from gateway.store.hold_table import SENT, Entry
from gateway.store.keyspace import LEDGER_ROOT
from gateway.store.ledger_calls import Attempt, LedgerCalls, LedgerScripts
from gateway.store.link import Link
from gateway.store.pool import Pool
from gateway.store.scripts import run

__all__ = ["measure_keys"]

_POOLS = ((0, 0), (1, 1), (2, 5), (10, 10), (100, 1))
"""Accounts, and keys of each; none: nobody chooses."""

_GOAL = {100: "500"}
"""Microseconds from the call to its answer, by the number of keys."""

_LOGGED, _UNDER_WAY = 30, 3
"""Calls that each key has in its window, and of them under way."""

_CALLS = 300
_TENANT = Tenant("bench")
_SERVED = Seen(Verdict.SERVED)
_HEAD = ("accounts", "keys", "goal", "answer p50 us", "p99 us", "Redis CPU us", "in the script us")


async def measure_keys(plan: Plan) -> str:
    """Measure, and return the table in Markdown."""
    machine = ", ".join(f"{name} {value}" for name, value in describe().items())
    with on_core(GENERATOR_CORE):
        rows = [await _row(accounts, keys, plan.repeats) for accounts, keys in _POOLS]
    return "\n".join([f"{machine}.", "", *table(_HEAD, rows)])


@dataclass(slots=True)
class _Desk:
    """A server whose books know a pool of keys."""

    server: EmbeddedRedis
    link: Link
    pool: Pool
    calls: LedgerCalls
    period: Period
    ids: Iterator[int] = field(default_factory=count)

    async def admit(self) -> Hold:
        """One call, granted."""
        name = f"{next(self.ids):032x}"
        claim = Claim(name, _TENANT, Operation.EDIT, 1_000, 60.0, CallTraits(digest=name))
        keys = self.pool.candidates(_TENANT, Operation.EDIT)
        [answer] = await run(self.link, self.calls.admit(claim, Attempt(1), keys, time.time()))
        _, _, _, word, key, account, images, *_ = answer
        assert word == b"granted", answer
        grant = KeyGrant(key.decode(), account.decode(), images)
        what = (claim.id, _TENANT.id, claim.operation, claim.cost_milli, claim.seconds)
        return Hold(*what, self.period, claim.traits, grant)

    async def tell(self, holds: list[Hold], state: str, seen: Seen) -> None:
        """Tell what became of holds."""
        for start in range(0, len(holds), 50):
            entries = [Entry(hold, state, "", 0.0, seen) for hold in holds[start : start + 50]]
            await run(self.link, self.calls.settle(entries))

    async def fill(self) -> None:
        """Let each key have its calls."""
        keys = sum(len(account.keys) for account in self.pool.accounts)
        holds = [await self.admit() for _ in range(keys * _LOGGED)]
        open_ones = keys * _UNDER_WAY
        await self.tell(holds[:open_ones], SENT, Seen())
        await self.tell(holds[open_ones:], Settlement.POSTED.value, _SERVED)


@asynccontextmanager
async def _desk(accounts: int, keys: int) -> AsyncIterator[_Desk]:
    """A server on its core with so many keys in the midst of their work."""
    async with AsyncExitStack() as stack:
        with on_core(SERVER_CORE):
            server = await stack.enter_async_context(EmbeddedRedis.running())
        link = connect(server.url)
        stack.push_async_callback(link.aclose)
        calls = LedgerCalls("bench", LedgerScripts.load(), 0.0)
        pool = Pool([_account(f"account-{n}", keys) for n in range(accounts)], gated=True)
        period = months_around(time.time(), _TENANT.limits.zone)[1]
        desk = _Desk(server, link, pool, calls, period)
        await run(link, calls.rebuild("bench", {}, {}))
        for account in pool.accounts:
            name = f"{LEDGER_ROOT}account:{account.id}"
            await link.exchange(("HSET", name, "available", 10**12))
        await desk.fill()
        yield desk


def _account(name: str, keys: int) -> PoolAccount:
    made = (PoolKey(f"{name}-{n}", fingerprint(f"{name}-{n}"), 10**6, 60_000) for n in range(keys))
    return PoolAccount(name, tuple(made), PLUS, calls=10**7)


async def _row(accounts: int, keys: int, repeats: int) -> tuple[str, ...]:
    async with _desk(accounts, keys) as desk:
        rounds = [await _round(desk) for _ in range(repeats)]
    spreads = [Spread.of(figures).text() for figures in zip(*rounds, strict=True)]
    total = accounts * keys
    return (str(accounts), str(total), _GOAL.get(total, ""), *spreads)


async def _round(desk: _Desk) -> tuple[float, ...]:
    """Microseconds of a call: to its answer, half and nearly all of them; the server's; the script's."""
    took, holds = [], []
    await desk.link.exchange(("CONFIG", "RESETSTAT"))
    used = cpu_seconds(desk.server.pid)
    for _ in range(_CALLS):
        began = time.perf_counter()
        holds.append(await desk.admit())
        took.append((time.perf_counter() - began) * 1e6)
    used = (cpu_seconds(desk.server.pid) - used) / _CALLS * 1e6
    [told] = await desk.link.exchange(("INFO", "commandstats"))
    commands: Mapping[str, Mapping[str, float]] = told
    await desk.tell(holds, Settlement.POSTED.value, _SERVED)
    script = commands["cmdstat_evalsha"]["usec_per_call"]
    return percentile(took, 0.5), percentile(took, 0.99), used, script
