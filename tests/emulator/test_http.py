"""The emulator over HTTP: forms, answers, the vendor's shapes of an error."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from gateway.emulator import Emulator
from tests.emulator.support import encoded, opened, photo, serving

TEMPLATE = "0189aa4a-5f0c-4c5c-8b0e-2f6f5f0d7a11"


PNG = encoded(photo())


async def test_an_edit_is_a_picture_with_the_vendors_headers() -> None:
    async with serving() as (_, caller):
        answer = await caller.edit({"padding": "0.1"})
    assert (200, "image/png") == (answer.status, answer.headers["content-type"])
    assert str(len(answer.body)) == answer.headers["content-length"]
    assert 0 <= float(answer.headers["x-uncertainty-score"]) <= 1
    assert answer.headers["pr-edit-further-url"].startswith("https://")
    assert (120, 80) == opened(answer.body).size


async def test_a_picture_on_this_machine_is_fetched_and_others_are_imagined() -> None:
    async def serve_picture(_: web.Request) -> web.Response:
        return web.Response(body=PNG, content_type="image/png")

    app = web.Application()
    app.router.add_get("/a.png", serve_picture)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    local = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with serving() as (_, caller):
            found, missing, far = [
                await caller.send("GET", "/v2/edit", params={"imageUrl": address})
                for address in (f"{local}/a.png", f"{local}/b.png", "https://far.invalid/a.png")
            ]
    finally:
        await runner.cleanup()
    assert (120, 80) == opened(found.body).size
    assert (400, {"error": {"message": "imageUrl could not be downloaded: status 404"}}) == (
        missing.status,
        missing.json,
    )
    assert (800, 600) == opened(far.body).size


async def test_a_body_may_come_in_chunks_with_the_file_first_and_a_lying_type() -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="imageFile"; filename="a.jpg"\r\n'
        b"Content-Type: image/jpeg\r\n\r\n" + PNG + b"\r\n--x\r\n"
        b'Content-Disposition: form-data; name="padding"\r\n\r\n0.1\r\n--x--\r\n'
    )

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 50):
            yield body[start : start + 50]

    async with serving() as (emulator, caller):
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        answer = await caller.send("POST", "/v2/edit", data=chunks(), headers=headers)
        (request,) = emulator.requests
    assert 200 == answer.status
    assert (("padding", "0.1"),) == request.params
    assert [("imageFile", hashlib.sha256(PNG).hexdigest(), len(PNG), "a.jpg", "image/jpeg")] == [
        (file.name, file.sha256, file.size, file.filename, file.content_type)
        for file in request.files
    ]
    assert "a" == request.key
    assert "x-api-key" not in dict(request.headers)


async def test_a_client_may_wait_for_the_go_ahead() -> None:
    async with serving() as (_, caller):
        form = aiohttp.FormData()
        form.add_field("imageFile", PNG, filename="a.png", content_type="image/png")
        answer = await caller.send("POST", "/v2/edit", data=form, expect100=True)
    assert 200 == answer.status


async def test_a_connection_carries_many_calls() -> None:
    async with Emulator() as emulator:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", int(emulator.url.rpartition(":")[2])
        )
        for _ in range(3):
            writer.write(b"GET /v2/account HTTP/1.1\r\nHost: x\r\nX-API-KEY: emulator-key\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            document = json.loads(await reader.readexactly(length))
            assert {"images": {"available": 1000, "subscription": 1000}, "plan": "plus"} == document
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    ("params", "body"),
    [
        ({"padding": "1"}, {"error": {"message": "padding must be between 0 and 0.49"}}),
        (
            {"imageFile": "a"},
            {
                "error": {
                    "message": "imageFile was provided more than once, but can only be provided once"
                }
            },
        ),
        ({"templateId": TEMPLATE}, {"error": {"message": f"Template {TEMPLATE} was not found"}}),
    ],
)
async def test_a_bad_edit_is_a_message_and_free(params: dict[str, str], body: object) -> None:
    async with serving() as (emulator, caller):
        answer = await caller.edit(params)
        assert (400, body, 0) == (answer.status, answer.json, emulator.bill.charges)


async def test_beautify_without_a_cut_out_is_the_vendors_500() -> None:
    async with serving() as (_, caller):
        answer = await caller.edit({"beautify.mode": "ai.auto", "removeBackground": "false"})
    message = "An unexpected error occurred. Please try again later or contact support."
    assert (500, {"error": {"message": message}}) == (answer.status, answer.json)


async def test_a_template_is_drawn_for_its_owner() -> None:
    async with serving(templates=frozenset({TEMPLATE})) as (_, caller):
        layer = {"layers.title.text.content": "Sale", "layers.title.text.foregroundColor": "red"}
        plain = await caller.edit({"templateId": TEMPLATE})
        titled = await caller.edit({"templateId": TEMPLATE, **layer})
    assert [200, 200] == [plain.status, titled.status]
    assert plain.body != titled.body


async def test_unknown_attributes_are_charged_and_listed() -> None:
    async with serving() as (emulator, caller):
        answer = await caller.edit({"background.inner": "1", "colour": "red"})
        assert 1 == emulator.bill.charges
    listed = "Unsupported attributes: background.inner, colour"
    assert (200, listed) == (answer.status, answer.headers["pr-unsupported-attributes"])


async def test_parameters_of_a_post_do_not_stand_in_the_query() -> None:
    async with serving() as (_, caller):
        answer = await caller.send("POST", "/v2/edit?padding=0.1", data={"imageUrl": "https://x"})
    assert 400 == answer.status


@pytest.mark.parametrize("data", [b"--y\r\n", b"", b"--x\r\nContent-Disposition: form-data\r\n"])
async def test_a_torn_form_is_400(data: bytes) -> None:
    async with serving() as (_, caller):
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        answer = await caller.send("POST", "/v2/edit", data=data, headers=headers)
    assert 400 == answer.status


async def test_an_exhausted_account_is_402_in_the_shape_of_each_endpoint() -> None:
    async with serving(available=0.1) as (emulator, caller):
        segment, edit = await caller.segment(), await caller.edit()
        assert 0 == emulator.bill.charges
    assert isinstance(segment.json, dict)
    assert isinstance(edit.json, dict)
    assert [402, 402] == [segment.status, edit.status]
    assert (402, "unknown_error") == (segment.json["status_code"], segment.json["type"])
    assert segment.json["detail"] == edit.json["error"]["detail"]


async def test_a_throttled_call_names_its_wait_and_is_free() -> None:
    async with serving() as (emulator, caller):
        answers = [await caller.edit() for _ in range(6)]
        assert 5 == emulator.bill.charges
    last = answers[-1]
    assert [200] * 5 + [429] == [answer.status for answer in answers]
    wait = last.headers["retry-after"]
    assert 0 < int(wait) <= 60
    assert {"detail": f"Request was throttled. Expected available in {wait} seconds."} == last.json


async def test_a_missing_key_is_401_and_400_for_accounts() -> None:
    async with serving(None) as (_, caller):
        edit, account = await caller.edit(), await caller.send("GET", "/v2/account")
    assert 401 == edit.status
    assert (400, {"error": {"message": "apiKey: Required"}}) == (account.status, account.json)


async def test_both_account_calls_show_fractions() -> None:
    async with serving() as (_, caller):
        await caller.segment()
        second = await caller.send("GET", "/v2/account")
        first = await caller.send("GET", "/v1/account")
    images = {"available": 999.8, "subscription": 1000}
    assert {"images": images, "plan": "plus"} == second.json
    assert {"credits": images} == first.json


async def test_the_sandbox_is_free_marked_and_has_no_account() -> None:
    async with serving("sandbox_A") as (emulator, caller):
        edit, account = await caller.edit(), await caller.send("GET", "/v2/account")
        (line,) = emulator.bill.lines
    assert (200, 400) == (edit.status, account.status)
    assert (True, 0) == (line.sandbox, line.thousandths)
