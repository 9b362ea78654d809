"""Failures of the gateway itself."""

from __future__ import annotations

from gateway.domain.errors.base import Fault, GatewayError

__all__ = [
    "GatewayFault",
    "InternalError",
    "NotKept",
    "ReplaysUnavailable",
    "ShuttingDown",
    "StateUnavailable",
]


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
