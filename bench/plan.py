"""How much is measured, so that a run ends by itself within its time."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FULL_RUN", "QUICK_RUN", "Plan"]


@dataclass(frozen=True, slots=True)
class Plan:
    """Rounds of each contestant, and the seconds of a round.

    `miss_seconds` is that of misses, of which one takes a fifth of a second; `starts` is how often a
    gateway is started; `repeats` is how often each small step is timed.
    """

    rounds: int
    seconds: float
    concurrencies: tuple[int, ...]
    miss_rounds: int
    miss_seconds: float
    starts: int
    repeats: int


FULL_RUN = Plan(
    rounds=7,
    seconds=1.2,
    concurrencies=(8, 32),
    miss_rounds=3,
    miss_seconds=3.0,
    starts=5,
    repeats=9,
)
QUICK_RUN = Plan(
    rounds=2,
    seconds=0.4,
    concurrencies=(8,),
    miss_rounds=1,
    miss_seconds=1.0,
    starts=2,
    repeats=3,
)
