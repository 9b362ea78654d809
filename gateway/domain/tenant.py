"""Who calls."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Caller", "Tenant"]


@dataclass(frozen=True, slots=True)
class Tenant:
    """A team that shares the gateway with others.

    `extra_parameters`: it may send parameters that the gateway does not know. `ignore_unknown`: unknown
    parameters on its drop-in calls are left out instead of refused.
    """

    id: str
    sandbox: bool = False
    extra_parameters: bool = False
    ignore_unknown: bool = False


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller.

    `sandbox` is true for a sandbox tenant and for a credential sent with the prefix `sandbox_`: the call
    is free, watermarked, and never shares a result with live ones.
    """

    tenant: Tenant
    sandbox: bool
