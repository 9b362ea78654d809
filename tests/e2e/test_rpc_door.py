"""What the gRPC door refuses, and how."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import pytest

from gateway.transport.rpc.errors import DOMAIN
from gateway.transport.rpc.server import LARGEST_MESSAGE
from gateway.v1.background_pb2 import Background
from gateway.v1.edit_pb2 import Edit
from gateway.v1.edit_service_pb2 import (
    EditImageRequest,
    PlanEditRequest,
    RemoveBackgroundRequest,
)
from tests.e2e.harness import CATALOG_KEY, RpcFailure, World, key_pair, rpc_failure, world
from tests.support.pictures import png

EDIT = "/gateway.v1.EditService/EditImage"
SEGMENT = "/gateway.v1.EditService/RemoveBackground"
PLAN = "/gateway.v1.EditService/PlanEdit"
ACCOUNT = "/gateway.v1.AccountService/GetAccount"


async def failure_of(
    w: World, method: str, raw: bytes, metadata: tuple[tuple[str, str], ...] | None = None
) -> RpcFailure:
    """Call a method with these bytes, and return how it is refused."""
    call: Callable[..., grpc.aio.UnaryUnaryCall[bytes, bytes]] = w.channel.unary_unary(method)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(raw, metadata=key_pair() if metadata is None else metadata)
    return rpc_failure(caught.value)


GARBAGE = b"\xff\xff\xff"
RED = Edit(background=Background(color="red"))
NEWER = b"\xfa\x3f\x01x"  # field 1023


@pytest.mark.parametrize("method", [EDIT, SEGMENT, PLAN, ACCOUNT])
async def test_bytes_that_are_no_message_are_the_caller_s_mistake(method: str) -> None:
    async with world() as w:
        failure = await failure_of(w, method, GARBAGE)

        assert grpc.StatusCode.INVALID_ARGUMENT == failure.code
        assert (("", "MALFORMED_MESSAGE"),) == failure.fields
        assert "INVALID_REQUEST" == failure.reason
        assert failure.message.startswith("the bytes are no gateway.v1.")


@pytest.mark.parametrize("method", [EDIT, PLAN])
async def test_text_that_is_not_utf8_is_the_caller_s_mistake(method: str) -> None:
    request = PlanEditRequest(edit=RED) if method == PLAN else EditImageRequest(edit=RED)
    raw = request.SerializeToString().replace(b"red", b"r\xffd")  # a byte that UTF-8 never has
    async with world() as w:
        failure = await failure_of(w, method, raw)

        assert grpc.StatusCode.INVALID_ARGUMENT == failure.code
        assert (("", "MALFORMED_MESSAGE"),) == failure.fields


@pytest.mark.parametrize("method", [EDIT, SEGMENT, PLAN, ACCOUNT])
async def test_a_field_of_a_newer_proto_is_refused_not_dropped(method: str) -> None:
    async with world() as w:
        failure = await failure_of(w, method, NEWER)

        assert grpc.StatusCode.INVALID_ARGUMENT == failure.code
        assert (("#1023", "UNKNOWN_FIELD"),) == failure.fields


@pytest.mark.parametrize(
    ("method", "raw", "field"),
    [
        (EDIT, EditImageRequest(), "edit"),
        (SEGMENT, RemoveBackgroundRequest(), "segment"),
        (PLAN, PlanEditRequest(), "call"),
    ],
)
async def test_a_request_without_its_operation_says_so(
    method: str, raw: EditImageRequest, field: str
) -> None:
    async with world() as w:
        failure = await failure_of(w, method, raw.SerializeToString())

        assert grpc.StatusCode.INVALID_ARGUMENT == failure.code
        assert ((field, "VALUE_MISSING"),) == failure.fields


async def test_an_empty_edit_lacks_its_picture() -> None:
    raw = EditImageRequest(edit=Edit()).SerializeToString()
    async with world() as w:
        failure = await failure_of(w, EDIT, raw)

        assert (("edit.image_file", "SOURCE_MISSING"),) == failure.fields


async def test_violations_name_the_fields_of_the_message() -> None:
    request = EditImageRequest()
    request.edit.image_file.data = png()
    request.edit.background.blur.radius = 7
    request.edit.max_width = 5
    async with world() as w:
        failure = await failure_of(w, EDIT, request.SerializeToString())

        expected = {
            ("edit.background.blur.radius", "OUT_OF_RANGE"),
            ("edit.max_width", "MAX_SIZE"),
        }
        assert expected == set(failure.fields)
        assert 0 == w.emulator.bill.requests.total()


async def test_a_message_over_the_limit_is_refused_unread() -> None:
    async with world() as w:
        failure = await failure_of(w, EDIT, bytes(LARGEST_MESSAGE + 1))

        assert grpc.StatusCode.RESOURCE_EXHAUSTED == failure.code


@pytest.mark.parametrize(
    "metadata",
    [
        (),
        (("x-api-key", "nobody"),),
        (("authorization", "Bearer nobody"),),
        (("authorization", "Basic Y2F0YWxvZy1rZXk="),),
        (("x-api-key", ""),),
    ],
)
async def test_a_call_without_a_valid_key_is_unauthenticated(
    metadata: tuple[tuple[str, str], ...],
) -> None:
    async with world() as w:
        for method in (EDIT, SEGMENT, PLAN, ACCOUNT):
            # A stranger's message is not even read, where there is anything in it.
            raw = b"" if method == ACCOUNT else GARBAGE
            failure = await failure_of(w, method, raw, metadata)

            assert grpc.StatusCode.UNAUTHENTICATED == failure.code
            assert "UNAUTHENTICATED" == failure.reason


async def test_a_key_may_come_as_a_bearer_token() -> None:
    request = EditImageRequest()
    request.edit.image_file.data = png()
    async with world() as w:
        metadata = (("authorization", f"bearer {CATALOG_KEY}"),)
        answer = await w.edits.EditImage(request, metadata=metadata)

        assert "image/png" == answer.result.media_type


@pytest.mark.parametrize("method", ["/gateway.v1.EditService/Nothing", "/gateway.v2.Edit/Edit"])
async def test_a_method_that_does_not_exist_is_unimplemented(method: str) -> None:
    async with world() as w:
        assert grpc.StatusCode.UNIMPLEMENTED == (await failure_of(w, method, b"")).code


async def test_every_answer_carries_an_id_errors_too() -> None:
    request = EditImageRequest()
    request.edit.image_file.data = png()
    async with world() as w:
        named = (*key_pair(), ("x-request-id", "order-17"))
        failure = await failure_of(w, EDIT, GARBAGE, named)
        call = w.edits.EditImage(request, metadata=named)
        await call

        assert "order-17" == failure.trailers["x-request-id"]
        assert "order-17" == dict(await call.trailing_metadata())["x-request-id"]


async def test_reasons_belong_to_one_domain() -> None:
    async with world() as w:
        failure = await failure_of(w, EDIT, GARBAGE)

        details = failure.trailers["grpc-status-details-bin"]
        assert isinstance(details, bytes)
        assert DOMAIN.encode() in details
