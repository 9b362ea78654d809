"""Choice of keys by this process's own memory: where there is no Redis, or while it is away.

The choice is that of `lua/keys.lua`. What needs the word of others is left out: what the accounts have
left, who serves a template, and the trouble of endpoints and edits.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from gateway.domain.edit import Operation
from gateway.domain.keys import NO_KEY, KeyGrant, PoolAccount, PoolKey, Seen, Verdict
from gateway.domain.tenant import Tenant
from gateway.ports import CallTraits, Hold
from gateway.store.pool import Pool
from gateway.store.refusals import no_key

__all__ = ["LocalKeys"]

_MASK: Final = 3600.0
"""Seconds for which a key that was forbidden what another one serves is not asked for it."""

_EXHAUSTED: Final = 60.0
"""Seconds for which an exhausted account is not asked: nobody polls it here."""

_TOGETHER: Final = 1.0
"""Two keys throttled within so many seconds: it is their account."""

_AGAIN: Final = 0.25
"""Seconds after which to look again for a place among the open calls of a key."""

_MARGIN: Final = 1.02
"""Of a window: calls arrive later than they are admitted, some more than others."""


class _Place(NamedTuple):
    """A key that may serve, and its account."""

    account: PoolAccount
    key: PoolKey


@dataclass(slots=True)
class LocalKeys:
    """What this process has seen of the keys. `wall` tells seconds; of each bound it uses `share()`.

    `calls` are by key and by account, the times at which each was granted lately; `open` the holds of
    each key; `closed` up to when a key or an account is left alone, and in what; `throttled`, by account
    and quota, the key that met its 429 last, and when.
    """

    pool: Pool
    wall: Callable[[], float]
    share: Callable[[], float] = lambda: 1.0
    calls: dict[str, deque[float]] = field(default_factory=dict)
    open: dict[str, set[str]] = field(default_factory=dict)
    closed: dict[tuple[str, str], float] = field(default_factory=dict)
    throttled: dict[tuple[str, str], tuple[str, float]] = field(default_factory=dict)

    def choose(
        self,
        hold_id: str,
        tenant: Tenant,
        operation: Operation,
        traits: CallTraits,
        tried: frozenset[str] = frozenset(),
    ) -> KeyGrant:
        """Return the key that can take most calls, the least loaded one of several, none of `tried`.

        Raises UpstreamUnavailable, with the wait until a key can take the next call, a tried one too.
        """
        if not self.pool.accounts:
            return NO_KEY
        best: _Place | None = None
        most, first = (0.0, 0), math.inf
        for place in self._places(tenant):
            name = place.key.fingerprint
            wait = self._wait(place, operation, traits)
            if wait > 0:
                first = min(first, wait)
            elif name not in tried:
                mine = self._calls_left(place), -len(self.open.get(name, ()))
                if best is None or mine > most:
                    best, most = place, mine
        if best is None:
            raise no_key(first if math.isfinite(first) else None)
        for log, _, window in self._rates(best):
            self._log(log, window).append(self.wall())
        self.open.setdefault(best.key.fingerprint, set()).add(hold_id)
        price = self.pool.price_of(best.account).of(operation, sandbox=traits.sandbox)
        return KeyGrant(best.key.fingerprint, best.account.id, price)

    def judge(self, hold: Hold, seen: Seen) -> None:
        """Give a key back, and learn what its attempt has shown."""
        key, now = hold.key, self.wall()
        self.open.get(key.key, set()).discard(hold.id)
        match seen.verdict:
            case Verdict.REJECTED | Verdict.FORBIDDEN:
                self.closed[key.key, ""] = math.inf
            case Verdict.SERVED:
                self.closed.pop((key.key, ""), None)
                for other in seen.masks:
                    self.closed[other, hold.operation.value] = now + _MASK
            case Verdict.EXHAUSTED if not hold.traits.sandbox:
                self.closed[_account(key.account), ""] = now + _EXHAUSTED
            case Verdict.THROTTLED:
                self._throttle(key, _quota(hold.traits), now, seen.wait)

    def _throttle(self, key: KeyGrant, quota: str, now: float, wait: float) -> None:
        account = _account(key.account)
        other, at = self.throttled.get((account, quota), (key.key, 0.0))
        self.throttled[account, quota] = key.key, now
        together = other != key.key and now - at <= _TOGETHER
        for name in (key.key, account) if together else (key.key,):
            self.closed[name, quota] = max(now + wait, self.closed.get((name, quota), 0.0))

    def _places(self, tenant: Tenant) -> Iterator[_Place]:
        for account in self.pool.serving(tenant):
            for key in account.keys:
                yield _Place(account, key)

    def _wait(self, place: _Place, operation: Operation, traits: CallTraits) -> float:
        """Seconds until the key can take a call, as far as they are known; zero or less: it can now."""
        name, account, quota = place.key.fingerprint, _account(place.account.id), _quota(traits)
        if name in self.pool.off:
            return math.inf
        names = [(name, ""), (name, operation.value), (name, quota), (account, quota)]
        if not traits.sandbox:
            names.append((account, ""))
        waits = [self.closed.get(closed, 0.0) - self.wall() for closed in names]
        waits += [self._full_for(*rate) for rate in self._rates(place)]
        if self._places_left(place) < 1:
            waits.append(_AGAIN)
        return max(waits)

    def _rates(self, place: _Place) -> list[tuple[str, int, float]]:
        """What bounds the key: a log of calls, how many of them there may be, in how many seconds."""
        account, key = place
        rates = [(key.fingerprint, self._share_of(key.calls), key.window_ms / 1000 * _MARGIN)]
        if account.calls is not None:
            window = account.window_ms / 1000 * _MARGIN
            rates.append((_account(account.id), self._share_of(account.calls), window))
        return rates

    def _calls_left(self, place: _Place) -> float:
        left = [most - len(self._log(name, window)) for name, most, window in self._rates(place)]
        return min(*left, self._places_left(place))

    def _places_left(self, place: _Place) -> float:
        if place.key.places is None:
            return math.inf
        return self._share_of(place.key.places) - len(self.open.get(place.key.fingerprint, ()))

    def _full_for(self, name: str, most: int, window: float) -> float:
        """Seconds until there is room in a window again."""
        log = self._log(name, window)
        return log[-most] + window - self.wall() if len(log) >= most else 0.0

    def _log(self, name: str, window: float) -> deque[float]:
        log, since = self.calls.setdefault(name, deque()), self.wall() - window
        while log and log[0] <= since:
            log.popleft()
        return log

    def _share_of(self, bound: int) -> int:
        return max(1, math.floor(bound * self.share()))


def _account(name: str) -> str:
    """What an account is called where keys are named too."""
    return f"@{name}"


def _quota(traits: CallTraits) -> str:
    """A key and its sandbox twin have quotas of their own."""
    return "sandbox" if traits.sandbox else "live"
