"""What one caller wants, and what comes home for it.

`Goods` know nothing of the caller: the pipeline dresses them for each one.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, replace
from typing import Final

from gateway.domain.answer import Answer
from gateway.domain.caching import is_merged
from gateway.domain.calls import FromCache
from gateway.domain.edit import ImageRef
from gateway.domain.tenant import Tenant
from gateway.ports import CacheKey, Draft

__all__ = ["BLOB_LIFE", "CallTimes", "Goods", "Order"]

BLOB_LIFE: Final = 24 * 3600.0
"""Seconds for which an uploaded picture, a result handed over as a blob, and one under an idempotency key
are kept."""


@dataclass(frozen=True, slots=True)
class CallTimes:
    """Seconds that an upstream call may take: one that generates nothing, and one that does."""

    edit: float
    generative: float


@dataclass(frozen=True, slots=True)
class Goods:
    """A picture that was bought or found. `kept` says that it can be had as a blob."""

    answer: Answer
    body: ImageRef
    cost_milli: int
    cache: FromCache
    kept: bool

    def shared(self) -> Goods:
        """The same for a caller who joined the flight: it paid nothing, and saved a purchase."""
        if self.cache.tier:
            return self
        cache = replace(self.cache, tier="flight", saved_milli=self.cost_milli)
        return replace(self, cost_milli=0, cache=cache)


@dataclass(frozen=True, slots=True)
class Order:
    """What one caller wants. `slot` is that of its idempotency key, if it has one."""

    draft: Draft
    key: CacheKey
    tenant: Tenant
    sandbox: bool
    slot: str | None

    @property
    def flight(self) -> str:
        """Name of the flight: by scope, epoch and digest where others may take the result, else its own."""
        if is_merged(self.draft.edit, self.draft.mode):
            named = f"{self.key.scope}\n{self.key.epoch}\n{self.key.digest}"
            return hashlib.sha256(named.encode()).hexdigest()
        return f"slot-{self.slot}" if self.slot else f"alone-{uuid.uuid4().hex}"
