"""A token bucket that several replicas draw from in leases. Arithmetic without a clock.

A replica draws some tokens at once, lets calls through with them for a quarter second, and gives back
what is left when it draws again. What it drew beyond what callers waited for is *spare*; it may come
back, so until then the bucket is full with as many tokens less. Without that rule a spare token and the
one that grew in its place would both be used. With it a token that came back counts as never drawn, and
those that were used keep to the rate by the times at which they were drawn.

`store/lua/lease.lua` computes the same; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gateway.domain.limits import Rate

__all__ = ["KEPT_US", "LEASE_US", "Ask", "Lease", "LeasedBucket", "Pace", "wanted"]

LEASE_US: Final = 250_000
"""Microseconds for which drawn tokens let calls through."""

KEPT_US: Final = 1_000_000
"""Microseconds after which spare tokens cannot be given back any more."""

_SPARE_PART: Final = 50
"""One in so many tokens of a burst, 2 %, a replica may have to spare."""


def wanted(rate: Rate, waiting: int, lately: int) -> int:
    """Return how many tokens to ask for: what callers wait for, or what went lately if that is more.

    So spare tokens are 2 % of the burst at most, and none where that is below one.
    """
    return max(waiting, min(lately, rate.burst // _SPARE_PART))


@dataclass(frozen=True, slots=True)
class Pace:
    """How many tokens went in the last quarter second. Times are microseconds."""

    since: int = 0
    used: int = 0
    before: int = 0

    @property
    def lately(self) -> int:
        """The better of what went in the quarter second that runs, and in the one before it."""
        return max(self.used, self.before)

    def after(self, now: int, used: int) -> Pace:
        """Return the pace once it is known that `used` more went until `now`."""
        used += self.used
        age = now - self.since
        if age < LEASE_US:
            return Pace(self.since, used, self.before)
        return Pace(now, 0, used * LEASE_US // age)


@dataclass(frozen=True, slots=True)
class Ask:
    """What a replica asks of a bucket.

    `number` rises by one with each of its asks. `tokens` is how many it wants, `waiting` how many of them
    callers wait for. `used` is how many of its last lease it has used, 0 where it has not heard of one.
    """

    replica: str
    number: int
    tokens: int
    waiting: int
    used: int


@dataclass(frozen=True, slots=True)
class Lease:
    """What a replica drew at `at` by its ask `number`, and how many of those tokens may come back."""

    number: int
    tokens: int
    spare: int
    at: int


@dataclass(frozen=True, slots=True)
class LeasedBucket:
    """A bucket that is full at `full_at`, and the last lease of each replica."""

    full_at: int = 0
    leases: Mapping[str, Lease] = field(default_factory=dict)

    def draw(self, rate: Rate, now: int, ask: Ask) -> tuple[LeasedBucket, int]:
        """Take back what is left of the last lease, draw what there is; return how many tokens.

        The ask that was answered last changes nothing when it is made again, and is answered the same;
        an older one changes nothing and gets none.
        """
        live = {name: one for name, one in self.leases.items() if 0 <= now - one.at < KEPT_US}
        last = live.pop(ask.replica, None)
        if last is not None and last.number >= ask.number:
            return self, last.tokens if last.number == ask.number else 0
        back = 0
        if last is not None and last.number == ask.number - 1:
            back = min(last.spare, last.tokens - ask.used)
        spare = sum(one.spare for one in live.values())
        base = max(self.full_at - back * rate.interval_us, now + spare * rate.interval_us)
        base = min(base, now + rate.depth_us)
        tokens = min(ask.tokens, (now + rate.depth_us - base) // rate.interval_us)
        live[ask.replica] = Lease(ask.number, tokens, max(0, tokens - ask.waiting), now)
        return LeasedBucket(base + tokens * rate.interval_us, live), tokens
