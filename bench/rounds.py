"""Contestants side by side: the same calls to one and to the other, by turns, round after round."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from bench.load import Load
from bench.machine import children_of, cpu_seconds
from bench.stats import Spread, percentile

__all__ = ["FULL", "Contestant", "Sample", "Series", "side_by_side"]

FULL = 0.95
"""Share of its core from which on the generator is the limit, and rates say nothing of the server."""

_WARM_UP = 0.3


@dataclass(frozen=True, slots=True)
class Contestant:
    """A server by its process, and the calls that are sent to it."""

    pid: int
    load: Load


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of one contestant. CPU is user and system time a call; shares are of one core.

    `helper_cpu_us` is that of the processes that the server has started, its Redis; `generator_cpu_us` is
    that of this process, which for some contestants is the client under measurement.
    """

    calls: int
    rate: float
    cpu_us: float
    helper_cpu_us: float
    generator_cpu_us: float
    server_share: float
    generator_share: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Series:
    """All rounds of one contestant."""

    samples: tuple[Sample, ...]

    def spread(self, of: Callable[[Sample], float]) -> Spread:
        """The spread of one figure over the rounds."""
        return Spread.of(of(sample) for sample in self.samples)

    def over(self, other: Series, of: Callable[[Sample], float]) -> Spread:
        """The spread of this one's figure over the other's, round by round."""
        pairs = zip(self.samples, other.samples, strict=True)
        return Spread.of(of(ours) / of(theirs) for ours, theirs in pairs)

    @property
    def generator_share(self) -> float:
        """The generator's share of its core, in the median round."""
        return self.spread(lambda sample: sample.generator_share).median


async def side_by_side(
    contestants: Sequence[Contestant],
    concurrency: int,
    *,
    rounds: int,
    seconds: float,
    tidy: Callable[[], Awaitable[None]] | None = None,
) -> list[Series]:
    """Measure contestants by turns; each round begins with another one. `tidy` is run between them."""
    for contestant in contestants:
        await contestant.load.run(concurrency, min(_WARM_UP, seconds))
    found: list[list[Sample]] = [[] for _ in contestants]
    order = list(zip(contestants, found, strict=True))
    for _ in range(rounds):
        for contestant, samples in order:
            if tidy is not None:
                await tidy()
            samples.append(await _measure(contestant, concurrency, seconds))
        order.reverse()
    return [Series(tuple(samples)) for samples in found]


async def _measure(contestant: Contestant, concurrency: int, seconds: float) -> Sample:
    helpers = children_of(contestant.pid)
    server, helper = cpu_seconds(contestant.pid), sum(map(cpu_seconds, helpers))
    own, started = time.process_time(), time.perf_counter()
    took = await contestant.load.run(concurrency, seconds)
    wall, own = time.perf_counter() - started, time.process_time() - own
    server, helper = cpu_seconds(contestant.pid) - server, sum(map(cpu_seconds, helpers)) - helper
    calls = len(took)
    return Sample(
        calls=calls,
        rate=calls / wall,
        cpu_us=server / calls * 1e6,
        helper_cpu_us=helper / calls * 1e6,
        generator_cpu_us=own / calls * 1e6,
        server_share=server / wall,
        generator_share=own / wall,
        p50_ms=percentile(took, 0.5) * 1e3,
        p99_ms=percentile(took, 0.99) * 1e3,
    )
