"""The callers' part of the configuration: tenants with their limits, and administrators."""

from __future__ import annotations

import math
import zoneinfo
from typing import Annotated, Final, Literal, Self, overload

from pydantic import Field, model_validator

from gateway.config.marks import NOT_IN_FORCE, Section
from gateway.config.scalars import (
    NOT_EMPTY,
    Amount,
    Count,
    CredentialHash,
    Flag,
    Id,
    Positive,
    TimeZone,
)
from gateway.domain import limits, tenant

__all__ = ["Admin", "Rate", "Tenant"]

CREDENTIALS = "SHA-256 of each key that it may send, from `photoroom-gateway keys new`."

_LONGEST_MINUTES: Final = 100 * 365 * 24 * 60
"""In Redis a bucket is a number of microseconds, and Lua's numbers are exact up to 2^53."""


class Rate(Section):
    """A token bucket."""

    per_minute: Positive = Field(
        ge=1e-6, le=1e9, description="Calls a minute in the long run, 0.000001 to 1000000000."
    )
    burst: Count = Field(le=1_000_000_000, description="Calls that may come at once.")

    @model_validator(mode="after")
    def _fills(self) -> Self:
        if self.burst / self.per_minute > _LONGEST_MINUTES:
            raise ValueError("takes more than a hundred years to give its burst")
        return self

    @property
    def value(self) -> limits.Rate:
        """The rate as the rest of the gateway knows it."""
        return limits.Rate.of(per_minute=self.per_minute, burst=self.burst)


class Tenant(Section):
    """A team that calls the gateway."""

    id: Id = Field(description="What logs, metrics and other keys of this file call it; unique.")
    credentials_sha256: Annotated[tuple[CredentialHash, ...], NOT_EMPTY] = Field(
        description=f"{CREDENTIALS} Two of them let a key be rotated."
    )
    requests: Rate | None = Field(
        default=None,
        description="Rate of all its calls, answers from the cache too; absent: no bound.",
    )
    edits: Rate | None = Field(
        default=None, description="Rate of its calls that go upstream; absent: no bound."
    )
    max_in_flight: Count | None = Field(
        default=None,
        description="Its upstream calls that may be under way at once; absent: any number.",
    )
    monthly_images: Amount | None = Field(
        default=None,
        description="Credits that it may spend in a calendar month; absent: no budget.",
    )
    max_cost: Amount | None = Field(
        default=None, description="Credits that one call may cost; absent: any."
    )
    time_zone: TimeZone = Field(default="UTC", description="Where its month begins.")
    weight: Annotated[Positive, NOT_IN_FORCE] = Field(
        default=1, description="Its share of upstream capacity, against the others of its priority."
    )
    priority: Annotated[Literal["interactive", "standard", "batch"], NOT_IN_FORCE] = Field(
        default="standard", description="Its class when upstream capacity is short."
    )
    accounts: tuple[Id, ...] | None = Field(
        default=None, description="Accounts that may serve it; absent: all that it may use."
    )
    sandbox: Flag = Field(
        default=False, description="Whether all its calls are sandbox calls: free and watermarked."
    )
    strict: Flag = Field(
        default=False,
        description="Whether it is refused, not served on trust, while state Redis is down.",
    )
    emergency_images: Amount = Field(
        default=10, description="Credits that it may spend while state Redis is down."
    )
    extra_parameters: Flag = Field(
        default=False, description="Whether it may send parameters that the gateway does not know."
    )
    unknown_parameters: Literal["refuse", "ignore"] = Field(
        default="refuse",
        description="Whether unknown parameters on drop-in routes are refused or left out.",
    )
    derive_seeds: Annotated[Flag, NOT_IN_FORCE] = Field(
        default=False,
        description="Whether generative edits without a seed get one made from the edit.",
    )
    urls: Annotated[Literal["pass_through", "fetch"] | None, NOT_IN_FORCE] = Field(
        default=None,
        description="How its image URLs reach the upstream; absent: as `urls.mode` says.",
    )

    @property
    def value(self) -> tenant.Tenant:
        """The tenant as the rest of the gateway knows it."""
        return tenant.Tenant(
            id=self.id,
            sandbox=self.sandbox,
            extra_parameters=self.extra_parameters,
            ignore_unknown=self.unknown_parameters == "ignore",
            limits=self._limits,
            accounts=None if self.accounts is None else frozenset(self.accounts),
        )

    @property
    def _limits(self) -> limits.Limits:
        return limits.Limits(
            requests=self.requests.value if self.requests else None,
            edits=self.edits.value if self.edits else None,
            in_flight=self.max_in_flight,
            budget_milli=_milli(self.monthly_images),
            cost_milli=_milli(self.max_cost),
            zone=zoneinfo.ZoneInfo(self.time_zone),
            strict=self.strict,
            emergency_milli=_milli(self.emergency_images),
        )


class Admin(Section):
    """An operator who may call the administration service."""

    id: Id = Field(description="What the audit log calls the administrator; unique.")
    credentials_sha256: Annotated[tuple[CredentialHash, ...], NOT_EMPTY] = Field(
        description=CREDENTIALS
    )


@overload
def _milli(amount: float) -> int: ...
@overload
def _milli(amount: None) -> None: ...
def _milli(amount: float | None) -> int | None:
    """Return thousandths, rounded down: a limit is not exceeded by a fraction of one."""
    return None if amount is None else math.floor(round(amount * 1000, 6))
