"""What the pipeline needs from the world: small protocols, named by role.

Adapters know these and the domain, and not each other. The pipeline knows these and no adapter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from gateway.domain.answer import AccountState, Answer
from gateway.domain.caching import CacheMode
from gateway.domain.edit import Edit, ImageRef, Operation
from gateway.domain.errors import Violation
from gateway.domain.tenant import Caller

__all__ = [
    "AccountSource",
    "Authenticator",
    "BlobStore",
    "CacheKey",
    "CachedAnswer",
    "Draft",
    "Pictures",
    "Purchase",
    "ResultCache",
    "Upstream",
]

Pictures: TypeAlias = Mapping[ImageRef, bytes]
"""The bytes of the pictures that an edit names."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What a door read: the edit as far as it could be read, and all that is wrong with it so far.

    `pictures` may lack those that the caller named by content alone: they are kept blobs. `ignored` are
    the names of unknown parameters that were left out, as the tenant's settings ask. `mode` is what the
    caller wants of the cache; a result of more than `inline` bytes is to be kept as a blob too.
    """

    edit: Edit
    pictures: Pictures = field(repr=False)
    violations: tuple[Violation, ...] = ()
    ignored: tuple[str, ...] = ()
    mode: CacheMode = CacheMode.DEFAULT
    inline: int | None = None


@dataclass(frozen=True, slots=True)
class Purchase:
    """One call to be bought upstream. `pictures` has the bytes of every image slot of `edit`."""

    edit: Edit
    pictures: Pictures = field(repr=False)
    sandbox: bool


class Authenticator(Protocol):
    """Credential -> who calls."""

    async def authenticate(self, credential: str | None) -> Caller:
        """Return the caller. Raises Unauthenticated."""
        ...


class Upstream(Protocol):
    """Where edits are bought."""

    async def buy(self, purchase: Purchase) -> Answer:
        """Buy one edit: at most one charge a call.

        Raises UpstreamRefused and the UpstreamErrors other than KeyTrouble; their `ending` says what
        the attempt cost.
        """
        ...


class AccountSource(Protocol):
    """Where the state of the upstream account is read."""

    async def account(self) -> AccountState:
        """Return what the account says of itself. Raises UpstreamError.

        At most a minute old, or ten while the upstream does not answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class CacheKey:
    """What a stored result is found by.

    `scope` is the tenant's own or a shared one; `tenant` and `operation` choose the epochs that can
    disown older entries; `digest` is the edit's content address.
    """

    scope: str
    tenant: str
    operation: Operation
    digest: str


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
