"""A bounded fuzz run through the real doors: requests that were good, with bytes changed, lost and added.

Nothing that comes in is a failure of the gateway, and nothing goes upstream that the emulator, by its
own reading, refuses. One thing is explained: pictures whose header is right and whose pixels are not.
The gateway decodes no pixels; such a call is refused upstream and not charged.
"""

from __future__ import annotations

import asyncio
import io
import json
import random

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.emulator.table import EDIT_PARAMETERS, SEGMENT_PARAMETERS
from gateway.v1.edit_service_pb2 import EditImageRequest, RemoveBackgroundRequest
from gateway.v1.segment_pb2 import Segment
from tests.e2e.asks import Ask, ask_rest, ask_rpc, edit_of, segment_of
from tests.e2e.harness import CATALOG_KEY, LEGACY_KEY, World, key_pair, rpc_failure
from tests.e2e.raw_http import BOUNDARY, head, multipart, wire
from tests.support.pictures import drawn

pytestmark = pytest.mark.asyncio(loop_scope="module")

EDIT = "/gateway.v1.EditService/EditImage"
CUT_OUT = "/gateway.v1.EditService/RemoveBackground"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
BAD_PIXELS = "is not a supported image"
KEYS = st.sampled_from([CATALOG_KEY, LEGACY_KEY])  # unknown names are refused, or left out

Mutation = tuple[str, int, bytes]


def picture(form: str) -> bytes:
    out = io.BytesIO()
    drawn(16, 12).save(out, form)
    return out.getvalue()


PICTURES = [picture(form) for form in ("PNG", "JPEG", "WEBP")]
SMALL = {"outputSize": "16x16"}
ASKS = [
    edit_of({"background.color": "red", "padding": "10%"}, {"imageFile": PICTURES[0]}),
    edit_of({"background.prompt": "fog", "background.seed": "7"}, {"imageFile": PICTURES[1]}),
    edit_of(
        {
            "shadow.mode": "ai.soft",
            "export.format": "webp",
            "export.dpi": "300",
            "marginTop": "1px",
        },
        {"imageFile": PICTURES[2]},
    ),
    edit_of({"editWithAI.mode": "ai.auto", "editWithAI.prompt": "at night"}),
    edit_of({"removeBackground": "false", "outline.width": "0.05", "outline.color": "#0F0"}),
    edit_of({"virtualModel.mode": "ai.auto", "virtualModel.model.preset.name": "avery", **SMALL}),
    edit_of({"imageUrl": "https://pictures.invalid/a.png", "scaling": "fill"}, {}),
    edit_of({}, {"imageFile": PICTURES[0], "background.imageFile": PICTURES[1]}),
    segment_of({"format": "jpg", "bg_color": "#00FF00", "crop": "true"}, PICTURES[0]),
]
TOKENS = [
    *(b"\r\n", b"\0", b"\xff", b"--", b"1e999", b"NaN", b"-", b"%", b"[0]", b"a" * 300),
    *(f"\r\n--{BOUNDARY}{end}".encode() for end in ("", "--", "\r\n")),
    *(b'; filename="a"', b'; name="padding"', b"Content-Type: image/png\r\n"),
    *(leaf.example_name.encode() for leaf in (*EDIT_PARAMETERS, *SEGMENT_PARAMETERS)),
    *(text.encode() for leaf in EDIT_PARAMETERS for text in (*leaf.examples, *leaf.bad)),
]
MUTATIONS = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "insert", "overwrite", "repeat", "end"]),
        st.integers(0, 2**16),
        st.one_of(st.sampled_from(TOKENS), st.binary(min_size=1, max_size=9)),
    ),
    min_size=1,
    max_size=4,
)
FUZZ = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def mutated(data: bytes, mutations: list[Mutation]) -> bytes:
    """Change the bytes; positions wrap around."""
    for kind, place, extra in mutations:
        at, size = place % (len(data) + 1), len(extra)
        match kind:
            case "flip":
                flipped = bytes(byte ^ (1 << place % 8) for byte in data[at : at + 1])
                data = data[:at] + flipped + data[at + 1 :]
            case "cut":
                data = data[:at] + data[at + size :]
            case "insert":
                data = data[:at] + extra + data[at:]
            case "overwrite":
                data = data[:at] + extra + data[at + size :]
            case "repeat":
                data = data[: at + 16 * size] + data[at:]
            case _:
                data = data[:at]
    return data


def body_of(ask: Ask) -> bytes:
    files = [(f'name="{n}"; filename="a.png"', data) for n, data in ask.files.items()]
    return multipart(*((f'name="{n}"', t.encode()) for n, t in ask.texts.items()), *files)


async def assert_answered_by_rest(
    w: World, path: str, body: bytes, content_type: str, key: str
) -> None:
    """It is served, or refused as the caller's mistake; what went upstream was good."""
    charged = w.emulator.bill.charges
    headers = {"Content-Type": content_type}
    reply = await w.request("POST", path, data=body, headers=headers, key=key)
    assert reply.status in {200, 400, 413}, reply.body
    if reply.status == 200:
        assert 1 == w.emulator.bill.charges - charged
        return
    said = json.loads(reply.body).get("error", json.loads(reply.body))
    if said["type"] == "UPSTREAM_REFUSED":
        assert BAD_PIXELS in said.get("message", said.get("detail"))
    else:
        assert said["type"] in {"INVALID_REQUEST", "BODY_TOO_LARGE"}
    assert charged == w.emulator.bill.charges


