"""What a tenant may do: rates, calls at once, a budget. Arithmetic without a clock.

A rate is a token bucket kept as one number, the *theoretical arrival time* of the generic cell rate
algorithm (ITU-T I.371, Annex A): the time at which the bucket would be full again. The scripts of
`store/lua` compute the same; a test holds the two together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Final

__all__ = [
    "NO_LIMITS",
    "TRUSTED_PART",
    "BucketState",
    "Limits",
    "Rate",
    "Taken",
    "trusted_share",
]

TRUSTED_PART: Final = 0.8
"""Part of every limit that all replicas together grant while the state Redis is away."""

_MINUTE_US = 60_000_000


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of taking tokens. `full_at` is the new time at which the bucket is full again.

    `wait_us` is 0 when they were taken, else the microseconds after which the same can be taken.
    Keep `full_at` in either case: what a slower rate left behind ends there.
    """

    full_at: int
    wait_us: int


@dataclass(frozen=True, slots=True)
class BucketState:
    """A bucket as its owner sees it: `left` of `burst` tokens, full again after `full_in` seconds.

    `window` are the seconds in which an empty bucket fills.
    """

    burst: int
    window: float
    left: int
    full_in: float


@dataclass(frozen=True, slots=True)
class Rate:
    """A token bucket that holds `burst` tokens and gains one every `interval_us` microseconds.

    In any time t it lets through `burst + t / interval` at most.
    """

    interval_us: int
    burst: int

    def __post_init__(self) -> None:
        if self.interval_us < 1 or self.burst < 1:
            raise ValueError("a rate has an interval and a burst, each of at least one")

    @classmethod
    def of(cls, *, per_minute: float, burst: int) -> Rate:
        """Return the rate; the interval is rounded up, so that it is never exceeded."""
        return cls(max(1, math.ceil(_MINUTE_US / per_minute)), burst)

    @property
    def depth_us(self) -> int:
        """Microseconds in which an empty bucket fills."""
        return self.burst * self.interval_us

    def take(self, full_at: int, now: int, tokens: int = 1) -> Taken:
        """Take `tokens` at `now`, or none. Times are microseconds since the epoch.

        A bucket is never emptier than empty, though one of a slower rate may have been full later.
        """
        full_at = min(full_at, now + self.depth_us)
        after = max(full_at, now) + tokens * self.interval_us
        wait = after - now - self.depth_us
        return Taken(full_at, wait) if wait > 0 else Taken(after, 0)

    def state(self, full_at: int, now: int) -> BucketState:
        """Return what the bucket looks like at `now`."""
        missing = min(max(0, full_at - now), self.depth_us)
        left = (self.depth_us - missing) // self.interval_us
        return BucketState(self.burst, self.depth_us / 1e6, left, missing / 1e6)

    def share(self, part: float) -> Rate:
        """Return a rate of which `1 / part` side by side stay within this one but for whole tokens."""
        return Rate(math.ceil(self.interval_us / part), max(1, math.floor(self.burst * part)))


@dataclass(frozen=True, slots=True)
class Limits:
    """What one tenant may do. None is no bound; amounts are thousandths of a credit.

    `requests` is the rate of all calls, `edits` that of calls that go upstream, `in_flight` how many of
    those may be under way at once. `budget_milli` is for a calendar month of `zone`; `cost_milli`
    bounds one call. While the state Redis is away, a `strict` tenant is refused, and another may spend
    `emergency_milli`, all replicas together.
    """

    requests: Rate | None = None
    edits: Rate | None = None
    in_flight: int | None = None
    budget_milli: int | None = None
    cost_milli: int | None = None
    zone: tzinfo = UTC
    strict: bool = False
    emergency_milli: int = 0


NO_LIMITS = Limits()


def trusted_share(replicas: int) -> float:
    """Return the part of a limit that one of so many replicas grants while the state Redis is away."""
    return TRUSTED_PART / max(1, replicas)
