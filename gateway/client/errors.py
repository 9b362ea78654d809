"""What can go wrong with a call, as a small tree.

    GatewayCallError
    ├── Unauthenticated       the key is nobody's
    ├── InvalidCall           the call is wrong, and `fields` say where; mend it
    │   └── BlobNotFound      a picture that was named by its SHA-256 is not kept: upload it
    ├── Refused               Photoroom does not make this edit of this picture
    ├── NotCached             only a stored result was wanted, and there is none
    ├── ResultGone            served before under its idempotency key, and no longer kept
    ├── TryLater              cannot be served now; call again after `retry_after`
    │   └── Throttled         the tenant calls too often, or has too much under way: `limit` says which
    ├── BudgetSpent           too few of the tenant's credits of this month are left
    ├── TooCostly             the call costs more than one call of the tenant may
    ├── OutcomeUnknown        may have been charged: calling again may buy again
    │   └── NoAnswer          the connection failed, or the time is up
    ├── GatewayFailed         a mistake of the gateway's, or no picture in Photoroom's answer
    ├── DamagedPicture        what was downloaded is not what was named
    └── ResultNotFetched      the edit is made; its picture waits at the gateway

Nothing was spent but with OutcomeUnknown, ResultNotFetched and, where `reason` is
`UPSTREAM_BAD_ANSWER`, GatewayFailed. `reason` is stable; `message` is for people and may change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from gateway.v1.edit_service_pb2 import Result

__all__ = [
    "REQUEST_ID",
    "BlobNotFound",
    "BudgetSpent",
    "DamagedPicture",
    "FieldMistake",
    "GatewayCallError",
    "GatewayFailed",
    "InvalidCall",
    "NoAnswer",
    "NotCached",
    "OutcomeUnknown",
    "Refused",
    "ResultGone",
    "ResultNotFetched",
    "Throttled",
    "TooCostly",
    "TryLater",
    "Unauthenticated",
    "call_error",
]

REQUEST_ID = "x-request-id"
"""Metadata with the id under which the gateway's log has the call."""

_DETAILS = "grpc-status-details-bin"
_DOMAIN = "photoroom-gateway"  # an error of another domain comes from something in between


@dataclass(frozen=True, slots=True)
class FieldMistake:
    """One thing that is wrong with a call.

    `field` is its path in the message, such as `edit.background.color`; `code` is stable.
    """

    field: str
    code: str
    description: str


class GatewayCallError(Exception):
    """A call that did not succeed.

    `code` is the gRPC status, `reason` the gateway's stable word for what happened, empty when the
    answer is not the gateway's. `retry_after` is the wait in seconds after which the same call may
    succeed, where one is known. `request_id` is the call's name in the gateway's log. `limit` names the
    limit of the tenant's that refused the call, such as `edits`; it is empty where none did.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        reason: str,
        message: str,
        fields: tuple[FieldMistake, ...] = (),
        retry_after: float | None = None,
        request_id: str = "",
        limit: str = "",
    ) -> None:
        super().__init__(code, reason, message, fields, retry_after, request_id, limit)
        self.code = code
        self.reason = reason
        self.message = message
        self.fields = fields
        self.retry_after = retry_after
        self.request_id = request_id
        self.limit = limit

    def __str__(self) -> str:
        return f"{self.reason or self.code.name}: {self.message} [request {self.request_id}]"


class Unauthenticated(GatewayCallError):
    """The gateway knows no such key."""


class InvalidCall(GatewayCallError):
    """The call is wrong; `fields` name every mistake where they are single fields'."""


class BlobNotFound(InvalidCall):
    """Pictures that were named by their SHA-256 are not kept for this tenant, or no longer."""


class Refused(GatewayCallError):
    """Photoroom refuses this edit of this picture, and would again."""


class NotCached(GatewayCallError):
    """Only a stored result was wanted, and there is none."""


class ResultGone(GatewayCallError):
    """The call was served before under its idempotency key, and the result is no longer kept."""


