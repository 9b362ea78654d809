"""Where results and pictures are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gateway.domain.answer import Answer

__all__ = ["BlobStore", "CacheKey", "CachedAnswer", "ResultCache"]


@dataclass(frozen=True, slots=True)
class CacheKey:
    """What a stored result is found by.

    `scope` is the tenant's own or a shared one; `digest` is the edit's content address. `epoch` is that
    of the moment at which the call looked: a purge while its purchase is under way disowns that too.
    """

    scope: str
    digest: str
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """A stored result, verified whole.

    `cost_milli` is what it cost when it was bought, in thousandths of a credit; times are seconds since
    the epoch; `tier` is `memory` or `redis`; `sha256` is that of the body, in lower-case hex.
    """

    answer: Answer
    cost_milli: int
    stored_at: float
    expires_at: float
    tier: str
    sha256: str


class ResultCache(Protocol):
    """Results by content address. It never raises for a failure of its own: that is a miss."""

    async def find(self, key: CacheKey) -> CachedAnswer | None:
        """Return the stored result whose every byte is there and has the right SHA-256, else None."""
        ...

    async def store(self, key: CacheKey, answer: Answer, *, cost_milli: int, ttl: float) -> bool:
        """Keep a result for `ttl` seconds; blob first, entry last. False when it could not be kept."""
        ...


class BlobStore(Protocol):
    """Pictures by SHA-256 within a scope. A scope can name only its own. Never raises, as ResultCache."""

    async def read_blob(self, scope: str, sha256: str) -> bytes | None:
        """Return the verified bytes, else None."""
        ...

    async def write_blob(self, scope: str, data: bytes, *, ttl: float) -> bool:
        """Keep `data` under its SHA-256 for at least `ttl` seconds. False when it could not be kept."""
        ...
