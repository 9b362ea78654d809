"""The gRPC services over the pipeline.

Messages are deserialised here, not by grpc: bytes that are no message, text that is no UTF-8 and fields
of a newer proto get an INVALID_ARGUMENT that says so, where grpc would answer UNKNOWN or drop them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Final, TypeAlias

import grpc
from google.protobuf.message import Message

from gateway.domain.caching import CacheMode
from gateway.domain.calls import Call
from gateway.domain.edit import Operation
from gateway.domain.errors import InvalidRequest, Violation
from gateway.domain.tenant import Tenant
from gateway.domain.violations import Code
from gateway.pipeline import Editor, ReadDraft
from gateway.ports import Draft
from gateway.transport.codec import (
    BILLED_AS,
    INLINE_BYTES,
    Group,
    message_codecs,
    proto_path,
)
from gateway.transport.idempotency import idempotency_key
from gateway.transport.rpc.admin import AdminDesk, AdminDoor
from gateway.transport.rpc.blobs import BlobDoor, chunks_of
from gateway.transport.rpc.envelope import EnvelopeError, open_envelope, require
from gateway.transport.rpc.methods import stream_in, stream_out, unary
from gateway.transport.rpc.results import (
    budget_left,
    findings,
    response_bytes,
    result_message,
)
from gateway.v1 import account_service_pb2 as accounts
from gateway.v1 import admin_service_pb2 as admin
from gateway.v1 import blob_service_pb2 as blobs
from gateway.v1 import edit_service_pb2 as edits

__all__ = ["SERVICES", "rpc_handlers"]

_Request: TypeAlias = (
    edits.EditImageRequest | edits.StreamEditImageRequest | edits.RemoveBackgroundRequest
)

_FIELD: Final = {Operation.EDIT: "edit", Operation.SEGMENT: "segment"}
"""The request's field that holds the operation."""

_MODES: Final = {
    edits.CACHE_MODE_UNSPECIFIED: CacheMode.DEFAULT,
    edits.CACHE_MODE_REFRESH: CacheMode.REFRESH,
    edits.CACHE_MODE_BYPASS: CacheMode.BYPASS,
    edits.CACHE_MODE_REUSE: CacheMode.REUSE,
    edits.CACHE_MODE_ONLY_IF_CACHED: CacheMode.ONLY_IF_CACHED,
}

SERVICES = tuple(
    file.services_by_name[name].full_name
    for file, name in (
        (edits.DESCRIPTOR, "EditService"),
        (blobs.DESCRIPTOR, "BlobService"),
        (accounts.DESCRIPTOR, "AccountService"),
        (admin.DESCRIPTOR, "AdminService"),
    )
)
"""The services' full names, for health and reflection."""


def rpc_handlers(
    editor: Editor, schemas: Mapping[Operation, Group], desk: AdminDesk
) -> tuple[grpc.GenericRpcHandler, ...]:
    """Build the handlers of all services."""
    door, blob_door, admin_door = _Door(editor, schemas), BlobDoor(editor), AdminDoor(desk)
    edit, segment = Operation.EDIT, Operation.SEGMENT
    edit_path, segment_path = partial(door.path, edit), partial(door.path, segment)
    tables = (
        {
            "EditImage": unary(door.edit_image, edit, edit_path),
            "StreamEditImage": stream_out(door.stream_edit_image, edit, edit_path),
            "RemoveBackground": unary(door.remove_background, segment, segment_path),
            "PlanEdit": unary(door.plan_edit, "plan"),
        },
        {
            "Upload": stream_in(blob_door.upload, "upload"),
            "Download": stream_out(blob_door.download, "download"),
        },
        {"GetAccount": unary(door.get_account, "account")},
        {
            "PurgeCache": unary(admin_door.purge_cache, "purge"),
            "RevokeCredential": unary(admin_door.revoke_credential, "revoke"),
            "ListKeys": unary(admin_door.list_keys, "list_keys"),
            "DrainKey": unary(admin_door.drain_key, "drain_key"),
            "ResumeKey": unary(admin_door.resume_key, "resume_key"),
        },
    )
    return tuple(
        grpc.method_handlers_generic_handler(service, table)
        for service, table in zip(SERVICES, tables, strict=True)
    )


class _Door:
    def __init__(self, editor: Editor, schemas: Mapping[Operation, Group]) -> None:
        self._editor = editor
        self._schemas = schemas
        self._codecs = message_codecs(schemas)

    async def edit_image(self, raw: bytes, call: Call) -> bytes:
        read = self._reader(raw, edits.EditImageRequest, Operation.EDIT, INLINE_BYTES)
        delivery = await self._editor.edit(call, read)
        path_of = partial(self.path, Operation.EDIT)
        field = edits.EditImageResponse.RESULT_FIELD_NUMBER
        return response_bytes(delivery, call.record.balance, path_of, field=field)

    async def stream_edit_image(self, raw: bytes, call: Call) -> AsyncIterator[Message]:
        read = self._reader(raw, edits.StreamEditImageRequest, Operation.EDIT, None)
        delivery = await self._editor.edit(call, read)
        path_of = partial(self.path, Operation.EDIT)
        result = result_message(delivery, call.record.balance, path_of)
        yield edits.StreamEditImageResponse(result=result)
        for chunk in chunks_of(delivery.answer.body):
            yield edits.StreamEditImageResponse(chunk=chunk)

    async def remove_background(self, raw: bytes, call: Call) -> bytes:
        read = self._reader(raw, edits.RemoveBackgroundRequest, Operation.SEGMENT, INLINE_BYTES)
        delivery = await self._editor.edit(call, read)
        path_of = partial(self.path, Operation.SEGMENT)
        field = edits.RemoveBackgroundResponse.RESULT_FIELD_NUMBER
        return response_bytes(delivery, call.record.balance, path_of, field=field)

    async def plan_edit(self, raw: bytes, call: Call) -> Message:
        planned = Operation.EDIT

        async def read(tenant: Tenant) -> Draft:
            nonlocal planned
            request = open_envelope(raw, edits.PlanEditRequest)
            mode = _mode(request.cache_mode)
            match request.WhichOneof("call"):
                case "edit":
                    return replace(self._codecs[planned].read(request.edit, tenant), mode=mode)
                case "segment":
                    planned = Operation.SEGMENT
                    return replace(self._codecs[planned].read(request.segment, tenant), mode=mode)
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
            hit=plan.hit,
            budget_left_milli_credits=budget_left(plan.balance),
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

    def _reader(
        self, raw: bytes, kind: type[_Request], operation: Operation, inline: int | None
    ) -> ReadDraft:
        async def read(tenant: Tenant) -> Draft:
            request = open_envelope(raw, kind)
            field = _FIELD[operation]
            require(request, field)
            try:
                key = idempotency_key(request.idempotency_key or None, "idempotency_key")
            except InvalidRequest as error:
                raise EnvelopeError(error.violations) from None
            mode = _mode(request.cache_mode)
            draft = self._codecs[operation].read(getattr(request, field), tenant)
            return replace(draft, mode=mode, inline=inline, idempotency_key=key)

        return read


def _mode(value: edits.CacheMode.ValueType) -> CacheMode:
    mode = _MODES.get(value)
    if mode is None:
        raise EnvelopeError([Violation("cache_mode", Code.NOT_ALLOWED, "is not a mode known here")])
    return mode
