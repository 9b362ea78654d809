"""Who calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.domain.limits import NO_LIMITS, Limits

__all__ = ["SANDBOX_PREFIX", "Admin", "Caller", "Tenant"]

SANDBOX_PREFIX: Final = "sandbox_"
"""Put before a key, the upstream's or a tenant's, it makes the call free and watermarked."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """A team that shares the gateway with others.

    `shared_scope` names the results that it shares with other tenants; empty: it shares with nobody.
    `extra_parameters`: it may send parameters that the gateway does not know. `ignore_unknown`: unknown
    parameters on its drop-in calls are left out instead of refused. `accounts` are the upstream accounts
    that may serve it, None for all.
    """

    id: str
    sandbox: bool = False
    extra_parameters: bool = False
    ignore_unknown: bool = False
    shared_scope: str = ""
    limits: Limits = NO_LIMITS
    accounts: frozenset[str] | None = None

    @property
    def scope(self) -> str:
        """Whose results and blobs it sees. No shared scope can have the name of a tenant's own."""
        return f"shared:{self.shared_scope}" if self.shared_scope else f"tenant:{self.id}"


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller.

    `sandbox` is true for a sandbox tenant and for a credential sent with the prefix `sandbox_`: the call
    is free, watermarked, and never shares a result with live ones.
    """

    tenant: Tenant
    sandbox: bool


@dataclass(frozen=True, slots=True)
class Admin:
    """An operator who may call the administration service. Administrators are no tenants."""

    id: str
