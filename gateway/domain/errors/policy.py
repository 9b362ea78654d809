"""The limits of a tenant."""

from __future__ import annotations

from gateway.domain.errors.base import Fault, GatewayError

__all__ = ["PolicyError", "RequestCost", "TenantBudget", "TenantConcurrency", "TenantRate"]


class PolicyError(GatewayError):
    """A limit of the tenant `tenant` refuses the call; nothing was spent.

    `limit` names the key of the configuration that it stands under: `requests`, `edits`,
    `max_in_flight`, `monthly_images` or `max_cost`. Equal calls of the same tenant share the refusal.
    """

    fault = Fault.POLICY

    def __init__(
        self, message: str, *, tenant: str, limit: str, retry_after: float | None = None
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.tenant = tenant
        self.limit = limit


class TenantRate(PolicyError):
    """The tenant calls too often; `retry_after` is when the next call may come."""

    reason = "TENANT_RATE"


class TenantConcurrency(PolicyError):
    """The tenant has as many upstream calls under way as it may have."""

    reason = "TENANT_CONCURRENCY"


class TenantBudget(PolicyError):
    """The tenant's month has too few credits left, those held for calls under way counted as spent."""

    reason = "TENANT_BUDGET"


class RequestCost(PolicyError):
    """The call costs more than one call of this tenant may."""

    reason = "REQUEST_COST"