class TryLater(GatewayCallError):
    """The call cannot be served now, or a limit is reached; the same call may succeed later."""


class Throttled(TryLater):
    """The tenant calls or buys too often, or has as many paid calls under way as it may have."""


class BudgetSpent(GatewayCallError):
    """The call costs more than what is left of the tenant's credits of this month.

    `retry_after` is the time until the next month, where it is known. Stored results still answer.
    """


class TooCostly(GatewayCallError):
    """The call costs more than one call of the tenant may, and would again."""


class OutcomeUnknown(GatewayCallError):
    """The edit was sent to Photoroom and no answer came. Calling again may buy it again."""


class NoAnswer(OutcomeUnknown):
    """The connection failed, the time is up, or what answered was not the gateway.

    An edit that had reached Photoroom is finished, and stored if it may be: the same call finds it.
    """


class GatewayFailed(GatewayCallError):
    """A mistake of the gateway's, or an answer of Photoroom's without a picture."""


class DamagedPicture(GatewayCallError):
    """The bytes that were downloaded do not have the size and the SHA-256 that name them."""


class ResultNotFetched(GatewayCallError):
    """The edit was made, and its picture could not be downloaded.

    `result.blob` names the picture; `GatewayClient.download` fetches it, and buys nothing.
    """

    def __init__(self, cause: GatewayCallError, result: Result) -> None:
        super().__init__(
            cause.code,
            cause.reason,
            f"The result could not be downloaded: {cause.message}",
            cause.fields,
            cause.retry_after,
            cause.request_id,
            cause.limit,
        )
        self.args = (cause, result)
        self.result = result


_BY_REASON: Mapping[str, type[GatewayCallError]] = {
    "BLOB_NOT_FOUND": BlobNotFound,
    "BODY_TOO_LARGE": InvalidCall,
    "REQUEST_COST": TooCostly,
    "RESULT_GONE": ResultGone,
    "TENANT_BUDGET": BudgetSpent,
    "TENANT_CONCURRENCY": Throttled,
    "TENANT_RATE": Throttled,
}
_BY_CODE: Mapping[grpc.StatusCode, type[GatewayCallError]] = {
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidCall,
    grpc.StatusCode.FAILED_PRECONDITION: Refused,
    grpc.StatusCode.NOT_FOUND: NotCached,
    grpc.StatusCode.UNAVAILABLE: TryLater,
    grpc.StatusCode.RESOURCE_EXHAUSTED: TryLater,
    grpc.StatusCode.ABORTED: OutcomeUnknown,
    grpc.StatusCode.DEADLINE_EXCEEDED: NoAnswer,
}
"""What every other reason is taken for, those of a newer gateway too."""


def call_error(error: grpc.aio.AioRpcError, request_id: str) -> GatewayCallError:
    """Read a failed remote call; `request_id` is the id that was sent with it."""
    trailers: dict[str, str | bytes] = dict(error.trailing_metadata())
    info, bad, retry = ErrorInfo(), BadRequest(), RetryInfo()
    retry_after = None
    for detail in _status(trailers.get(_DETAILS)).details:
        detail.Unpack(info)
        detail.Unpack(bad)
        if detail.Unpack(retry):
            retry_after = retry.retry_delay.ToTimedelta().total_seconds()
    if info.domain != _DOMAIN:
        info.Clear()
    reason = info.reason
    kind = _BY_REASON.get(reason) or _BY_CODE.get(error.code(), GatewayFailed)
    return (kind if reason else NoAnswer)(
        error.code(),
        reason,
        error.details() or "",
        tuple(FieldMistake(v.field, v.reason, v.description) for v in bad.field_violations),
        retry_after,
        str(trailers.get(REQUEST_ID, request_id)),
        info.metadata.get("limit", ""),
    )


def _status(raw: str | bytes | None) -> Status:
    """Read the details; those of something in between may be of any form, and are left out."""
    status = Status()
    if isinstance(raw, bytes):
        try:
            status.ParseFromString(raw)
        except DecodeError:
            status.Clear()
    return status
