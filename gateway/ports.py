"""What the pipeline needs from the world: small protocols, named by role.

Adapters know these and the domain, and not each other. The pipeline knows these and no adapter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from gateway.domain.answer import AccountState, Answer
from gateway.domain.caching import CacheMode, Purge
from gateway.domain.edit import Edit, ImageRef, Operation
from gateway.domain.errors import Violation
from gateway.domain.tenant import Admin, Caller

__all__ = [
    "AccountSource",
    "AdminAuthenticator",
    "Administration",
    "Authenticator",
    "BlobStore",
    "BoardUnavailable",
    "CacheKey",
    "CachedAnswer",
    "DenyList",
    "Draft",
    "Ended",
    "EpochSource",
    "FlightBoard",
    "Follow",
    "Joined",
    "Lead",
    "Pictures",
    "Purchase",
    "Replay",
    "ReplayBook",
    "ReplayConflict",
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
    caller wants of the cache; a result of more than `inline` bytes is to be kept as a blob too. Calls
    under one `idempotency_key` are one call.
    """

    edit: Edit
    pictures: Pictures = field(repr=False)
    violations: tuple[Violation, ...] = ()
    ignored: tuple[str, ...] = ()
    mode: CacheMode = CacheMode.DEFAULT
    inline: int | None = None
    idempotency_key: str | None = None


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


class EpochSource(Protocol):
    """When results were last purged, whatever the reach of the purge."""

    async def epoch(self, scope: str, operation: Operation, digest: str) -> int:
        """Return the epoch of an edit's results. It rises with every purge that reaches them."""
        ...


class DenyList(Protocol):
    """The credentials that were revoked since the configuration was read."""

    async def is_denied(self, credential_sha256: bytes) -> bool:
        """Whether the credential of this SHA-256 (32 bytes) is refused."""
        ...


class AdminAuthenticator(Protocol):
    """Credential -> which administrator calls."""

    async def authenticate_admin(self, credential: str | None) -> Admin:
        """Return the administrator. Raises Unauthenticated; NotAdmin for a tenant's credential."""
        ...

    def owner(self, credential_sha256: bytes) -> str:
        """Return whose the credential of this SHA-256 is, a tenant's or administrator's id, else ""."""
        ...


class Administration(Protocol):
    """What administrators change on all replicas at once. Done twice, a change is as done once.

    Both raise StateUnavailable: then nobody knows whether the change was made.
    """

    async def purge(self, purge: Purge) -> int:
        """Disown the stored results that `purge` reaches; return their new epoch.

        Raises TooManyPurges.
        """
        ...

    async def revoke(self, credential_sha256: bytes) -> None:
        """Refuse the credential of this SHA-256 (32 bytes) from now on."""
        ...


class BlobStore(Protocol):
    """Pictures by SHA-256 within a scope. A scope can name only its own. Never raises, as ResultCache."""

    async def read_blob(self, scope: str, sha256: str) -> bytes | None:
        """Return the verified bytes, else None."""
        ...

    async def write_blob(self, scope: str, data: bytes, *, ttl: float) -> bool:
        """Keep `data` under its SHA-256 for at least `ttl` seconds. False when it could not be kept."""
        ...


class BoardUnavailable(Exception):
    """The board of flights cannot be reached, or did not answer in time. Nothing is known to be done."""


@dataclass(frozen=True, slots=True)
class Lead:
    """This replica leads a flight.

    A higher epoch disowns it; `token` makes each step a no-op the second time. `attempts` are the paid
    attempts before this one, all epochs together.
    """

    flight: str
    epoch: int
    token: str
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Follow:
    """Another replica leads: wait for the wake-up, for `wait` seconds at most, and join again."""

    flight: str
    epoch: int
    wait: float


@dataclass(frozen=True, slots=True)
class Ended:
    """The flight has ended lately.

    `outcome` is what its leader said: `stored`, `unshared`, or the reason of an error that is the same
    for everybody, with its public `message`.
    """

    flight: str
    epoch: int
    outcome: str
    message: str = ""


Joined: TypeAlias = Lead | Follow | Ended
"""What becomes of a call that joins a flight."""


class FlightBoard(Protocol):
    """The records of flights that all replicas see.

    Every method raises BoardUnavailable; the same call may then be made again with the same arguments.
    """

    async def join(
        self,
        flight: str,
        *,
        timeout: float,  # noqa: ASYNC109 - the operation's, not this call's
        seen: int,
        token: str,
    ) -> Joined:
        """Lead the flight if nobody does, else follow, else hear how it ended.

        `timeout` is the operation's, in seconds: the flight of a dead leader is taken over after it.
        Endings of epochs up to `seen` are passed over: their result was lost, so the flight is led anew.
        `seen` below zero says that the caller is new: then every ending is passed over, since an outcome
        belongs to those who were there.
        """
        ...

    async def sent(self, lead: Lead) -> bool:
        """Mark that the upstream is about to be called. False: a higher epoch leads, do not call."""
        ...

    async def complete(self, lead: Lead, outcome: str, message: str = "") -> None:
        """End the flight, whatever its epoch: the first paid outcome wins. Wakes the followers."""
        ...

    async def release(self, lead: Lead) -> None:
        """Give an unpaid flight back, for another to lead. Wakes the followers."""
        ...

    async def woken(self, flight: str, wait: float) -> None:
        """Return when the flight has changed, or after `wait` seconds."""
        ...


class ReplayConflict(Exception):
    """The slot was opened for another request."""


@dataclass(frozen=True, slots=True)
class Replay:
    """How a call under an idempotency key ended: with a picture, or with an error that may have cost.

    A picture is named by content, its bytes are kept as a blob; an error has a `reason` and a `message`.
    """

    reason: str = ""
    message: str = ""
    body: ImageRef | None = None
    media_type: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    cost_milli: int = 0


class ReplayBook(Protocol):
    """What became of calls under idempotency keys, for a day. Raises BoardUnavailable."""

    async def open(self, slot: str, request: str) -> Replay | None:
        """Open the slot for the request; return how it ended if it has. Raises ReplayConflict."""
        ...

    async def close(self, slot: str, request: str, replay: Replay) -> None:
        """Note how the call in the slot ended; the first word stands."""
        ...
