"""Who may buy now, and what it cost: rates, places and credits."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol

from gateway.domain.calls import Balance
from gateway.domain.edit import Operation
from gateway.domain.limits import BucketState
from gateway.domain.periods import Period
from gateway.domain.tenant import Tenant

__all__ = ["Admission", "Claim", "Hold", "HoldLost", "RequestGate", "Settlement"]


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
class Claim:
    """What one purchase asks for. `id` is its own: the same claim made twice is granted once.

    `cost_milli` is in thousandths of a credit; `seconds` is how long the upstream call may take.
    """

    id: str
    tenant: Tenant
    operation: Operation
    cost_milli: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Hold:
    """A granted claim: a place among the tenant's calls, and credits held until it is settled.

    `period` is the budget's that they are held in. `trusted` says that this replica granted it by
    itself, while the state Redis was away.
    """

    id: str
    tenant: str
    operation: Operation
    cost_milli: int
    seconds: float
    period: Period
    trusted: bool = False


class Admission(Protocol):
    """Decides in one step whether a paid call may go."""

    async def admit(self, claim: Claim) -> Hold:
        """Take a token of the tenant's edit rate, a place, and hold the credits; or do none of it.

        Raises TenantRate, TenantConcurrency, TenantBudget, RequestCost, and StateUnavailable for a
        tenant that is not to be served on trust. Cancelled, it holds nothing.
        """
        ...

    def sent(self, hold: Hold) -> None:
        """Say that the upstream is being called: the hold will not lapse before that has ended."""
        ...

    def settle(self, hold: Hold, settlement: Settlement) -> None:
        """Say what became of a hold. It is noted at once and told to the others soon; twice is as once."""
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
