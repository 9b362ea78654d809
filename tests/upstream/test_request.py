"""What goes to the upstream, byte for byte."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Mapping
from email import message_from_bytes
from email.message import Message
from urllib.parse import parse_qsl

import pytest
from yarl import URL

from gateway.domain.edit import Edit, ImageRef, ImageSlot, Kind, Operation
from gateway.ports import Purchase
from gateway.upstream.client import PhotoroomClient
from gateway.upstream.request import WireRequest, edit_request
from tests.upstream.purchases import (
    JPEG,
    KEY,
    PNG,
    SECRET,
    by_bytes,
    by_url,
    generative,
    parameter,
    segment,
    settings,
)
from tests.upstream.scripted import Connection, answer, serve

ORIGINS = settings("https://edit.example/base/", segment_url="https://segment.example")


async def one_answer(connection: Connection) -> None:
    await connection.read_request()
    await connection.write(answer())


async def sent(purchase: Purchase) -> tuple[str, Mapping[str, str], bytes]:
    """Request line, headers and body as the server got them."""
    async with serve(one_answer) as server, PhotoroomClient(settings(server.url)) as client:
        await client.send(purchase, KEY)
    line, _, rest = server.heads[0].decode().partition("\r\n")
    headers = [header.partition(": ")[::2] for header in rest.strip().split("\r\n")]
    return line, {name.lower(): value for name, value in headers}, server.bodies[0]


def parts(headers: Mapping[str, str], body: bytes) -> list[Message]:
    head = f"Content-Type: {headers['content-type']}\r\n\r\n".encode()
    return [part for part in message_from_bytes(head + body).walk() if not part.is_multipart()]


def field_of(part: Message) -> tuple[object, object, str | None, object]:
    """Name, file name, content type, content."""
    name = part.get_param("name", header="content-disposition")
    return name, part.get_filename(), part["content-type"], part.get_payload(decode=True)


async def test_bytes_are_posted_as_a_form_with_a_length() -> None:
    purchase = by_bytes(
        parameter("background.prompt", "blätter & more", Kind.TEXT),
        parameter("export.format", "webp"),
    )
    line, headers, body = await sent(purchase)
    assert line == "POST /v2/edit HTTP/1.1"
    assert headers["content-length"] == str(len(body))
    assert "transfer-encoding" not in headers
    assert [
        ("background.prompt", None, None, "blätter & more".encode()),
        ("export.format", None, None, b"webp"),
        ("imageFile", "picture.png", "image/png", PNG),
    ] == [field_of(part) for part in parts(headers, body)]


async def test_a_url_edit_is_a_get_with_every_parameter_in_the_query() -> None:
    purchase = by_url(
        parameter("layers.a&b[0].text.content", "50 % + ü; x=y/?#", Kind.TEXT),
        parameter("background.color", "", Kind.COLOR),
    )
    line, headers, body = await sent(purchase)
    method, target, _ = line.split(" ")
    path, _, query = target.partition("?")
    assert ("GET", "/v2/edit") == (method, path)
    assert b"" == body
    assert "content-type" not in headers
    assert [(p.name, p.wire) for p in purchase.edit.parameters] == parse_qsl(
        query, keep_blank_values=True
    )


async def test_a_url_edit_that_is_too_long_for_a_request_line_is_posted() -> None:
    purchase = by_url(parameter("background.prompt", "ü" * 2000, Kind.TEXT))
    line, headers, body = await sent(purchase)
    assert "POST /v2/edit HTTP/1.1" == line
    expected = [(p.name, None, None, p.wire.encode()) for p in purchase.edit.parameters]
    assert expected == [field_of(part) for part in parts(headers, body)]


async def test_an_edit_without_any_picture_is_posted() -> None:
    line, headers, body = await sent(generative())
    assert line == "POST /v2/edit HTTP/1.1"
    assert [("imageFromPrompt.prompt", None, None, b"a red shoe")] == [
        field_of(part) for part in parts(headers, body)
    ]


async def test_a_segment_is_posted() -> None:
    line, headers, body = await sent(segment())
    assert line == "POST /v1/segment HTTP/1.1"
    assert ("image_file", "picture.jpeg", "image/jpeg", JPEG) == field_of(parts(headers, body)[-1])


async def test_model_versions_travel_as_headers() -> None:
    versions = (parameter("pr-ai-shadows-model-version", "2026-04-15", Kind.HEADER),)
    _, headers, body = await sent(by_bytes(headers=versions))
    assert headers["pr-ai-shadows-model-version"] == "2026-04-15"
    assert b"2026-04-15" not in body


@pytest.mark.parametrize(
    ("purchase", "key"),
    [(by_bytes(), SECRET), (by_bytes(sandbox=True), "sandbox_" + SECRET)],
)
async def test_the_key_is_the_sandboxs_for_a_sandbox_purchase(purchase: Purchase, key: str) -> None:
    _, headers, _ = await sent(purchase)
    assert key == headers["x-api-key"]


@pytest.mark.parametrize(
    ("purchase", "url"),
    [
        (by_bytes(), "https://edit.example/base/v2/edit"),
        (segment(), "https://segment.example/v1/segment"),
    ],
)
def test_each_operation_has_its_origin(purchase: Purchase, url: str) -> None:
    assert URL(url) == edit_request(ORIGINS, purchase, KEY).url


def test_a_segment_of_a_url_is_posted_too() -> None:
    source = parameter("image_url", "https://shop.example/a.png", Kind.URL)
    purchase = Purchase(Edit(Operation.SEGMENT, (source,)), {}, sandbox=False)
    assert "POST" == edit_request(ORIGINS, purchase, KEY).method


def test_a_picture_of_no_known_kind_is_sent_as_plain_bytes() -> None:
    request = edit_request(ORIGINS, by_bytes(picture=b"no picture"), KEY)
    assert request.form is not None
    payload, _, _ = next(iter(request.form))
    assert "application/octet-stream" == payload.content_type
    assert 'filename="picture.bin"' in payload.headers["Content-Disposition"]


@pytest.mark.parametrize(
    "name", ["editWithAI.additionalImages.lo go.imageFile", 'a."b\\.imageFile']
)
async def test_a_slot_keeps_its_name(name: str) -> None:
    ref = ImageRef.of(PNG)
    edit = Edit(Operation.EDIT, images=(ImageSlot(name, ref),))
    _, headers, body = await sent(Purchase(edit, {ref: PNG}, sandbox=False))
    assert name == parts(headers, body)[0].get_param("name", header="content-disposition")


async def test_one_picture_in_two_slots_is_sent_twice_from_one_copy() -> None:
    ref = ImageRef.of(PNG)
    slots = (ImageSlot("background.imageFile", ref), ImageSlot("imageFile", ref))
    purchase = Purchase(Edit(Operation.EDIT, images=slots), {ref: PNG}, sandbox=False)
    _, headers, body = await sent(purchase)
    assert [PNG, PNG] == [part.get_payload(decode=True) for part in parts(headers, body)]


def test_a_request_has_no_repr_that_shows_the_key() -> None:
    request = edit_request(ORIGINS, by_bytes(), KEY)
    assert isinstance(request, WireRequest)
    assert SECRET not in repr(request)


async def test_a_large_picture_is_sent_without_a_copy_of_it() -> None:
    """While 24 MB travel, memory grows by buffers, not by the picture."""
    picture = b"\x89PNG\r\n\x1a\n" + bytes(24 * 1024 * 1024)

    async def discard(connection: Connection) -> None:
        await connection.read_head()
        left = len(picture)
        while left > 0:
            left -= len(await connection.reader.read(1 << 16))
        await connection.write(answer())

    async with serve(discard) as server, PhotoroomClient(settings(server.url)) as client:
        purchase = by_bytes(picture=picture)
        tracemalloc.start()
        try:
            await client.send(purchase, KEY)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 4 * 1024 * 1024


async def test_no_cookie_comes_back() -> None:
    async def with_cookie(connection: Connection) -> None:
        for _ in range(2):
            await connection.read_request()
            await connection.write(answer(200, PNG, "Set-Cookie: a=b; Path=/"))

    async with serve(with_cookie) as server:
        # A jar takes no cookie from an address of numbers: only a name can show that there is none.
        named = server.url.replace("127.0.0.1", "localhost")
        async with PhotoroomClient(settings(named)) as client:
            await client.send(by_bytes(), KEY)
            await client.send(by_bytes(), KEY)
    assert 1 == server.connections
    assert [] == [head for head in server.heads if b"cookie" in head.lower()]


async def test_calls_run_side_by_side() -> None:
    both = asyncio.Barrier(2)

    async def meet(connection: Connection) -> None:
        await connection.read_request()
        await both.wait()
        await connection.write(answer())

    async with serve(meet) as server, PhotoroomClient(settings(server.url)) as client:
        await asyncio.gather(client.send(by_bytes(), KEY), client.send(by_url(), KEY))
    assert 2 == len(server.heads)