async def assert_answered_by_rpc(w: World, method: str, raw: bytes, key: str) -> None:
    """The same of a message."""
    charged = w.emulator.bill.charges
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = w.channel.unary_unary(method)
    try:
        await call(raw, metadata=key_pair(key))
    except grpc.aio.AioRpcError as error:
        failure = rpc_failure(error)
        if failure.reason == "UPSTREAM_REFUSED":
            assert BAD_PIXELS in failure.message
        else:
            assert (failure.code, failure.reason) in {
                (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"),
                (grpc.StatusCode.FAILED_PRECONDITION, "BLOB_NOT_FOUND"),
                (grpc.StatusCode.NOT_FOUND, "NOT_CACHED"),
            }, failure
        assert charged == w.emulator.bill.charges
    else:
        assert 1 == w.emulator.bill.charges - charged


async def assert_serves(w: World) -> None:
    assert 200 == (await ask_rest(w, edit_of())).status
    assert (await ask_rpc(w, edit_of())).image


def messages() -> list[tuple[str, bytes]]:
    found = []
    for ask in ASKS:
        message = ask.message
        if isinstance(message, Segment):
            removal = RemoveBackgroundRequest(segment=message)
            found.append((CUT_OUT, removal.SerializeToString()))
        else:
            found.append((EDIT, EditImageRequest(edit=message).SerializeToString()))
    return found


@settings(FUZZ, max_examples=150)
@given(st.sampled_from(ASKS), MUTATIONS, KEYS)
async def test_no_form_breaks_the_gateway(
    shared: World, ask: Ask, mutations: list[Mutation], key: str
) -> None:
    body = mutated(body_of(ask), mutations)
    await assert_answered_by_rest(shared, f"/{ask.operation}", body, FORM, key)


@settings(FUZZ, max_examples=60)
@given(st.sampled_from(ASKS), MUTATIONS, KEYS)
async def test_no_urlencoded_text_breaks_the_gateway(
    shared: World, ask: Ask, mutations: list[Mutation], key: str
) -> None:
    pairs = {**ask.texts, "imageUrl": "https://pictures.invalid/b.png"}
    text = "&".join(f"{name}={value}" for name, value in pairs.items())
    body = mutated(text.encode(), mutations)
    form = "application/x-www-form-urlencoded"
    await assert_answered_by_rest(shared, "/v2/edit", body, form, key)


@settings(FUZZ, max_examples=60)
@given(st.binary(max_size=200) | st.lists(st.sampled_from(TOKENS), max_size=20).map(b"".join))
async def test_no_bytes_at_all_break_the_gateway(shared: World, body: bytes) -> None:
    for content_type in (FORM, "application/x-www-form-urlencoded", "application/json"):
        await assert_answered_by_rest(shared, "/v1/segment", body, content_type, CATALOG_KEY)
    await assert_answered_by_rpc(shared, EDIT, body, CATALOG_KEY)


@settings(FUZZ, max_examples=150)
@given(st.sampled_from(messages()), MUTATIONS, KEYS)
async def test_no_message_breaks_the_gateway(
    shared: World, message: tuple[str, bytes], mutations: list[Mutation], key: str
) -> None:
    method, raw = message
    await assert_answered_by_rpc(shared, method, mutated(raw, mutations), key)


@settings(FUZZ, max_examples=100)
@given(st.sampled_from(PICTURES), MUTATIONS)
async def test_no_picture_breaks_the_gateway(
    shared: World, data: bytes, mutations: list[Mutation]
) -> None:
    """Most changes are made where the header of a picture is."""
    data = mutated(data[:64], mutations) + data[64:]
    await assert_answered_by_rest(
        shared, "/v2/edit", body_of(edit_of({}, {"imageFile": data})), FORM, CATALOG_KEY
    )
    request = EditImageRequest()
    request.edit.image_file.data = data
    await assert_answered_by_rpc(shared, EDIT, request.SerializeToString(), CATALOG_KEY)


@settings(FUZZ, max_examples=60)
@given(st.sampled_from(ASKS[:3]), MUTATIONS)
async def test_no_head_breaks_the_gateway(
    shared: World, ask: Ask, mutations: list[Mutation]
) -> None:
    """What is no HTTP is answered with 400, or by closing the connection."""
    body = body_of(ask)
    good = head("POST /v2/edit", f"Content-Type: {FORM}", f"Content-Length: {len(body)}")
    async with wire(shared) as connection:
        await connection.send(mutated(good, mutations), body)
        connection.writer.write_eof()
        async with asyncio.timeout(20):
            answer = await connection.reader.read()
        assert not answer.startswith(b"HTTP/1.1 5"), answer


async def test_the_gateway_serves_on(shared: World) -> None:
    """Last in the module, after whatever the others have sent; by itself it holds too."""
    noise = random.Random(1)
    for ask in ASKS:
        form = body_of(ask)
        raw = mutated(form, [("overwrite", noise.randrange(len(form)), noise.randbytes(9))])
        await assert_answered_by_rest(shared, f"/{ask.operation}", raw, FORM, CATALOG_KEY)
    await assert_serves(shared)
