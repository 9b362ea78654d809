"""The results as tables for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from bench.bare import LATENCY
from bench.hits import Hit
from bench.misses import Miss
from bench.rounds import FULL
from bench.starts import Starts
from bench.stats import Spread

__all__ = ["Results", "table"]

_MIB_GOAL = 150
_READY_GOAL = 1.5


@dataclass(frozen=True, slots=True)
class Results:
    """All that a run found."""

    command: str
    machine: Mapping[str, str]
    asked_bytes: int
    answered_bytes: int
    starts: Starts
    hits: Sequence[Hit]
    misses: Sequence[Miss]
    steps: Mapping[str, Spread]
    seconds: float

    def json(self) -> str:
        """Every sample, as JSON."""
        return json.dumps(asdict(self), indent=1)

    def text(self) -> str:
        """The tables, in Markdown."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        machine = ", ".join(f"{name} {value}" for name, value in self.machine.items())
        yield f"`{self.command}`, {self.seconds:.0f} s. {machine}."
        yield f"Sent: {self.asked_bytes:,} bytes of picture; answered: {self.answered_bytes:,}."
        yield "Median (least..most) of the rounds. CPU: user and system time of the server a call."
        yield ""
        yield from table(_COST, [_cost(hit) for hit in self.hits])
        yield from table(_RATE, [_rate(hit) for hit in self.hits])
        yield from table(_MISS, [_miss(miss) for miss in self.misses])
        yield from table(("start and idle", "goal", "measured"), _starts(self.starts))
        steps = [(name, spread.text(1)) for name, spread in self.steps.items()]
        yield from table(("step, alone", "CPU us"), steps)


_COST = (
    "hit",
    "in flight",
    "goal",
    "bare CPU / gateway CPU",
    "gateway CPU us",
    "its Redis us",
    "bare CPU us",
)


def _cost(hit: Hit) -> tuple[str, ...]:
    return (
        hit.name,
        str(hit.concurrency),
        "" if hit.goal is None else f"{hit.goal:.2f}",
        hit.bare.over(hit.gateway, lambda sample: sample.cpu_us).text(2),
        hit.gateway.spread(lambda sample: sample.cpu_us).text(),
        f"{hit.gateway.spread(lambda sample: sample.helper_cpu_us).median:.0f}",
        hit.bare.spread(lambda sample: sample.cpu_us).text(),
    )


_RATE = (
    "hit",
    "in flight",
    "gateway calls/s",
    "bare calls/s",
    "gateway / bare",
    "gateway p50, p99 ms",
    "bare p50, p99 ms",
    "generator",
)


def _rate(hit: Hit) -> tuple[str, ...]:
    both = (hit.gateway, hit.bare)
    full = max(series.generator_share for series in both)
    return (
        hit.name,
        str(hit.concurrency),
        *(series.spread(lambda sample: sample.rate).text() for series in both),
        hit.gateway.over(hit.bare, lambda sample: sample.rate).text(2),
        *(
            f"{series.spread(lambda s: s.p50_ms).median:.2f}, "
            f"{series.spread(lambda s: s.p99_ms).median:.2f}"
            for series in both
        ),
        f"{full:.0%}" + (" IS THE LIMIT" if full > FULL else ""),
    )


_MISS = ("miss", "in flight", "added p50 ms", "gateway p50 ms", "direct p50 ms", "gateway CPU us")


def _miss(miss: Miss) -> tuple[str, ...]:
    return (
        f"upstream of {LATENCY * 1000:.0f} ms",
        str(miss.concurrency),
        miss.added_ms.text(2),
        *(s.spread(lambda sample: sample.p50_ms).text(1) for s in (miss.gateway, miss.direct)),
        miss.gateway.spread(lambda sample: sample.cpu_us).text(),
    )


def _starts(starts: Starts) -> list[tuple[str, ...]]:
    return [
        ("start to ready, s", f"< {_READY_GOAL}", starts.ready_s.text(2)),
        ("resident, idle, MiB", f"< {_MIB_GOAL}", starts.idle_mib.text()),
        ("its Redis, MiB", "", starts.redis_mib.text()),
    ]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a Markdown table whose columns stand in line."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    yield _row(head, widths)
    yield "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    yield from (_row(row, widths) for row in rows)
    yield ""


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(c.ljust(w) for c, w in zip(cells, widths, strict=True)) + " |"
