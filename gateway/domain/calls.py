"""A call at a door, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.domain.answer import Answer
from gateway.domain.edit import ImageRef
from gateway.domain.errors import Violation
from gateway.domain.limits import BucketState

__all__ = ["Balance", "Call", "Delivery", "FromCache", "Plan", "Record"]


@dataclass(frozen=True, slots=True)
class Balance:
    """A tenant's budget, in thousandths of a credit. What is held for calls under way counts as spent.

    `period_end` is when the next budget begins, in seconds since the epoch.
    """

    budget_milli: int
    spent_milli: int
    period_end: float

    @property
    def left_milli(self) -> int:
        """What may still be spent."""
        return max(0, self.budget_milli - self.spent_milli)


@dataclass(slots=True)
class Record:
    """What became known of a call on its way, for its caller, the log and the metrics.

    `buckets` are the tenant's rates that the call met, by name: `requests`, `edits`. `balance` is the
    tenant's, None where it has no budget or none is known.
    """

    tenant: str = ""
    digest: str = ""
    buckets: dict[str, BucketState] = field(default_factory=dict)
    balance: Balance | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One request at a door.

    `credential` is what the caller sent; `operation` and `door` name the route; `request_id` is ours or
    the caller's own. `seconds` is how long the caller waits, None for ever. `record` is filled on the way.
    """

    credential: str | None
    operation: str
    door: str
    request_id: str
    record: Record
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class FromCache:
    """How the cache came into an answer.

    `tier` names the tier of a hit and is empty otherwise; `why_not` says why a miss was not read from
    the cache. `age` is in seconds; `ttl` are the seconds for which the result is kept from now on, None
    where it is not. `saved_milli` is what the hit cost when it was bought.
    """

    tier: str = ""
    why_not: str = ""
    age: float = 0.0
    ttl: float | None = None
    saved_milli: int = 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """A picture for its caller, with its content address and its cost in thousandths of a credit.

    `body` names the picture's bytes; `kept` says that they can be had as a blob. `ignored` are
    parameters that were left out on the way, as the tenant's settings ask.
    """

    answer: Answer
    body: ImageRef
    digest: str
    cost_milli: int
    warnings: tuple[Violation, ...]
    ignored: tuple[str, ...]
    cache: FromCache
    kept: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What a call would do. `digest` is empty for one that is not valid.

    `balance` is the tenant's budget, None where it has none or Redis does not tell.
    """

    violations: tuple[Violation, ...]
    warnings: tuple[Violation, ...]
    digest: str
    cost_milli: int
    unseeded: tuple[str, ...]
    hit: bool
    balance: Balance | None = None
