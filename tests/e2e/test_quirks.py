"""Requests as clients in the field send them, at the drop-in routes."""

from __future__ import annotations

import base64
import gzip
from urllib.parse import urlencode

import pytest

from gateway.domain.image_header import Format, sniff
from tests.e2e.harness import CATALOG_KEY, LAB_KEY, LEGACY_KEY, Reply, World, world
from tests.e2e.raw_http import BOUNDARY, chunked, head, multipart, wire
from tests.support.pictures import opened, png

PICTURE = png()
FORM = f"Content-Type: multipart/form-data; boundary={BOUNDARY}"
FILE = ('name="imageFile"; filename="a.png"', PICTURE)
PADDING = ('name="padding"', b"0.1")


async def posted(w: World, *headers: str, body: bytes, key: str | None = CATALOG_KEY) -> Reply:
    """Post a form with nothing in the head but its type, its length and what is said."""
    line = f"x-api-key: {key}" if key else None
    async with wire(w) as connection:
        length = f"Content-Length: {len(body)}"
        await connection.send(head("POST /v2/edit", FORM, length, *headers, key=line), body)
        return await connection.read_reply()


def violations(reply: Reply) -> list[tuple[str, str]]:
    """Field and code of each violation of a `/v2` answer."""
    assert 400 == reply.status, reply.body
    return [(v["field"], v["code"]) for v in reply.json["error"]["violations"]]


@pytest.mark.parametrize("parts", [(FILE, PADDING), (PADDING, FILE)], ids=["first", "last"])
async def test_the_file_may_stand_first_or_last(parts: tuple[tuple[str, bytes], ...]) -> None:
    async with world() as w:
        reply = await posted(w, body=multipart(*parts))

        assert 200 == reply.status
        assert (("padding", "0.1"),) == w.emulator.requests[-1].params


async def test_a_part_that_lies_about_its_type_is_sent_on_as_what_it_is() -> None:
    disposition = 'name="imageFile"; filename="a.jpg"\r\nContent-Type: image/jpeg'
    async with world() as w:
        reply = await posted(w, body=multipart((disposition, PICTURE)))

        assert 200 == reply.status
        (file,) = w.emulator.requests[-1].files
        assert ("imageFile", "image/png") == (file.name, file.content_type)


async def test_a_head_with_neither_accept_nor_user_agent_is_enough() -> None:
    async with world() as w:
        assert 200 == (await posted(w, body=multipart(FILE))).status


async def test_a_body_may_come_in_chunks_without_a_length() -> None:
    body = multipart(PADDING, FILE)
    pieces = [body[at : at + 97] for at in range(0, len(body), 97)]
    async with world() as w, wire(w) as connection:
        await connection.send(head("POST /v2/edit", FORM, "Transfer-Encoding: chunked"))
        await connection.send(chunked(pieces))

        assert 200 == (await connection.read_reply()).status


async def test_a_client_that_waits_for_leave_to_send_its_body_gets_it() -> None:
    body = multipart(FILE)
    async with world() as w, wire(w) as connection:
        length = f"Content-Length: {len(body)}"
        await connection.send(head("POST /v2/edit", FORM, length, "Expect: 100-continue"))
        assert 100 == (await connection.read_head())[0]
        await connection.send(body)

        assert 200 == (await connection.read_reply()).status


@pytest.mark.parametrize("name", ["x-api-key", "X-API-KEY", "X-Api-Key"])
async def test_the_key_s_header_may_be_spelt_in_any_case(name: str) -> None:
    async with world() as w:
        reply = await posted(w, f"{name}: {CATALOG_KEY}", body=multipart(FILE), key=None)

        assert 200 == reply.status


async def test_the_key_may_come_as_a_bearer_token() -> None:
    async with world() as w:
        headers = {"Authorization": f"Bearer {CATALOG_KEY}"}
        reply = await w.post("/v2/edit", [], {"imageFile": PICTURE}, key=None, headers=headers)

        assert 200 == reply.status


