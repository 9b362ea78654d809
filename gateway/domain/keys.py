"""Upstream keys as one pool: what each may serve, and what its calls have shown of it."""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass

from gateway.domain.credits import Price

__all__ = [
    "NOTHING_SEEN",
    "NO_KEY",
    "KeyGrant",
    "PoolAccount",
    "PoolKey",
    "Seen",
    "Verdict",
    "fingerprint",
]

_NAME = b"photoroom-gateway key "


class Verdict(enum.StrEnum):
    """What a call has shown of its key, the key's account, or the endpoint.

    `SERVED`: all is well. `REJECTED` (401) and `FORBIDDEN` (403, and the account call says so too): the
    key is not used any more. `EXHAUSTED` (402): the account is empty until a poll says otherwise.
    `THROTTLED` (429): the key waits; its account, when two of its keys meet it together. `FAILED` (5xx, no
    answer): the endpoint has trouble, once a digest. `REFUSED`: two keys were forbidden this edit, so it is
    not the keys. `NOTHING`: it does not tell.
    """

    NOTHING = "nothing"
    SERVED = "served"
    REJECTED = "rejected"
    FORBIDDEN = "forbidden"
    EXHAUSTED = "exhausted"
    THROTTLED = "throttled"
    FAILED = "failed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Seen:
    """A verdict; `wait` are the seconds for which a throttled key is left alone.

    `masks` are keys that were forbidden what this one has served.
    """

    verdict: Verdict = Verdict.NOTHING
    wait: float = 0.0
    masks: tuple[str, ...] = ()


NOTHING_SEEN = Seen()


@dataclass(frozen=True, slots=True)
class KeyGrant:
    """The key that an attempt was granted, by its fingerprint, and what its account pays.

    `images_milli` is in thousandths of an image.
    """

    key: str
    account: str
    images_milli: int


NO_KEY = KeyGrant("-", "-", 0)
"""What is granted where nobody chooses among keys."""


@dataclass(frozen=True, slots=True)
class PoolKey:
    """A key of the pool: `calls` in any `window_ms` milliseconds, `places` calls at once (None: any)."""

    id: str
    fingerprint: str
    calls: int
    window_ms: int
    places: int | None = None


@dataclass(frozen=True, slots=True)
class PoolAccount:
    """An account with its keys. `price` is None when the account's own plan says it.

    All its keys may make `calls` in any `window_ms` milliseconds, None for any number; `reserve_milli`
    thousandths of an image are never spent; it serves the tenants named, None for all.
    """

    id: str
    keys: tuple[PoolKey, ...]
    price: Price | None
    calls: int | None = None
    reserve_milli: int = 0
    tenants: frozenset[str] | None = None
    window_ms: int = 60_000


def fingerprint(secret: str) -> str:
    """Name a key by 16 hex digits that tell nothing of it: what logs, metrics and Redis know it by."""
    return hashlib.sha256(_NAME + secret.encode()).hexdigest()[:16]
