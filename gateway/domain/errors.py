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

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

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


class Fault(enum.StrEnum):
    """Whose fault a failure is."""

    CALLER = "caller"
    POLICY = "policy"
    UPSTREAM = "upstream"
    GATEWAY = "gateway"


class Ending(enum.StrEnum):
    """What a failed attempt cost."""

    NOT_SPENT = "not_spent"
    DROPPED = "dropped"
    SPENT = "spent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is wrong with a request.

    `field` is the wire name (`background.color`, `editWithAI.additionalImages.logo.imageFile`); a gRPC
    door translates it into the path of the proto field. `code` is stable, `description` is for people.
    """

    field: str
    code: str
    description: str


class GatewayError(Exception):
    """Base of every error that leaves the pipeline.

    `retry_after` is the wait in seconds after which the same call may succeed, where one is known.
    `shared` says that the error is an outcome of the request itself, the same for everybody who makes it
    just then; trouble with a key, an account or a replica is nobody else's.
    """

    reason: ClassVar[str] = "INTERNAL"
    fault: ClassVar[Fault] = Fault.GATEWAY
    ending: ClassVar[Ending] = Ending.NOT_SPENT
    shared: ClassVar[bool] = False

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after

    def fresh(self) -> Self:
        """Return the same error without a traceback, for one more caller to raise."""
        twin = type(self).__new__(type(self), *self.args)
        twin.__dict__.update(self.__dict__)
        return twin


def shared_error(reason: str, message: str) -> GatewayError:
    """Rebuild an outcome of a request that another replica met. Raises ValueError for another reason."""
    for kind in (UpstreamRefused, UpstreamFailed, OutcomeUnknown, UpstreamBadAnswer):
        if kind.reason == reason:
            return kind(message)
    raise ValueError(f"{reason} is not shared between replicas")


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


class UpstreamError(GatewayError):
    """The upstream, or our standing with it, failed."""

    fault = Fault.UPSTREAM


class KeyTrouble(UpstreamError):
    """The upstream key is at fault, not the call. Ends at the pool: a caller never sees it."""

    reason = "KEY_TROUBLE"
    ending = Ending.DROPPED


class KeyRejected(KeyTrouble):
    """401: the upstream does not know the key."""

    reason = "KEY_REJECTED"


class KeyForbidden(KeyTrouble):
    """403: the upstream does not allow the key this call."""

    reason = "KEY_FORBIDDEN"


class KeyExhausted(KeyTrouble):
    """402: the key's account has no images left."""

    reason = "KEY_EXHAUSTED"


class KeyThrottled(KeyTrouble):
    """429: the key is over its rate, or its sandbox quota is used up; `retry_after` says for how long."""

    reason = "KEY_THROTTLED"


class UpstreamUnreachable(UpstreamError):
    """The call did not reach the upstream whole. Not charged."""

    reason = "UPSTREAM_UNREACHABLE"


class UpstreamFailed(UpstreamError):
    """The upstream answered 500. Not charged."""

    reason = "UPSTREAM_FAILED"
    shared = True


class OutcomeUnknown(UpstreamError):
    """The call was sent and no answer came. It may be charged, so it is not sent again by itself."""

    reason = "OUTCOME_UNKNOWN"
    shared = True
    ending = Ending.UNKNOWN


class UpstreamBadAnswer(UpstreamError):
    """The upstream answered 200 with something that is not a whole picture. Charged."""

    reason = "UPSTREAM_BAD_ANSWER"
    shared = True
    ending = Ending.SPENT


class UpstreamCooling(UpstreamError):
    """The endpoint has had trouble, or this edit of this picture has drawn it; nothing was sent."""

    reason = "UPSTREAM_COOLING"


class UpstreamUnavailable(UpstreamError):
    """No upstream key can serve the call now; `retry_after` says when one may."""

    reason = "UPSTREAM_UNAVAILABLE"


class GatewayFault(GatewayError):
    """The gateway's own failure."""

    fault = Fault.GATEWAY


class NotKept(GatewayFault):
    """An uploaded picture could not be kept; the same upload may succeed later."""

    reason = "NOT_KEPT"


class StateUnavailable(GatewayFault):
    """The state Redis does not answer: a change may not have been made, a call is not served on trust."""

    reason = "STATE_UNAVAILABLE"


class ReplaysUnavailable(GatewayFault):
    """Whether the call under this idempotency key was made before cannot be told now; nothing was spent."""

    reason = "IDEMPOTENCY_UNAVAILABLE"


class ShuttingDown(GatewayFault):
    """This replica is closing and takes no more calls; another one will."""

    reason = "SHUTTING_DOWN"


class InternalError(GatewayFault):
    """A mistake in the gateway. The log has it under the request's id."""

    reason = "INTERNAL"
