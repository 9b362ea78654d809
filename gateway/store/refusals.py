"""The words in which a limit of a tenant refuses a claim."""

from __future__ import annotations

from typing import Final

from gateway.domain.credits import milli_text
from gateway.domain.errors import (
    PolicyError,
    RequestCost,
    TenantBudget,
    TenantConcurrency,
    TenantRate,
    UpstreamCooling,
    UpstreamUnavailable,
)
from gateway.domain.tenant import Tenant
from gateway.ports import Claim

__all__ = ["check_cost", "cooling", "no_key", "refusal"]

_WORDS: Final[dict[str, tuple[type[PolicyError], str]]] = {
    "requests": (TenantRate, "The tenant's rate of calls is used up."),
    "edits": (TenantRate, "The tenant's rate of upstream calls is used up."),
    "max_in_flight": (
        TenantConcurrency,
        "The tenant has as many upstream calls under way as it may.",
    ),
    "monthly_images": (TenantBudget, "The tenant's credits of this month are spent or held."),
}

_LEAST_WAIT: Final = {"max_in_flight": 1.0}
"""Seconds: nobody knows how long the calls under way will take."""


def check_cost(claim: Claim) -> None:
    """Raise RequestCost for a claim that costs more than one call of its tenant may."""
    most = claim.tenant.limits.cost_milli
    if most is not None and claim.cost_milli > most:
        raise RequestCost(
            f"The call costs {milli_text(claim.cost_milli)} credits; "
            f"one call of this tenant may cost {milli_text(most)}.",
            tenant=claim.tenant.id,
            limit="max_cost",
        )


def refusal(tenant: Tenant, limit: str, wait: float) -> PolicyError:
    """Return the error for the limit of that name in the configuration; `wait` is in seconds."""
    kind, text = _WORDS[limit]
    wait = max(wait, _LEAST_WAIT.get(limit, 0.0))
    return kind(text, tenant=tenant.id, limit=limit, retry_after=wait)


def no_key(wait: float | None) -> UpstreamUnavailable:
    """Return the error of a call that no key can serve for so many seconds; None: nobody knows."""
    return UpstreamUnavailable("No upstream key can serve the call now.", retry_after=wait)


def cooling(wait: float) -> UpstreamCooling:
    """Return the error of a call to an endpoint in trouble, or of an edit that brought it there."""
    return UpstreamCooling("The upstream has had trouble, and is left alone.", retry_after=wait)