async def test_a_sandbox_key_is_a_sandbox_call_upstream_and_costs_nothing() -> None:
    async with world() as w:
        key = f"sandbox_{CATALOG_KEY}"
        reply = await w.post("/v2/edit", [], {"imageFile": PICTURE}, key=key)

        assert (200, "0") == (reply.status, reply.headers["Gateway-Cost"])
        assert [True] == [line.sandbox for line in w.emulator.bill.lines]
        assert 0 == w.emulator.bill.thousandths


async def test_options_of_v1_may_stand_in_the_query_string() -> None:
    async with world() as w:
        reply = await w.post(
            "/v1/segment?format=jpg&size=preview", [("crop", "true")], {"image_file": PICTURE}
        )

        assert (200, "image/jpeg") == (reply.status, reply.headers["Content-Type"])
        sent = dict(w.emulator.requests[-1].params)
        assert {"crop": "true", "format": "jpg", "size": "preview"} == sent


async def test_v1_takes_the_picture_in_json_and_answers_in_json() -> None:
    body = {"image_file_b64": base64.b64encode(PICTURE).decode(), "bg_color": "#00FF00"}
    async with world() as w:
        reply = await w.request("POST", "/v1/segment", json=body)

        assert (200, "application/json") == (reply.status, reply.headers["Content-Type"])
        assert (64, 48) == opened(base64.b64decode(reply.json["result_b64"])).size


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ("[]", "body"),
        ("{", "body"),
        ('"image"', "body"),
        ('{"image_file_b64": "not base64!"}', "image_file_b64"),
        ('{"image_file_b64": 7}', "image_file_b64"),
        ('{"size": 7}', "size"),
        ('{"size": {"a": "b"}}', "size"),
        ('{"bg_color": "\\ud800"}', "bg_color"),
        ('{"\\ud800": "red"}', "body"),
    ],
)
async def test_a_v1_document_that_cannot_be_read_names_what_is_wrong_with_it(
    document: str, field: str
) -> None:
    headers = {"Content-Type": "application/json"}
    async with world() as w:
        reply = await w.request("POST", "/v1/segment", data=document, headers=headers)

        assert 400 == reply.status, reply.body
        assert [(field, "MALFORMED_JSON")] == [
            (v["field"], v["code"]) for v in reply.json["violations"]
        ]


async def test_a_member_that_stands_twice_in_a_v1_document_is_refused() -> None:
    encoded = base64.b64encode(PICTURE).decode()
    document = f'{{"image_file_b64": "{encoded}", "size": "hd", "size": "full"}}'
    headers = {"Content-Type": "application/json"}
    async with world() as w:
        reply = await w.request("POST", "/v1/segment", data=document, headers=headers)

        assert [("size", "DUPLICATE")] == [
            (v["field"], v["code"]) for v in reply.json["violations"]
        ]


@pytest.mark.parametrize(
    ("accept", "member"),
    [
        ("application/json", "base64img"),
        ("image/png, application/json", None),
        ("application/json, */*", None),
        ("*/*", None),
    ],
)
async def test_v1_answers_json_to_a_client_that_takes_nothing_else(
    accept: str, member: str | None
) -> None:
    async with world() as w:
        reply = await w.post("/v1/segment", [], {"image_file": PICTURE}, headers={"Accept": accept})

        assert 200 == reply.status
        body = base64.b64decode(reply.json[member]) if member else reply.body
        assert Format.PNG == sniff(body)
        assert "0.2" == reply.headers["Gateway-Cost"]


async def test_options_of_other_services_are_left_out_of_v1_and_named() -> None:
    fields = [("type", "product"), ("quality", "95"), ("text_prompt", "a shoe"), ("size", "full")]
    async with world() as w:
        reply = await w.post("/v1/segment", fields, {"image_file": PICTURE})

        assert 200 == reply.status
        named = reply.headers["pr-unsupported-attributes"]
        assert "Unsupported attributes: type, quality, text_prompt" == named
        assert (("size", "full"),) == w.emulator.requests[-1].params


