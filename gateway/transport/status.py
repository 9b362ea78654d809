"""The one table from the error tree to the wires.

Every error that may reach a caller has a row; a test walks the tree so that none is forgotten.
`KeyTrouble` has one too: if it ever escapes the pool, it is our failure, never the caller's 403.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import grpc

from gateway.domain.errors import (
    BlobMissing,
    BodyTooLarge,
    CallerError,
    DeadlineExceeded,
    GatewayError,
    GatewayFault,
    IdempotencyConflict,
    InternalError,
    InvalidRequest,
    KeyTrouble,
    NotAdmin,
    NotCached,
    NotKept,
    OutcomeUnknown,
    PolicyError,
    ReplaysUnavailable,
    RequestCost,
    ResultGone,
    RouteNotServed,
    ShuttingDown,
    StateUnavailable,
    TenantBudget,
    TenantConcurrency,
    TenantRate,
    TooManyPurges,
    Unauthenticated,
    UpstreamBadAnswer,
    UpstreamCooling,
    UpstreamError,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamUnavailable,
    UpstreamUnreachable,
)

__all__ = ["STATUS", "WireStatus", "public_error", "wait_seconds", "wire_status"]


@dataclass(frozen=True, slots=True)
class WireStatus:
    """How an error looks on each wire."""

    http: int
    grpc: grpc.StatusCode


_Code = grpc.StatusCode

STATUS: Final[dict[type[GatewayError], WireStatus]] = {
    CallerError: WireStatus(400, _Code.INVALID_ARGUMENT),
    Unauthenticated: WireStatus(401, _Code.UNAUTHENTICATED),
    NotAdmin: WireStatus(403, _Code.PERMISSION_DENIED),
    TooManyPurges: WireStatus(429, _Code.RESOURCE_EXHAUSTED),
    InvalidRequest: WireStatus(400, _Code.INVALID_ARGUMENT),
    BlobMissing: WireStatus(404, _Code.FAILED_PRECONDITION),
    BodyTooLarge: WireStatus(413, _Code.RESOURCE_EXHAUSTED),
    RouteNotServed: WireStatus(404, _Code.UNIMPLEMENTED),
    DeadlineExceeded: WireStatus(504, _Code.DEADLINE_EXCEEDED),
    IdempotencyConflict: WireStatus(422, _Code.INVALID_ARGUMENT),
    ResultGone: WireStatus(409, _Code.FAILED_PRECONDITION),
    NotCached: WireStatus(504, _Code.NOT_FOUND),
    UpstreamRefused: WireStatus(400, _Code.FAILED_PRECONDITION),
    PolicyError: WireStatus(429, _Code.RESOURCE_EXHAUSTED),
    TenantRate: WireStatus(429, _Code.RESOURCE_EXHAUSTED),
    TenantConcurrency: WireStatus(429, _Code.RESOURCE_EXHAUSTED),
    TenantBudget: WireStatus(402, _Code.RESOURCE_EXHAUSTED),
    RequestCost: WireStatus(403, _Code.PERMISSION_DENIED),
    UpstreamError: WireStatus(502, _Code.INTERNAL),
    KeyTrouble: WireStatus(503, _Code.UNAVAILABLE),
    UpstreamUnreachable: WireStatus(503, _Code.UNAVAILABLE),
    UpstreamFailed: WireStatus(502, _Code.UNAVAILABLE),
    OutcomeUnknown: WireStatus(504, _Code.ABORTED),
    UpstreamBadAnswer: WireStatus(502, _Code.INTERNAL),
    UpstreamCooling: WireStatus(503, _Code.UNAVAILABLE),
    UpstreamUnavailable: WireStatus(503, _Code.UNAVAILABLE),
    GatewayFault: WireStatus(500, _Code.INTERNAL),
    NotKept: WireStatus(503, _Code.UNAVAILABLE),
    StateUnavailable: WireStatus(503, _Code.UNAVAILABLE),
    ReplaysUnavailable: WireStatus(503, _Code.UNAVAILABLE),
    ShuttingDown: WireStatus(503, _Code.UNAVAILABLE),
    InternalError: WireStatus(500, _Code.INTERNAL),
}


def wire_status(error: GatewayError) -> WireStatus:
    """Return the row of the error's class, or of the nearest class above it."""
    return next(STATUS[cls] for cls in type(error).__mro__ if cls in STATUS)


def wait_seconds(error: GatewayError) -> int | None:
    """Return the wait in whole seconds, rounded up, one at least; None where the error knows of none.

    To come back early is to be refused again. A rate, or a place, that is taken is free again soon, even
    if nobody knows when.
    """
    if error.retry_after is not None:
        return max(1, math.ceil(error.retry_after))
    return 1 if isinstance(error, TenantRate | TenantConcurrency) else None


def public_error(error: Exception) -> GatewayError:
    """Return what a caller may see of an exception: mistakes of ours say nothing of themselves."""
    if isinstance(error, GatewayError):
        return error
    return InternalError("The gateway made a mistake; its log has it under this request's id.")
