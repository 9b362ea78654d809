"""The gRPC services over the pipeline.

Messages are deserialised here, not by grpc: bytes that are no message, text that is no UTF-8 and fields
of a newer proto get an INVALID_ARGUMENT that says so, where grpc would answer UNKNOWN or drop them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TypeAlias

import grpc
from google.protobuf.message import Message

from gateway.domain.edit import Operation
from gateway.domain.errors import Violation
from gateway.domain.tenant import Tenant
from gateway.domain.violations import Code
from gateway.pipeline import Call, Editor, Record
from gateway.ports import Draft
from gateway.transport.codec import BILLED_AS, Group, draft_from_message, proto_path
from gateway.transport.credential import credential_of
from gateway.transport.request_id import request_id
from gateway.transport.rpc.envelope import EnvelopeError, open_envelope, require
from gateway.transport.rpc.errors import error_status
from gateway.transport.rpc.results import findings, result_message
from gateway.transport.status import public_error, wire_status
from gateway.v1 import account_service_pb2 as accounts
from gateway.v1 import edit_service_pb2 as edits

__all__ = ["SERVICES", "rpc_handlers"]

Context: TypeAlias = grpc.aio.ServicerContext[bytes, bytes]
Serve: TypeAlias = Callable[[bytes, Call], Awaitable[Message]]
PathOf: TypeAlias = Callable[[str], str]

_REQUEST_ID = "x-request-id"
_STATUS_DETAILS = "grpc-status-details-bin"
_FIELD = {Operation.EDIT: "edit", Operation.SEGMENT: "segment"}
"""The request's field that holds the operation."""

SERVICES = (
    edits.DESCRIPTOR.services_by_name["EditService"].full_name,
    accounts.DESCRIPTOR.services_by_name["AccountService"].full_name,
)
"""The services' full names, for health and reflection."""


def rpc_handlers(
    editor: Editor, schemas: Mapping[Operation, Group]
) -> tuple[grpc.GenericRpcHandler[bytes, bytes], ...]:
    """Build the handlers of all services."""
    door = _Door(editor, schemas)
    edit, segment = (partial(door.path, operation) for operation in Operation)
    methods = {
        SERVICES[0]: {
            "EditImage": _Method(door.edit_image, Operation.EDIT, edit),
            "RemoveBackground": _Method(door.remove_background, Operation.SEGMENT, segment),
            "PlanEdit": _Method(door.plan_edit, "plan", str),
        },
        SERVICES[1]: {"GetAccount": _Method(door.get_account, "account", str)},
    }
    return tuple(
        grpc.method_handlers_generic_handler(
            service, {name: grpc.unary_unary_rpc_method_handler(m.handle) for name, m in table.items()}
        )
        for service, table in methods.items()
    )


class _Method:
    """One method: an id, the credential, and every failure as a status with details."""

    def __init__(self, serve: Serve, operation: str, path_of: PathOf) -> None:
        self._serve = serve
        self._operation = operation
        self._path_of = path_of

    async def handle(self, raw: bytes, context: Context) -> bytes:
        call = _call(context, self._operation)
        trailers = ((_REQUEST_ID, call.request_id),)
        try:
            message = await self._serve(raw, call)
        except Exception as mistake:  # noqa: BLE001 - the last line: telemetry has logged it
            error = public_error(mistake)
        else:
            context.set_trailing_metadata(trailers)
            return message.SerializeToString()
        status = error_status(error, str if isinstance(error, EnvelopeError) else self._path_of)
        details = (_STATUS_DETAILS, status.SerializeToString())
        return await context.abort(wire_status(error).grpc, status.message, (*trailers, details))


class _Door:
    def __init__(self, editor: Editor, schemas: Mapping[Operation, Group]) -> None:
        self._editor = editor
        self._schemas = schemas

    async def edit_image(self, raw: bytes, call: Call) -> Message:
        async def read(tenant: Tenant) -> Draft:
            request = open_envelope(raw, edits.EditImageRequest)
            require(request, "edit")
            return self._draft(Operation.EDIT, request.edit, tenant)

        delivery = await self._editor.edit(call, read)
        path_of = partial(self.path, Operation.EDIT)
        return edits.EditImageResponse(result=result_message(delivery, path_of))

    async def remove_background(self, raw: bytes, call: Call) -> Message:
        async def read(tenant: Tenant) -> Draft:
            request = open_envelope(raw, edits.RemoveBackgroundRequest)
            require(request, "segment")
            return self._draft(Operation.SEGMENT, request.segment, tenant)

        delivery = await self._editor.edit(call, read)
        path_of = partial(self.path, Operation.SEGMENT)
        return edits.RemoveBackgroundResponse(result=result_message(delivery, path_of))

    async def plan_edit(self, raw: bytes, call: Call) -> Message:
        planned = Operation.EDIT

        async def read(tenant: Tenant) -> Draft:
            nonlocal planned
            request = open_envelope(raw, edits.PlanEditRequest)
            match request.WhichOneof("call"):
                case "edit":
                    return self._draft(planned, request.edit, tenant)
                case "segment":
                    planned = Operation.SEGMENT
                    return self._draft(planned, request.segment, tenant)
            raise EnvelopeError([Violation("call", Code.VALUE_MISSING, "needs edit or segment")])

        plan = await self._editor.plan(call, read)
        path_of = partial(self.path, planned)
        return edits.PlanEditResponse(
            violations=findings(plan.violations, path_of),
            warnings=findings(plan.warnings, path_of),
            digest=plan.digest,
            cost_milli_credits=plan.cost_milli,
            billed_as=BILLED_AS[planned],
            unseeded=[path_of(name) for name in plan.unseeded],
        )

    async def get_account(self, raw: bytes, call: Call) -> Message:
        open_envelope(raw, accounts.GetAccountRequest)
        state = await self._editor.account(call)
        return accounts.GetAccountResponse(
            available_milli_images=state.available_milli,
            subscription_milli_images=state.subscription_milli,
            plan=state.plan,
        )

    def path(self, operation: Operation, name: str) -> str:
        """Return the path in the request of what is called `name` on the wire."""
        return f"{_FIELD[operation]}.{proto_path(self._schemas[operation], name)}"

    def _draft(self, operation: Operation, message: Message, tenant: Tenant) -> Draft:
        return draft_from_message(self._schemas[operation], operation, message, tenant)


def _call(context: Context, operation: str) -> Call:
    metadata = {
        key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)
    }
    return Call(
        credential=credential_of(metadata.get("x-api-key"), metadata.get("authorization")),
        operation=operation,
        door="grpc",
        request_id=request_id(metadata.get(_REQUEST_ID)),
        record=Record(),
    )
