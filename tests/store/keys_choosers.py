"""What chooses keys, the scripts and a replica's own memory, behind one face."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from gateway.domain.errors import UpstreamUnavailable
from gateway.domain.keys import NOTHING_SEEN, KeyGrant, Seen
from gateway.domain.periods import Period
from gateway.ports import Claim, Hold
from gateway.store.ledger_calls import Attempt
from gateway.store.local_keys import LocalKeys
from gateway.store.pool import Pool
from tests.store.keys_tools import KeyBench, told

__all__ = ["ByMemory", "ByScripts", "Chooser"]

NONE: frozenset[str] = frozenset()


class Chooser(Protocol):
    """Where a call gets its key. Of a refusal, `wait` has the seconds that were told."""

    wait: float | None

    def grant(self, claim: Claim, tried: frozenset[str] = NONE) -> str | None:
        """The key that the claim gets, if any."""
        ...

    def again(self, claim: Claim, seen: Seen, tried: frozenset[str] = NONE) -> str | None:
        """Another key, for what its first attempt has shown."""
        ...

    def end(self, claim: Claim, seen: Seen = NOTHING_SEEN) -> None:
        """Settle what was not charged."""
        ...

    def pass_time(self, seconds: float) -> None: ...


@dataclass
class ByScripts:
    bench: KeyBench
    wait: float | None = None
    grants: dict[str, tuple[KeyGrant, int]] = field(default_factory=dict)

    def grant(self, claim: Claim, tried: frozenset[str] = NONE) -> str | None:
        return self._ask(claim, Attempt(1, tried=tried))

    def again(self, claim: Claim, seen: Seen, tried: frozenset[str] = NONE) -> str | None:
        return self._ask(claim, Attempt(2, seen, tried))

    def end(self, claim: Claim, seen: Seen = NOTHING_SEEN) -> None:
        grant, attempt = self.grants[claim.id]
        self.bench.settle(told(claim, "voided", grant, attempt=attempt, seen=seen))

    def pass_time(self, seconds: float) -> None:
        self.bench.wait(round(seconds * 1000))

    def _ask(self, claim: Claim, attempt: Attempt) -> str | None:
        _, said = self.bench.admit(claim, attempt)
        if isinstance(said, KeyGrant):
            self.grants[claim.id] = said, attempt.number
            return said.key
        self.wait = None if said is None else said / 1000
        return None


@dataclass
class ByMemory:
    now: float = 1_000.0
    wait: float | None = None
    holds: dict[str, Hold] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.pool = Pool()
        self.keys = LocalKeys(self.pool, lambda: self.now)

    def grant(self, claim: Claim, tried: frozenset[str] = NONE) -> str | None:
        try:
            key = self.keys.choose(claim.id, claim.tenant, claim.operation, claim.traits, tried)
        except UpstreamUnavailable as refusal:
            self.wait = refusal.retry_after
            return None
        what = (claim.id, claim.tenant.id, claim.operation, claim.cost_milli, claim.seconds)
        self.holds[claim.id] = Hold(*what, Period(0, 1), claim.traits, key)
        return key.key

    def again(self, claim: Claim, seen: Seen, tried: frozenset[str] = NONE) -> str | None:
        self.end(claim, seen)
        return self.grant(claim, tried)

    def end(self, claim: Claim, seen: Seen = NOTHING_SEEN) -> None:
        self.keys.judge(self.holds[claim.id], seen)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
