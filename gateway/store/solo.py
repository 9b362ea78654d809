"""The board, the book, the marks and the ledger of a replica without a state Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from gateway.domain.caching import Purge
from gateway.domain.calls import Balance
from gateway.domain.edit import Operation
from gateway.domain.errors import StateUnavailable
from gateway.domain.keys import NOTHING_SEEN, Seen, Verdict
from gateway.domain.limits import BucketState
from gateway.domain.periods import months_around
from gateway.domain.tenant import Tenant
from gateway.ports import (
    BoardUnavailable,
    Claim,
    Hold,
    Joined,
    Lead,
    PoolStanding,
    Replay,
    Settlement,
)
from gateway.store.local_books import LocalBooks, Page
from gateway.store.local_keys import LocalKeys
from gateway.store.pool import Pool
from gateway.store.refusals import check_cost, refusal

__all__ = ["NoBook", "NoKeyDesk", "NoMarks", "SoloAdmission", "SoloBoard", "SoloRequestGate"]


class SoloBoard:
    """A FlightBoard without a Redis: equal calls of one process are merged before they come here."""

    async def join(self, flight: str, *, timeout: float, seen: int, token: str) -> Joined:  # noqa: ASYNC109 - the port's
        del timeout
        return Lead(flight, epoch=max(seen, 0) + 1, token=token)

    async def sent(self, lead: Lead, hold: Hold | None = None) -> bool:
        del lead, hold
        return True

    async def complete(self, lead: Lead, outcome: str, message: str = "") -> None:
        del lead, outcome, message

    async def release(self, lead: Lead) -> None:
        del lead

    async def woken(self, flight: str, wait: float) -> None:
        del flight
        await asyncio.sleep(wait)


class NoBook:
    """A ReplayBook that keeps nothing: calls under an idempotency key cannot be honoured."""

    async def open(self, slot: str, request: str) -> Replay | None:
        del slot, request
        raise BoardUnavailable

    async def close(self, slot: str, request: str, replay: Replay) -> None:
        del slot, request, replay
        raise BoardUnavailable


class NoMarks:
    """EpochSource, DenyList and Administration where nothing is stored and no other replica is."""

    async def epoch(self, scope: str, operation: Operation, digest: str) -> int:
        del scope, operation, digest
        return 0

    async def is_denied(self, credential_sha256: bytes) -> bool:
        del credential_sha256
        return False

    async def purge(self, purge: Purge) -> int:
        del purge
        raise StateUnavailable("No Redis is configured, so no result is stored.")

    async def revoke(self, credential_sha256: bytes) -> None:
        del credential_sha256
        raise StateUnavailable(
            "No Redis is configured: take the credential from the configuration."
        )


class NoKeyDesk:
    """KeyDesk and KeyMarks of a replica that is alone: what it has seen of its keys ends with it."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def named(self, key_id: str) -> tuple[str, ...]:
        return self._pool.named(key_id)

    async def state(self) -> PoolStanding:
        raise StateUnavailable("No Redis is configured, so nothing is known of keys.")

    async def drain(self, keys: Sequence[str]) -> None:
        del keys
        raise StateUnavailable("No Redis is configured: take the key from the configuration.")

    async def resume(self, keys: Sequence[str]) -> None:
        del keys
        raise StateUnavailable("No Redis is configured: a restart forgets what was seen of keys.")

    async def mark(self, key: str, verdict: Verdict) -> None:
        del key, verdict


class SoloAdmission:
    """Admission for a replica without a state Redis: its books end with the process."""

    def __init__(self, pool: Pool | None = None, *, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        keys = LocalKeys(pool or Pool(), wall)
        self._books = LocalBooks(wall, lambda tenant: tenant.limits.budget_milli, keys=keys)

    async def admit(self, claim: Claim) -> Hold:
        check_cost(claim)
        return self._books.admit(claim)

    def sent(self, hold: Hold) -> None:
        del hold  # it lapses with the process

    async def again(self, claim: Claim, hold: Hold, seen: Seen, tried: frozenset[str]) -> Hold:
        key = self._books.another_key(claim, hold, seen, tried)
        return replace(hold, key=key, attempt=hold.attempt + 1)

    def settle(self, hold: Hold, settlement: Settlement, seen: Seen = NOTHING_SEEN) -> None:
        self._books.settle(hold, settlement, seen)

    def state(self, tenant: Tenant) -> BucketState | None:
        rate = tenant.limits.edits
        if rate is None:
            return None
        return rate.state(self._page(tenant).full_at, int(self._wall() * 1e6))

    async def balance(self, tenant: Tenant) -> Balance | None:
        budget = tenant.limits.budget_milli
        if budget is None:
            return None
        period = months_around(self._wall(), tenant.limits.zone)[1]
        return Balance(budget, self._page(tenant).spent_in(period), period.end / 1000)

    def _page(self, tenant: Tenant) -> Page:
        return self._books.pages.get(tenant.id, Page())


class SoloRequestGate:
    """RequestGate of a replica without a state Redis. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._full_at: dict[str, int] = {}

    async def enter(self, tenant: Tenant) -> None:
        rate = tenant.limits.requests
        if rate is None:
            return
        taken = rate.take(self._full_at.get(tenant.id, 0), self._now())
        self._full_at[tenant.id] = taken.full_at
        if taken.wait_us:
            raise refusal(tenant, "requests", taken.wait_us / 1e6)

    def state(self, tenant: Tenant) -> BucketState | None:
        rate = tenant.limits.requests
        if rate is None:
            return None
        return rate.state(self._full_at.get(tenant.id, 0), self._now())

    def _now(self) -> int:
        return round(self._clock() * 1e6)
