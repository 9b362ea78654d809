"""Choice of keys by this process's own memory: where there is no Redis, or while it is away."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.domain.edit import Operation
from gateway.domain.keys import NO_KEY, KeyGrant, Seen, Verdict
from gateway.domain.tenant import Tenant
from gateway.ports import CallTraits, Hold
from gateway.store.pool import Candidate, Pool
from gateway.store.refusals import no_key

__all__ = ["LocalKeys"]

_MASK = 3600.0
"""Seconds for which a key that was forbidden an operation is not asked for it."""

_EXHAUSTED = 60.0
"""Seconds for which an exhausted account is not asked: nobody polls it here."""


@dataclass(slots=True)
class LocalKeys:
    """What this process has seen of the keys. `wall` tells seconds; of each rate it uses `share()`."""

    pool: Pool
    wall: Callable[[], float]
    share: Callable[[], float] = lambda: 1.0
    calls: dict[str, deque[float]] = field(default_factory=dict)
    open: dict[str, set[str]] = field(default_factory=dict)
    closed: dict[tuple[str, str], float] = field(default_factory=dict)

    def choose(
        self,
        hold_id: str,
        tenant: Tenant,
        operation: Operation,
        traits: CallTraits,
        tried: frozenset[str] = frozenset(),
    ) -> KeyGrant:
        """Return the key that can take most calls, the first of several. Raises UpstreamUnavailable."""
        if not self.pool.accounts:
            return NO_KEY
        best: Candidate | None = None
        most, first = 0.0, math.inf
        for one in self.pool.keys(tenant, operation):
            if one.key in tried:
                continue
            wait = self._closed_for(one, operation, traits)
            left = self._left(one)
            if wait <= 0 and left > most:
                best, most = one, left
            first = min(first, max(wait, self._full_for(one)))
        if best is None:
            raise no_key(first if math.isfinite(first) else None)
        self.calls.setdefault(best.key, deque()).append(self.wall())
        self.open.setdefault(best.key, set()).add(hold_id)
        return KeyGrant(best.key, best.account, 0 if traits.sandbox else best.price)

    def judge(self, hold: Hold, seen: Seen) -> None:
        """Give a key back, and learn what its attempt has shown."""
        key, now = hold.key, self.wall()
        self.open.get(key.key, set()).discard(hold.id)
        match seen.verdict:
            case Verdict.REJECTED | Verdict.FORBIDDEN:
                self.closed[key.key, ""] = math.inf
            case Verdict.MASKED:
                self.closed[key.key, hold.operation.value] = now + _MASK
            case Verdict.EXHAUSTED:
                self.closed[key.account, "account"] = now + _EXHAUSTED
            case Verdict.THROTTLED:
                self.closed[key.key, _quota(hold.traits)] = now + seen.wait

    def _closed_for(self, one: Candidate, operation: Operation, traits: CallTraits) -> float:
        if one.key in self.pool.off:
            return math.inf
        names = [(one.key, ""), (one.key, operation.value), (one.key, _quota(traits))]
        if not traits.sandbox:
            names.append((one.account, "account"))
        return max(self.closed.get(name, 0.0) for name in names) - self.wall()

    def _most(self, one: Candidate) -> int:
        return max(1, math.floor(one.calls * self.share()))

    def _left(self, one: Candidate) -> float:
        """How many calls the key can take now."""
        log, since = self.calls.setdefault(one.key, deque()), self.wall() - one.window / 1000
        while log and log[0] <= since:
            log.popleft()
        left: float = self._most(one) - len(log)
        if one.places >= 0:
            places = max(1, math.floor(one.places * self.share()))
            left = min(left, places - len(self.open.get(one.key, ())))
        return left

    def _full_for(self, one: Candidate) -> float:
        """Seconds until the window of a key has room again."""
        log, most = self.calls.get(one.key, deque()), self._most(one)
        return log[-most] + one.window / 1000 - self.wall() if len(log) >= most else 0.0


def _quota(traits: CallTraits) -> str:
    """A key and its sandbox twin have quotas of their own."""
    return "cool:sandbox" if traits.sandbox else "cool"
