"""Bad input at the gRPC door: refused by name before the upstream hears of it, and the next call is served."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import grpc
import pytest

from gateway.transport.codec import INLINE_BYTES
from gateway.v1.background_pb2 import Background
from gateway.v1.blob_service_pb2 import UploadRequest
from gateway.v1.blob_service_pb2_grpc import BlobServiceStub
from gateway.v1.edit_pb2 import Edit
from gateway.v1.edit_service_pb2 import EditImageRequest, PlanEditRequest, RemoveBackgroundRequest
from gateway.v1.image_pb2 import BlobRef, Image
from gateway.v1.virtual_model_pb2 import ProductImage
from tests.e2e.asks import ask_rpc, edit_of
from tests.e2e.harness import RpcFailure, World, key_pair, rpc_failure
from tests.e2e.odd_pictures import GIF, HEIC, flat, png_header
from tests.support.pictures import png
from tests.support.protobuf_bytes import NEWER, delimited, varint_field

pytestmark = pytest.mark.asyncio(loop_scope="module")

EDIT = "/gateway.v1.EditService/EditImage"
STREAM = "/gateway.v1.EditService/StreamEditImage"
CUT = "/gateway.v1.EditService/RemoveBackground"
PLAN = "/gateway.v1.EditService/PlanEdit"
ACCOUNT = "/gateway.v1.AccountService/GetAccount"
DOWNLOAD = "/gateway.v1.BlobService/Download"
MB = 1 << 20
PICTURE = png()
INVALID = grpc.StatusCode.INVALID_ARGUMENT
Fields = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Bad:
    """A message as bytes, and how it is refused: the path and code of each field, reason, status."""

    raw: bytes
    fields: Fields
    method: str = EDIT
    reason: str = "INVALID_REQUEST"
    code: grpc.StatusCode = INVALID


def edit(change: Callable[[Edit], object], *fields: tuple[str, str], method: str = EDIT) -> Bad:
    """An edit of a picture with something wrong in it."""
    request = EditImageRequest()
    request.edit.image_file.data = PICTURE
    change(request.edit)
    return Bad(request.SerializeToString(), list(fields), method)


def main(data: bytes, *codes: str) -> Bad:
    """A main picture that is wrong."""
    fields = [("edit.image_file", code) for code in codes]
    return edit(lambda e: e.image_file.CopyFrom(Image(data=data)), *fields)


def cut_out(data: bytes, *codes: str) -> Bad:
    request = RemoveBackgroundRequest()
    request.segment.image_file.data = data
    fields = [("segment.image_file", code) for code in codes]
    return Bad(request.SerializeToString(), fields, CUT)


def extras(count: int) -> Bad:
    """More violations than a trailer carries: the first of them are named."""
    names = sorted(f"f{number}" for number in range(count))
    named = [(f'edit.extra_parameters["{name}"]', "EXTRA_NOT_ALLOWED") for name in names[:32]]
    return edit(lambda e: e.extra_parameters.update(dict.fromkeys(names, "x")), *named)


def blob(sha256: str, size: int, *fields: tuple[str, str]) -> Bad:
    reference = Image(blob=BlobRef(sha256=sha256, size_bytes=size))
    return edit(lambda e: e.image_file.CopyFrom(reference), *fields)


def raw_edit(inside: bytes, *fields: tuple[str, str]) -> Bad:
    """An edit of a picture, and behind it bytes that no generated class would write."""
    return Bad(delimited(1, _EDIT + inside), list(fields))


_REQUEST = EditImageRequest()
_REQUEST.edit.image_file.data = PICTURE
_EDIT = _REQUEST.edit.SerializeToString()
_WHOLE = _REQUEST.SerializeToString()
_NO_MESSAGE = ("", "MALFORMED_MESSAGE")
_BACKGROUND = Edit.DESCRIPTOR.fields_by_name["background"].number
_COLOR = Background.DESCRIPTOR.fields_by_name["color"].number
_PRODUCT = ProductImage(image_file=Image(blob=BlobRef(sha256="0" * 64, size_bytes=1)))

CASES = {
    "over 3 MiB inline": main(PICTURE.ljust(INLINE_BYTES + 1, b"\0"), "INLINE_TOO_LARGE"),
    "not an image": main(b"%PDF-1.7 this is no picture", "NOT_AN_IMAGE"),
    "not an image to cut out": cut_out(b"%PDF-1.7 this is no picture", "NOT_AN_IMAGE"),
    "empty image": main(b"", "EMPTY_IMAGE"),
    "half a header": main(PICTURE[:20], "BROKEN_IMAGE"),
    "gif": main(GIF, "IMAGE_FORMAT"),
    "gif to cut out": cut_out(GIF, "IMAGE_FORMAT"),
    "heic": main(HEIC, "IMAGE_FORMAT"),
    "16 bit": main(png_header(8, 8, 16), "IMAGE_DEPTH"),
    "too wide": main(flat(5001, 1), "IMAGE_DIMENSIONS"),
    "an image without content": edit(
        lambda e: e.image_file.CopyFrom(Image()), ("edit.image_file", "VALUE_MISSING")
    ),
    "no image": edit(lambda e: e.ClearField("image_file"), ("edit.image_file", "SOURCE_MISSING")),
    "an image and a prompt to draw one": edit(
        lambda e: setattr(e.image_from_prompt, "prompt", "a cup"),
        ("edit.image_file", "SOURCE_CONFLICT"),
        ("edit.image_from_prompt.prompt", "SOURCE_CONFLICT"),
    ),
    "no such blob": Bad(
        blob("0" * 64, 5).raw,
        [("edit.image_file", "BLOB_NOT_FOUND")],
        reason="BLOB_NOT_FOUND",
        code=grpc.StatusCode.FAILED_PRECONDITION,
    ),
    "a blob by no digest": blob("../../secret", 5, ("edit.image_file", "BAD_DIGEST")),
    "a blob of no size": blob("0" * 64, -1, ("edit.image_file", "BAD_DIGEST")),
    "an unknown beautify.mode": edit(
        lambda e: setattr(e.beautify, "mode", 99), ("edit.beautify.mode", "NOT_ALLOWED")
    ),
    "an unknown export.format": edit(
        lambda e: setattr(e.export, "format", 99), ("edit.export.format", "NOT_ALLOWED")
    ),
    "NaN": edit(
        lambda e: setattr(e.padding, "ratio", float("nan")), ("edit.padding", "NOT_A_NUMBER")
    ),
    "infinity": edit(
        lambda e: setattr(e, "max_width", float("inf")), ("edit.max_width", "NOT_A_NUMBER")
    ),
    "3 MB prompt": edit(
        lambda e: setattr(e.background, "prompt", "x" * 3_000_000),
        ("edit.background.prompt", "TOO_LONG"),
    ),
    "not UTF-8": raw_edit(delimited(_BACKGROUND, delimited(_COLOR, b"r\xffd")), _NO_MESSAGE),
    "10,000 fields": extras(10_000),
    "10,000 products": edit(
        lambda e: e.virtual_model.additional_product_images.extend([_PRODUCT] * 10_000),
        ("edit.virtual_model.additional_product_images", "TOO_MANY_ITEMS"),
    ),
    "a field of a newer proto": raw_edit(
        varint_field(NEWER, 1), (f"edit.#{NEWER}", "UNKNOWN_FIELD")
    ),
    "an unknown cache mode": Bad(_WHOLE + varint_field(2, 99), [("cache_mode", "NOT_ALLOWED")]),
    "no edit": Bad(b"", [("edit", "VALUE_MISSING")]),
    "no edit to stream": Bad(b"", [("edit", "VALUE_MISSING")], STREAM),
    "nothing to cut out": Bad(b"", [("segment", "VALUE_MISSING")], CUT),
    "nothing to plan": Bad(b"", [("call", "VALUE_MISSING")], PLAN),
    "garbage": Bad(b"\xff" * 100, [_NO_MESSAGE]),
    "garbage to cut out": Bad(b"\xff" * 100, [_NO_MESSAGE], CUT),
    "garbage to plan": Bad(b"\xff" * 100, [_NO_MESSAGE], PLAN),
    "garbage to stream": Bad(b"\xff" * 100, [_NO_MESSAGE], STREAM),
    "garbage of an account": Bad(b"\xff" * 100, [_NO_MESSAGE], ACCOUNT),
    "garbage to download": Bad(b"\xff" * 100, [_NO_MESSAGE], DOWNLOAD),
    "a path to download": Bad(
        delimited(1, b"../../etc/passwd"), [("sha256", "BAD_DIGEST")], DOWNLOAD
    ),
    "fuzz": Bad(random.Random(3).randbytes(100_000), [_NO_MESSAGE]),
    "truncated": Bad(_WHOLE[:-20], [_NO_MESSAGE]),
    "a form": Bad(b"--frontier\r\nContent-Disposition: form-data", [_NO_MESSAGE]),
    "groups that nest without end": Bad(b"\x0b" * 50_000, [_NO_MESSAGE]),
    "a length beyond the end": Bad(b"\x0a\xff\xff\xff\xff\x07x", [_NO_MESSAGE]),
}


async def failure_of(w: World, bad: Bad) -> RpcFailure:
    """Send bytes as they are. Every answer of one message can be had as a stream of one."""
    call: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = w.channel.unary_stream(bad.method)
    answers = call(bad.raw, metadata=key_pair())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await anext(aiter(answers))
    return rpc_failure(caught.value)


async def assert_serves(w: World, picture: bytes) -> None:
    """Nothing was asked upstream so far; the next call is bought."""
    assert {} == w.emulator.bill.requests
    assert (await ask_rpc(w, edit_of({}, {"imageFile": picture}))).image
    assert 1 == w.emulator.bill.charges


@pytest.mark.parametrize("bad", CASES.values(), ids=CASES)
async def test_bad_input_is_refused_by_name_and_the_next_call_is_served(
    cached: World, bad: Bad, picture: bytes
) -> None:
    cached.emulator.reset()
    failure = await failure_of(cached, bad)
    assert (bad.code, bad.reason, tuple(bad.fields)) == (
        failure.code,
        failure.reason,
        failure.fields,
    )
    assert failure.message
    await assert_serves(cached, picture)


async def test_a_10_mb_prompt_is_over_the_limit_of_a_message(cached: World, picture: bytes) -> None:
    """The server refuses what is over 4 MiB before it is read, so with a status and no details."""
    cached.emulator.reset()
    prompt = edit(lambda e: setattr(e.background, "prompt", "x" * 10 * MB))
    assert grpc.StatusCode.RESOURCE_EXHAUSTED == (await failure_of(cached, prompt)).code
    await assert_serves(cached, picture)


async def test_a_plan_names_what_is_wrong_and_asks_nothing(cached: World, picture: bytes) -> None:
    cached.emulator.reset()
    request = PlanEditRequest()
    request.edit.image_file.data = GIF
    request.edit.max_width = float("nan")
    plan = await cached.edits.PlanEdit(request, metadata=key_pair())
    assert {("edit.image_file", "IMAGE_FORMAT"), ("edit.max_width", "NOT_A_NUMBER")} == {
        (finding.field, finding.code) for finding in plan.violations
    }
    await assert_serves(cached, picture)


async def uploads(*pieces: bytes, sha256: str = "") -> AsyncIterator[UploadRequest]:
    for piece in pieces:
        yield UploadRequest(chunk=piece, sha256=sha256)
        sha256 = ""


@pytest.mark.parametrize(
    ("pieces", "sha256", "code", "reason", "fields"),
    [
        ((), "", INVALID, "INVALID_REQUEST", (("chunk", "EMPTY_BODY"),)),
        ((b"", b""), "", INVALID, "INVALID_REQUEST", (("chunk", "EMPTY_BODY"),)),
        ((PICTURE,), "0" * 64, INVALID, "INVALID_REQUEST", (("sha256", "BAD_DIGEST"),)),
        ((bytes(MB),) * 51, "", grpc.StatusCode.RESOURCE_EXHAUSTED, "BODY_TOO_LARGE", ()),
    ],
    ids=["none", "empty", "lying", "over 50 MB"],
)
async def test_a_bad_upload_is_refused_and_the_next_call_is_served(
    cached: World,
    picture: bytes,
    pieces: tuple[bytes, ...],
    sha256: str,
    code: grpc.StatusCode,
    reason: str,
    fields: tuple[tuple[str, str], ...],
) -> None:
    cached.emulator.reset()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await BlobServiceStub(cached.channel).Upload(
            uploads(*pieces, sha256=sha256), metadata=key_pair()
        )
    failure = rpc_failure(caught.value)
    assert (code, reason, fields) == (failure.code, failure.reason, failure.fields)
    await assert_serves(cached, picture)


@pytest.mark.parametrize(
    ("data", "wrong"),
    [(PICTURE.ljust(30 * MB + 1, b"\0"), "IMAGE_TOO_LARGE"), (GIF, "IMAGE_FORMAT")],
    ids=["over 30 MB", "gif"],
)
async def test_a_kept_picture_that_the_call_does_not_take_is_refused_by_name(
    cached: World, picture: bytes, data: bytes, wrong: str
) -> None:
    cached.emulator.reset()
    pieces = [data[at : at + MB] for at in range(0, len(data), MB)]
    kept = await BlobServiceStub(cached.channel).Upload(uploads(*pieces), metadata=key_pair())
    bad = blob(kept.blob.sha256, kept.blob.size_bytes, ("edit.image_file", wrong))
    failure = await failure_of(cached, bad)
    assert (INVALID, "INVALID_REQUEST", (("edit.image_file", wrong),)) == (
        failure.code,
        failure.reason,
        failure.fields,
    )
    await assert_serves(cached, picture)
