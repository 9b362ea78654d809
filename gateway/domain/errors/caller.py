"""What the caller can mend."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.domain.errors.base import Fault, GatewayError, Violation

__all__ = [
    "BlobMissing",
    "BodyTooLarge",
    "CallerError",
    "DeadlineExceeded",
    "IdempotencyConflict",
    "InvalidRequest",
    "NotAdmin",
    "NotCached",
    "ResultGone",
    "RouteNotServed",
    "TooManyPurges",
    "Unauthenticated",
    "UpstreamRefused",
]


class CallerError(GatewayError):
    """The request cannot be served as it is; the caller can mend it."""

    fault = Fault.CALLER


class Unauthenticated(CallerError):
    """No credential, or one that belongs to nobody."""

    reason = "UNAUTHENTICATED"


class NotAdmin(CallerError):
    """The credential is a tenant's, and the service is for administrators."""

    reason = "NOT_ADMIN"


class TooManyPurges(CallerError):
    """As many single digests are purged as are remembered: purge the tenant, the operation or all."""

    reason = "TOO_MANY_PURGES"


class InvalidRequest(CallerError):
    """The request breaks at least one rule; `violations` names all of them."""

    reason = "INVALID_REQUEST"

    def __init__(self, violations: Sequence[Violation]) -> None:
        self.violations = tuple(violations)
        super().__init__("; ".join(f"{v.field}: {v.description}" for v in self.violations))


class BlobMissing(InvalidRequest):
    """The request names pictures that are not kept, or no longer: upload them again."""

    reason = "BLOB_NOT_FOUND"


class BodyTooLarge(CallerError):
    """The body is larger than any call may be."""

    reason = "BODY_TOO_LARGE"


class RouteNotServed(CallerError):
    """The gateway has no such route; the message names the one to use."""

    reason = "ROUTE_NOT_SERVED"


class NotCached(CallerError):
    """The caller wanted a stored result alone, and there is none."""

    reason = "NOT_CACHED"


class DeadlineExceeded(CallerError):
    """The caller's time is up. Work that was paid for goes on, and answers the next call."""

    reason = "DEADLINE_EXCEEDED"


class IdempotencyConflict(CallerError):
    """The idempotency key was used for another request."""

    reason = "IDEMPOTENCY_CONFLICT"


class ResultGone(CallerError):
    """The request was served under its idempotency key, and the result is no longer kept.

    It is never bought again under that key: a new key buys.
    """

    reason = "RESULT_GONE"


class UpstreamRefused(CallerError):
    """The upstream refused this edit of this picture. Not charged; a repetition would fail too.

    `certain` says that it is a plain 400, which depends on the request alone.
    """

    reason = "UPSTREAM_REFUSED"
    shared = True

    def __init__(
        self, message: str, *, retry_after: float | None = None, certain: bool = False
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.certain = certain
