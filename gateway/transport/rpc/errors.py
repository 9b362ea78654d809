"""Errors as gRPC status with details."""

from __future__ import annotations

from collections.abc import Callable

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, QuotaFailure, RetryInfo
from google.rpc.status_pb2 import Status

from gateway.domain.errors import GatewayError, InvalidRequest, PolicyError
from gateway.transport.status import wait_seconds, wire_status

__all__ = ["DOMAIN", "error_status"]

DOMAIN = "photoroom-gateway"
"""The domain of `ErrorInfo`: reasons are unique within it."""

_MOST_VIOLATIONS = 32
_LONGEST_MESSAGE = 1000
"""Clients bound the size of trailers, some to 8 KiB, and a larger one hides the whole error."""


def error_status(error: GatewayError, path_of: Callable[[str], str]) -> Status:
    """Return the status of an error; `path_of` turns wire names into paths of proto fields."""
    message = error.message
    info = ErrorInfo(reason=error.reason, domain=DOMAIN)
    details: list[Message] = [info]
    if isinstance(error, InvalidRequest):
        bad = _bad_request(error, path_of)
        details.append(bad)
        message = "; ".join(
            f"{v.field}: {v.description}" if v.field else v.description
            for v in bad.field_violations
        )
    if isinstance(error, PolicyError):
        info.metadata.update(limit=error.limit, tenant=error.tenant)
        details.append(_quota_failure(error))
    wait = wait_seconds(error)
    if wait is not None:
        details.append(RetryInfo(retry_delay=Duration(seconds=wait)))
    status = Status(code=wire_status(error).grpc.value[0], message=message[:_LONGEST_MESSAGE])
    for detail in details:
        status.details.add().Pack(detail)
    return status


def _bad_request(error: InvalidRequest, path_of: Callable[[str], str]) -> BadRequest:
    return BadRequest(
        field_violations=[
            BadRequest.FieldViolation(
                field=path_of(v.field), description=v.description, reason=v.code
            )
            for v in error.violations[:_MOST_VIOLATIONS]
        ]
    )


def _quota_failure(error: PolicyError) -> QuotaFailure:
    return QuotaFailure(
        violations=[
            QuotaFailure.Violation(
                subject=f"tenant:{error.tenant}",
                description=error.message,
                quota_id=error.limit,
            )
        ]
    )
