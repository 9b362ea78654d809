"""Admission, counted and timed; each settled hold leaves one usage line."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final

from gateway.domain.calls import Balance
from gateway.domain.errors import PolicyError, UpstreamError
from gateway.domain.keys import NOTHING_SEEN, Seen
from gateway.domain.limits import BucketState
from gateway.domain.tenant import Tenant
from gateway.ports import Admission, Claim, Hold, Settlement
from gateway.telemetry.ledger_metrics import LedgerMetrics
from gateway.telemetry.usage_lines import USAGE_LOGGER, usage_fields

__all__ = ["ObservedAdmission"]

_log: Final = logging.getLogger(USAGE_LOGGER)


class ObservedAdmission:
    """An Admission: what it grants, refuses and settles is seen."""

    def __init__(self, inner: Admission, metrics: LedgerMetrics) -> None:
        self._inner = inner
        self._metrics = metrics
        self._open: set[str] = set()

    async def admit(self, claim: Claim) -> Hold:
        started = time.monotonic()
        outcome = "unavailable"
        try:
            hold = await self._inner.admit(claim)
            outcome = "granted"
        except PolicyError as refusal:
            outcome = refusal.limit
            raise
        except UpstreamError:
            outcome = "no_key"
            raise
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        finally:
            labels = (claim.tenant.id, claim.operation.value, outcome)
            self._metrics.admissions.labels(*labels).inc()
            self._metrics.admission_seconds.observe(time.monotonic() - started)
        self._open.add(hold.id)
        return hold

    async def again(self, claim: Claim, hold: Hold, seen: Seen, tried: frozenset[str]) -> Hold:
        return await self._inner.again(claim, hold, seen, tried)

    def sent(self, hold: Hold) -> None:
        self._inner.sent(hold)

    def settle(self, hold: Hold, settlement: Settlement, seen: Seen = NOTHING_SEEN) -> None:
        if hold.id in self._open:
            self._open.remove(hold.id)
            # Before Redis is told: of what only Redis knows, nothing is left when Redis is lost.
            _log.info("usage", extra=usage_fields(hold, settlement))
            labels = (hold.tenant, hold.operation.value, settlement.value)
            self._metrics.settlements.labels(*labels).inc()
            self._metrics.settled_credits.labels(*labels).inc(hold.cost_milli / 1000)
        self._inner.settle(hold, settlement, seen)

    def state(self, tenant: Tenant) -> BucketState | None:
        return self._inner.state(tenant)

    async def balance(self, tenant: Tenant) -> Balance | None:
        return await self._inner.balance(tenant)