async def test_v2_takes_a_picture_by_its_url_in_a_get() -> None:
    query = urlencode({"imageUrl": "https://shop.example/a.png?w=1", "background.color": "#FF0000"})
    async with world() as w:
        reply = await w.request("GET", f"/v2/edit?{query}")

        assert 200 == reply.status
        sent = w.emulator.requests[-1]
        assert "GET" == sent.method
        expected = {"imageUrl": "https://shop.example/a.png?w=1", "background.color": "FF0000"}
        assert expected == dict(sent.params)


@pytest.mark.parametrize("encoding", ["multipart", "urlencoded"])
async def test_a_form_that_names_a_url_goes_upstream_as_the_get_that_takes_one(
    encoding: str,
) -> None:
    fields = {"imageUrl": "https://shop.example/a.png", "export.format": "jpeg"}
    async with world() as w:
        if encoding == "multipart":
            reply = await w.post("/v2/edit", list(fields.items()), {})
        else:
            reply = await w.request("POST", "/v2/edit", data=fields)

        assert (200, "image/jpeg") == (reply.status, reply.headers["Content-Type"])
        assert ("GET", fields) == (
            w.emulator.requests[-1].method,
            dict(w.emulator.requests[-1].params),
        )


async def test_get_and_post_of_one_url_are_one_edit() -> None:
    fields = {"imageUrl": "https://shop.example/a.png", "padding": "0.10"}
    async with world() as w:
        get = await w.request("GET", f"/v2/edit?{urlencode(fields)}")
        post = await w.request("POST", "/v2/edit", data=fields)

        assert get.headers["Gateway-Digest"] == post.headers["Gateway-Digest"]


async def test_v2_takes_no_parameters_in_the_query_of_a_post() -> None:
    async with world() as w:
        reply = await w.post("/v2/edit?padding=0.1", [], {"imageFile": PICTURE})

        assert [("padding", "QUERY_NOT_ALLOWED")] == violations(reply)
        assert 0 == w.emulator.bill.charges


async def test_what_the_vendor_s_own_examples_send_is_served_with_a_warning() -> None:
    fields = [("referenceBox", "originalImage"), ("removeBackground", "false")]
    async with world() as w:
        reply = await w.post("/v2/edit", fields, {"imageFile": PICTURE})

        assert 200 == reply.status
        assert "IGNORED_WITHOUT_CUTOUT referenceBox" == reply.headers["Gateway-Warning"]
        assert set(fields) == set(w.emulator.requests[-1].params)


async def test_an_unknown_parameter_is_refused_with_the_nearest_known_one() -> None:
    async with world() as w:
        reply = await w.post("/v2/edit", [("backgroud.color", "red")], {"imageFile": PICTURE})

        assert [("backgroud.color", "UNKNOWN_PARAMETER")] == violations(reply)
        assert "did you mean background.color?" in reply.json["error"]["message"]
        assert 0 == w.emulator.bill.charges


async def test_a_tenant_may_have_unknown_parameters_left_out_and_named() -> None:
    fields = [("backgroud.color", "red"), ("padding", "0.1"), ("n\u20acme", "x")]
    async with world() as w:
        parts = [(f'name="{name}"', text.encode()) for name, text in fields]
        key = f"x-api-key: {LEGACY_KEY}"
        reply = await posted(w, key, body=multipart(*parts, FILE), key=None)
        plain = await w.post("/v2/edit", [("padding", "0.1")], {"imageFile": PICTURE})

        assert 200 == reply.status
        named = reply.headers["pr-unsupported-attributes"]
        assert "Unsupported attributes: backgroud.color, n?me" == named
        assert (("padding", "0.1"),) == w.emulator.requests[0].params
        assert plain.headers["Gateway-Digest"] == reply.headers["Gateway-Digest"]


