"""What admission costs, beside PyPI `limits` with its moving window on the same server.

That is one bucket of a tenant, and nothing to give back; admission takes a token of one, a place and
credits, writes each step in a journal, and settles. Server and client have a core each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from bench.ledger import Ask, Ledger, ledger_of
from bench.machine import GENERATOR_CORE, describe, on_core
from bench.plan import Plan
from bench.report import table
from bench.rounds import Sample, Series, side_by_side
from bench.stats import Spread

__all__ = ["measure_admission"]

_TENANTS = 1_000
_FEW, _MANY = 10, 100_000
_CROWD = 32
_CALLS = 500
_BATCH = 50

_GOALS = {"admit": 0.7, "admit + settle": 0.4}


async def measure_admission(plan: Plan) -> str:
    """Measure, and return the tables in Markdown."""
    machine = ", ".join(f"{name} {value}" for name, value in describe("limits").items())
    with on_core(GENERATOR_CORE):
        async with ledger_of(_TENANTS) as ledger:
            speeds = [
                row for c in (1, *plan.concurrencies) for row in await _speeds(ledger, c, plan)
            ]
            scripts = await _scripts(ledger, plan.repeats)
        flat = await _flatness(plan)
    tables = (table(_SPEED, speeds), table(_SCRIPT, scripts), table(_FLAT, flat))
    return "\n".join([f"{machine}.", "", *(line for lines in tables for line in lines)])


_SPEED = (
    "what",
    "in flight",
    "goal",
    "its calls/s / limits'",
    "calls/s",
    "p50, p99 ms",
    "limits' CPU / its",
    "client CPU us",
    "Redis CPU us",
)


async def _speeds(ledger: Ledger, concurrency: int, plan: Plan) -> list[tuple[str, ...]]:
    """Measure `limits`, admission, and its scripts alone, by turns."""
    found = await side_by_side(
        [ledger.contestant(ask) for ask in ledger.asks.values()],
        concurrency,
        rounds=plan.rounds,
        seconds=plan.seconds,
        tidy=ledger.tidy,
    )
    names = zip(ledger.asks, found, strict=True)
    return [_speed(name, concurrency, series, found[0]) for name, series in names]


def _speed(name: str, concurrency: int, series: Series, limits: Series) -> tuple[str, ...]:
    goal = _GOALS.get(name)
    return (
        name,
        str(concurrency),
        "" if goal is None else f"{goal:.1f}",
        series.over(limits, _rate).text(2),
        *_figures(series),
        limits.over(series, _client).text(2),
        series.spread(_client).text(),
        series.spread(lambda sample: sample.cpu_us).text(),
    )


def _figures(series: Series) -> Iterator[str]:
    yield series.spread(_rate).text()
    p50, p99 = series.spread(lambda s: s.p50_ms), series.spread(lambda s: s.p99_ms)
    yield f"{p50.median:.2f}, {p99.median:.2f}"


def _rate(sample: Sample) -> float:
    return sample.rate


def _client(sample: Sample) -> float:
    return sample.generator_cpu_us


_SCRIPT = ("in Redis alone, for one call", "us", "commands in the script")


async def _scripts(ledger: Ledger, repeats: int) -> list[tuple[str, ...]]:
    """Measure what the server itself says that the scripts cost."""

    async def ask(call: Ask) -> tuple[float, float]:
        return await _cost(ledger, [call] * _CALLS)

    async def settle(batch: int) -> tuple[float, float]:
        holds = [await ledger.hold() for _ in range(_CALLS)]
        parts = [holds[start : start + batch] for start in range(0, _CALLS, batch)]
        return await _cost(ledger, [partial(ledger.settle_script, part) for part in parts])

    rows = {
        "limits": partial(ask, ledger.hit),
        "admit.lua": partial(ask, ledger.admit_script),
        "settle.lua, a hold": partial(settle, 1),
        f"settle.lua, each of {_BATCH} holds": partial(settle, _BATCH),
    }
    found = {name: [await cost() for _ in range(repeats)] for name, cost in rows.items()}
    await ledger.tidy()
    return [(name, *_script_figures(costs)) for name, costs in found.items()]


async def _cost(ledger: Ledger, calls: Sequence[Ask]) -> tuple[float, float]:
    """Make the calls; return a `_CALLS`-th of their scripts' microseconds, and of the commands in them."""
    await ledger.link.exchange(("CONFIG", "RESETSTAT"))
    for call in calls:
        await call()
    [told] = await ledger.link.exchange(("INFO", "commandstats"))
    commands: Mapping[str, Mapping[str, int]] = told
    scripts = commands["cmdstat_evalsha"]
    others = sum(command["calls"] for command in commands.values()) - scripts["calls"]
    return scripts["usec"] / _CALLS, others / _CALLS


def _script_figures(costs: Sequence[tuple[float, float]]) -> Iterator[str]:
    us, commands = (Spread.of(figures) for figures in zip(*costs, strict=True))
    yield us.text(1)
    yield f"{commands.median:.1f}"


_FLAT = (
    "what",
    f"calls/s with {_FEW:,} tenants",
    "p50, p99 ms",
    f"with {_MANY:,}",
    "p50, p99 ms",
    "many / few, goal 0.8",
    "client CPU, many / few",
)


async def _flatness(plan: Plan) -> list[tuple[str, ...]]:
    """Measure two servers by turns, one with few tenants and one with many."""
    async with ledger_of(_FEW) as few, ledger_of(_MANY) as many:

        async def tidy() -> None:
            await few.tidy()
            await many.tidy()

        rows = []
        for name in ("limits", *_GOALS):
            found = await side_by_side(
                [one.contestant(one.asks[name]) for one in (few, many)],
                _CROWD,
                rounds=plan.rounds,
                seconds=plan.seconds,
                tidy=tidy,
            )
            rows.append((name, *_flat(*found)))
    return rows


def _flat(few: Series, many: Series) -> Iterator[str]:
    yield from _figures(few)
    yield from _figures(many)
    yield many.over(few, _rate).text(2)
    yield many.over(few, _client).text(2)
