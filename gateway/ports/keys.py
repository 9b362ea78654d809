"""How the upstream keys stand, and what operators change of that on all replicas at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway.domain.edit import Operation
from gateway.domain.keys import PoolAccount, PoolKey, Verdict

__all__ = [
    "AccountStanding",
    "EndpointStanding",
    "KeyDesk",
    "KeyMarks",
    "KeyStanding",
    "PoolStanding",
]


@dataclass(frozen=True, slots=True)
class KeyStanding:
    """One key, as all replicas have seen it. Times are seconds since the epoch by the state Redis.

    `checking`: it came with a change of the configuration, and the asking replica does not use it before
    its account call is answered. `leaving`: the configuration has it no more, and it goes on for a
    moment. `off` says why nobody uses it: `drained`, `rejected` or `forbidden`; empty: it is used.
    Until `cooling_until`, `sandbox_cooling_until` and the times in `masked` it is left alone altogether,
    for sandbox calls, for one operation. `calls` were made in its window, `in_flight` are under way.
    """

    key: PoolKey
    account: str
    checking: bool = False
    leaving: bool = False
    off: str = ""
    cooling_until: float | None = None
    sandbox_cooling_until: float | None = None
    masked: Mapping[Operation, float] = field(default_factory=dict)
    calls: int = 0
    in_flight: int = 0

    @property
    def usable(self) -> bool:
        """Whether a live call of an operation that is not masked may go with it, rates apart."""
        return not (self.checking or self.off or self.cooling_until)


@dataclass(frozen=True, slots=True)
class AccountStanding:
    """One account; amounts are thousandths of an image, None while nobody has asked the account.

    `available_milli` is what the account itself said last, `headroom_milli` what is left of that for new
    calls. `exhausted`: it answered 402, and has not been asked with success since. `calls` were made in
    its window, where it has a rate.
    """

    account: PoolAccount
    available_milli: int | None = None
    headroom_milli: int | None = None
    exhausted: bool = False
    cooling_until: float | None = None
    calls: int = 0


@dataclass(frozen=True, slots=True)
class EndpointStanding:
    """The endpoint of an operation: so many digests in trouble since its last success.

    `open_until` is when one call may find out whether it is back; None: it is not taken for down.
    """

    operation: Operation
    in_trouble: int = 0
    open_until: float | None = None


@dataclass(frozen=True, slots=True)
class PoolStanding:
    """All keys, accounts and endpoints of one moment."""

    keys: tuple[KeyStanding, ...]
    accounts: tuple[AccountStanding, ...]
    endpoints: tuple[EndpointStanding, ...]


class KeyDesk(Protocol):
    """What operators see and change of the keys. Done twice, a change is as done once.

    All but `named` raise StateUnavailable: then nobody knows whether a change was made.
    """

    def named(self, key_id: str) -> tuple[str, ...]:
        """Return the fingerprints of the key of that id: two while its secret is being replaced."""
        ...

    async def state(self) -> PoolStanding:
        """Return how all keys stand that this replica knows."""
        ...

    async def drain(self, keys: Sequence[str]) -> None:
        """Let no call begin with the keys of these fingerprints; those under way finish."""
        ...

    async def resume(self, keys: Sequence[str]) -> None:
        """Forget why the keys of these fingerprints are not used, or left alone."""
        ...


class KeyMarks(Protocol):
    """Where it is noted for all replicas what an account call has shown of a key."""

    async def mark(self, key: str, verdict: Verdict) -> None:
        """Note SERVED, REJECTED or FORBIDDEN of the key of that fingerprint; a drained one stays so.

        Raises StateUnavailable.
        """
        ...