async def test_a_tenant_may_send_parameters_that_the_gateway_does_not_know() -> None:
    async with world() as w:
        fields = [("newEffect.mode", "ai.auto"), ("padding", "0.1")]
        headers = {"pr-new-model-version": "7"}
        reply = await w.post(
            "/v2/edit", fields, {"imageFile": PICTURE}, key=LAB_KEY, headers=headers
        )

        sent = w.emulator.requests[-1]
        assert set(fields) == set(sent.params)
        assert "7" == dict(sent.headers)["pr-new-model-version"]
        named = reply.headers["pr-unsupported-attributes"]
        assert "Unsupported attributes: newEffect.mode" == named


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ([("padding", "0.1"), ("padding", "0.1")], "padding"),
        ([("padding", "0.1"), ("padding", "0.2")], "padding"),
        (
            [("background.expandPrompt", "auto"), ("background.expandPrompt.mode", "ai.auto")],
            "background.expandPrompt.mode",
        ),
    ],
)
async def test_a_parameter_that_is_given_twice_is_refused(
    fields: list[tuple[str, str]], name: str
) -> None:
    async with world() as w:
        reply = await w.post("/v2/edit", fields, {"imageFile": PICTURE})

        assert [(name, "DUPLICATE")] == violations(reply)


async def test_all_that_is_wrong_with_a_request_is_said_at_once() -> None:
    fields = [("padding", "9"), ("maxWidth", "5"), ("export.format", "PNG"), ("nothing", "1")]
    async with world() as w:
        reply = await w.post("/v2/edit", fields, {"imageFile": b"no picture"})

        assert {
            ("padding", "OUT_OF_RANGE"),
            ("maxWidth", "MAX_SIZE"),
            ("export.format", "NOT_ALLOWED"),
            ("nothing", "UNKNOWN_PARAMETER"),
            ("imageFile", "NOT_AN_IMAGE"),
        } == set(violations(reply))
        assert "INVALID_REQUEST" == reply.json["error"]["type"]


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        ([], b"", "EMPTY_BODY"),
        (["Content-Type: text/plain"], b"x", "UNSUPPORTED_MEDIA_TYPE"),
        (["Content-Type: application/json"], b"{}", "UNSUPPORTED_MEDIA_TYPE"),
        ([FORM], multipart(FILE)[:-20], "TRUNCATED_BODY"),
    ],
)
async def test_a_body_that_is_no_form_is_refused_with_its_reason(
    headers: list[str], body: bytes, code: str
) -> None:
    async with world() as w, wire(w) as connection:
        length = f"Content-Length: {len(body)}"
        await connection.send(head("POST /v2/edit", length, *headers), body)
        reply = await connection.read_reply()

        assert [code] == [code for _, code in violations(reply)]


async def test_a_body_in_broken_chunks_is_the_caller_s_mistake() -> None:
    async with world() as w, wire(w) as connection:
        coded = head("POST /v2/edit", FORM, "Transfer-Encoding: chunked")
        await connection.send(coded, b"5\r\n--fro\r\nthis is no size\r\n")

        assert 400 == (await connection.read_head())[0]
        assert 0 == w.emulator.bill.requests.total()


async def test_a_compressed_form_is_read() -> None:
    body = gzip.compress(multipart(FILE))
    async with world() as w:
        assert 200 == (await posted(w, "Content-Encoding: gzip", body=body)).status


async def test_a_form_that_is_not_what_its_encoding_says_is_the_caller_s_mistake() -> None:
    async with world() as w:
        reply = await posted(w, "Content-Encoding: gzip", body=multipart(FILE))

        assert [("body", "BAD_CODING")] == violations(reply)


async def test_a_picture_beyond_the_limit_is_refused_by_name() -> None:
    big = b"\x89PNG\r\n\x1a\n" + bytes(30 * 1024 * 1024)
    async with world() as w:
        reply = await posted(w, body=multipart(('name="imageFile"', big)))

        assert [("imageFile", "IMAGE_TOO_LARGE")] == violations(reply)
        assert 0 == w.emulator.bill.requests.total()
