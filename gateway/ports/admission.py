"""Who may buy now, and what it cost: rates, places and credits."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol

from gateway.domain.calls import Balance
from gateway.domain.edit import Operation
from gateway.domain.keys import NO_KEY, NOTHING_SEEN, KeyGrant, Seen
from gateway.domain.limits import BucketState
from gateway.domain.periods import Period
from gateway.domain.tenant import Tenant

__all__ = [
    "NO_TRAITS",
    "Admission",
    "CallTraits",
    "Claim",
    "Hold",
    "HoldLost",
    "KeyCheck",
    "RequestGate",
    "Settlement",
]


class HoldLost(Exception):
    """A hold has lapsed before its call was sent, or Redis has lost it: ask for a new one."""


class Settlement(enum.StrEnum):
    """What became of a hold.

    `POSTED`: the upstream charged. `VOIDED`: it did not. `PRESUMED`: nobody knows; it counts as spent
    until somebody does.
    """

    POSTED = "posted"
    VOIDED = "voided"
    PRESUMED = "presumed"


@dataclass(frozen=True, slots=True)
class CallTraits:
    """What the choice of a key depends on: `digest` names the edit, `template` its template, or nothing."""

    sandbox: bool = False
    digest: str = ""
    template: str = ""


NO_TRAITS = CallTraits()


@dataclass(frozen=True, slots=True)
class Claim:
    """What one purchase asks for. `id` is its own: the same claim made twice is granted once.

    `cost_milli` is in thousandths of a credit; `seconds` is how long the upstream call may take.
    """

    id: str
    tenant: Tenant
    operation: Operation
    cost_milli: int
    seconds: float
    traits: CallTraits = NO_TRAITS

    def granted(self, period: Period, key: KeyGrant = NO_KEY) -> Hold:
        """Return the hold of this claim, in the budget of that period and with that key."""
        return Hold(
            self.id,
            self.tenant.id,
            self.operation,
            self.cost_milli,
            self.seconds,
            period,
            self.traits,
            key,
        )


@dataclass(frozen=True, slots=True)
class Hold:
    """A granted claim: a place among the tenant's calls, and credits held until it is settled.

    `key` is the one that the present `attempt` goes with. `period` is the budget's that they are held in. `trusted` says that this replica granted it by
    itself, while the state Redis was away.
    """

    id: str
    tenant: str
    operation: Operation
    cost_milli: int
    seconds: float
    period: Period
    traits: CallTraits = NO_TRAITS
    key: KeyGrant = NO_KEY
    attempt: int = 1
    trusted: bool = False


class Admission(Protocol):
    """Decides in one step whether a paid call may go."""

    async def admit(self, claim: Claim) -> Hold:
        """Take a token of the tenant's edit rate, a place, and hold the credits; or do none of it.

        Raises TenantRate, TenantConcurrency, TenantBudget, RequestCost; UpstreamUnavailable when no key
        can serve, UpstreamCooling when the endpoint is left alone; and StateUnavailable for a tenant
        that is not to be served on trust. Cancelled, it holds nothing.
        """
        ...

    async def again(self, claim: Claim, hold: Hold, seen: Seen, tried: frozenset[str]) -> Hold:
        """Take another key, none of `tried`, for a hold whose attempt was not charged.

        `seen` is what that attempt has shown. Raises UpstreamUnavailable, UpstreamCooling and
        StateUnavailable: the hold is then to be settled.
        """
        ...

    def sent(self, hold: Hold) -> None:
        """Say that the upstream is being called: the hold will not lapse before that has ended."""
        ...

    def settle(self, hold: Hold, settlement: Settlement, seen: Seen = NOTHING_SEEN) -> None:
        """Say what became of a hold, and what its last attempt has shown.

        It is noted at once and told to the others soon; twice is as once.
        """
        ...

    def state(self, tenant: Tenant) -> BucketState | None:
        """Return the tenant's edit rate as this replica last saw it; None without one."""
        ...

    async def balance(self, tenant: Tenant) -> Balance | None:
        """Return the tenant's budget, at most a second old; None without one, or while nobody tells."""
        ...


class RequestGate(Protocol):
    """The rate of all calls of a tenant, those answered from the cache too."""

    async def enter(self, tenant: Tenant) -> None:
        """Count a call. Raises TenantRate."""
        ...

    def state(self, tenant: Tenant) -> BucketState | None:
        """Return the tenant's request rate as this replica last saw it; None without one."""
        ...


class KeyCheck(Protocol):
    """Finds out what a 403 was about."""

    async def is_forbidden(self, key: str) -> bool:
        """Whether the key of this fingerprint may not even ask for its account. Free. Raises nothing."""
        ...
