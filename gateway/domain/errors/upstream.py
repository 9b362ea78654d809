"""Trouble with Photoroom, or with our standing there."""

from __future__ import annotations

from gateway.domain.errors.base import Ending, Fault, GatewayError

__all__ = [
    "KeyExhausted",
    "KeyForbidden",
    "KeyRejected",
    "KeyThrottled",
    "KeyTrouble",
    "OutcomeUnknown",
    "UpstreamBadAnswer",
    "UpstreamCooling",
    "UpstreamError",
    "UpstreamFailed",
    "UpstreamUnavailable",
    "UpstreamUnreachable",
]


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
