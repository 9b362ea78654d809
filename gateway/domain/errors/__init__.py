"""Everything that can go wrong, in one tree.

    GatewayError
    ├── CallerError                    the caller can mend it
    │   ├── Unauthenticated            UNAUTHENTICATED
    │   ├── NotAdmin                   NOT_ADMIN: a tenant's credential where an administrator's is wanted
    │   ├── TooManyPurges              TOO_MANY_PURGES: more single digests than are remembered
    │   ├── InvalidRequest             INVALID_REQUEST: every violation at once
    │   │   └── BlobMissing            BLOB_NOT_FOUND: a picture that is named but not kept
    │   ├── BodyTooLarge               BODY_TOO_LARGE
    │   ├── RouteNotServed             ROUTE_NOT_SERVED
    │   ├── NotCached                  NOT_CACHED: only a stored result was wanted
    │   ├── DeadlineExceeded           DEADLINE_EXCEEDED: the caller's time is up; paid work goes on
    │   ├── IdempotencyConflict        IDEMPOTENCY_CONFLICT: the key was used for another request
    │   ├── ResultGone                 RESULT_GONE: served before under this key, no longer kept
    │   └── UpstreamRefused            UPSTREAM_REFUSED: the upstream's 400; not charged
    ├── PolicyError                    the tenant's own limits; nothing was spent
    │   ├── TenantRate                 TENANT_RATE: too many calls, or too many upstream calls, in a time
    │   ├── TenantConcurrency          TENANT_CONCURRENCY: too many upstream calls at once
    │   ├── TenantBudget               TENANT_BUDGET: the month's credits are spent or held
    │   └── RequestCost                REQUEST_COST: one call may not cost so much
    ├── UpstreamError                  Photoroom, or our standing with it
    │   ├── KeyTrouble                 the key is at fault: try another; never shown to a caller
    │   │   ├── KeyRejected            401
    │   │   ├── KeyForbidden           403
    │   │   ├── KeyExhausted           402
    │   │   └── KeyThrottled           429, with the wait
    │   ├── UpstreamUnreachable        UPSTREAM_UNREACHABLE: not sent
    │   ├── UpstreamFailed             UPSTREAM_FAILED: its 500; not charged
    │   ├── OutcomeUnknown             OUTCOME_UNKNOWN: sent, no answer; may be charged
    │   ├── UpstreamBadAnswer          UPSTREAM_BAD_ANSWER: charged, but no picture came
    │   ├── UpstreamCooling            UPSTREAM_COOLING: it has had trouble, and is left alone
    │   └── UpstreamUnavailable        UPSTREAM_UNAVAILABLE: no key can serve now
    └── GatewayFault                   ours
        ├── NotKept                    NOT_KEPT: an upload that could not be stored
        ├── ReplaysUnavailable         IDEMPOTENCY_UNAVAILABLE: the key cannot be honoured now
        ├── StateUnavailable           STATE_UNAVAILABLE: the state Redis does not answer
        ├── ShuttingDown               SHUTTING_DOWN
        └── InternalError              INTERNAL

A reason is stable: clients test for it. The message is for people and may change. Neither holds a
secret, a prompt, a URL or image bytes. `transport/status.py` is the one table from here to the wires.
"""

from __future__ import annotations

from gateway.domain.errors.base import Ending, Fault, GatewayError, Violation
from gateway.domain.errors.caller import (
    BlobMissing,
    BodyTooLarge,
    CallerError,
    DeadlineExceeded,
    IdempotencyConflict,
    InvalidRequest,
    NotAdmin,
    NotCached,
    ResultGone,
    RouteNotServed,
    TooManyPurges,
    Unauthenticated,
    UpstreamRefused,
)
from gateway.domain.errors.faults import (
    GatewayFault,
    InternalError,
    NotKept,
    ReplaysUnavailable,
    ShuttingDown,
    StateUnavailable,
)
from gateway.domain.errors.policy import (
    PolicyError,
    RequestCost,
    TenantBudget,
    TenantConcurrency,
    TenantRate,
)
from gateway.domain.errors.upstream import (
    KeyExhausted,
    KeyForbidden,
    KeyRejected,
    KeyThrottled,
    KeyTrouble,
    OutcomeUnknown,
    UpstreamBadAnswer,
    UpstreamCooling,
    UpstreamError,
    UpstreamFailed,
    UpstreamUnavailable,
    UpstreamUnreachable,
)

__all__ = [
    "BlobMissing",
    "BodyTooLarge",
    "CallerError",
    "DeadlineExceeded",
    "Ending",
    "Fault",
    "GatewayError",
    "GatewayFault",
    "IdempotencyConflict",
    "InternalError",
    "InvalidRequest",
    "KeyExhausted",
    "KeyForbidden",
    "KeyRejected",
    "KeyThrottled",
    "KeyTrouble",
    "NotAdmin",
    "NotCached",
    "NotKept",
    "OutcomeUnknown",
    "PolicyError",
    "ReplaysUnavailable",
    "RequestCost",
    "ResultGone",
    "RouteNotServed",
    "ShuttingDown",
    "StateUnavailable",
    "TenantBudget",
    "TenantConcurrency",
    "TenantRate",
    "TooManyPurges",
    "Unauthenticated",
    "UpstreamBadAnswer",
    "UpstreamCooling",
    "UpstreamError",
    "UpstreamFailed",
    "UpstreamRefused",
    "UpstreamUnavailable",
    "UpstreamUnreachable",
    "Violation",
    "shared_error",
]


def shared_error(reason: str, message: str) -> GatewayError:
    """Rebuild an outcome of a request that another replica met. Raises ValueError for another reason."""
    for kind in (UpstreamRefused, UpstreamFailed, OutcomeUnknown, UpstreamBadAnswer):
        if kind.reason == reason:
            return kind(message)
    raise ValueError(f"{reason} is not shared between replicas")
