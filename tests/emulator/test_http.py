"""The emulator over HTTP: forms, answers, the vendor's shapes of an error, control."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from gateway.emulator import AccountSettings, Emulator, EmulatorSettings, KeySettings
from tests.emulator.support import Caller, calling, encoded, opened, photo

TEMPLATE = "0189aa4a-5f0c-4c5c-8b0e-2f6f5f0d7a11"
PNG = encoded(photo())


@asynccontextmanager
async def serving(
    key: str | None = "A", **account: object
) -> AsyncIterator[tuple[Emulator, Caller]]:
    """An emulator with one account of two keys, a and b, and a caller with one of their secrets."""
    keys = (KeySettings("a", "A", 5), KeySettings("b", "B"))
    settings = AccountSettings(id="one", keys=keys, **account)  # type: ignore[arg-type] # as named
    emulator = Emulator(EmulatorSettings(accounts=(settings,)))
    async with emulator, calling(emulator, key) as caller:
        yield emulator, caller


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


async def test_segment_gives_a_picture_or_json_as_accepted() -> None:
    async with serving() as (_, caller):
        picture = await caller.segment({"crop": "true"})
        mixed = await caller.segment(headers={"Accept": "image/png, application/json"})
        coded = await caller.segment({"crop": "true"}, headers={"Accept": "application/json"})
    assert ["image/png", "image/png", "application/json"] == [
        answer.headers["content-type"].partition(";")[0] for answer in (picture, mixed, coded)
    ]
    assert {"base64img": base64.b64encode(picture.body).decode()} == coded.json
    assert (40, 40) == opened(picture.body).size


async def test_segment_takes_the_json_of_an_older_client() -> None:
    async with serving() as (_, caller):
        document = {"image_file_b64": base64.b64encode(PNG).decode(), "format": "webp"}
        answer = await caller.send("POST", "/v1/segment", json=document)
        broken = await caller.send("POST", "/v1/segment", json={"image_file_b64": "x"})
    assert isinstance(answer.json, dict)
    assert "WEBP" == opened(base64.b64decode(answer.json["result_b64"])).format
    assert 400 == broken.status


@pytest.mark.parametrize(
    ("params", "mode", "format_"),
    [
        ({}, "RGBA", "PNG"),
        ({"channels": "alpha"}, "L", "PNG"),
        ({"format": "jpg"}, "RGB", "JPEG"),
        ({"format": "webp"}, "RGBA", "WEBP"),
        ({"bg_color": "#FF00FF"}, "RGB", "PNG"),
        ({"despill": "true"}, "RGBA", "PNG"),
    ],
)
async def test_segment_obeys_its_options(params: dict[str, str], mode: str, format_: str) -> None:
    async with serving() as (_, caller):
        picture = opened((await caller.segment(params)).body)
    assert (mode, format_) == (picture.mode, picture.format)


async def test_segment_takes_options_from_the_query_and_ignores_extras() -> None:
    async with serving() as (_, caller):
        form = aiohttp.FormData()
        form.add_field("image_file", PNG, filename="a.png")
        form.add_field("shadow", "on")
        answer = await caller.send("POST", "/v1/segment?crop=true&scale=2", data=form)
    assert (40, 40) == opened(answer.body).size


async def test_segment_shrinks_to_the_size_that_was_asked_for() -> None:
    async with serving() as (_, caller):
        form = aiohttp.FormData()
        form.add_field("image_file", encoded(photo((1000, 1000))), filename="a.png")
        form.add_field("size", "preview")
        answer = await caller.send("POST", "/v1/segment", data=form)
    assert (500, 500) == opened(answer.body).size


async def test_segment_takes_heic_and_edit_does_not() -> None:
    heic = b"\0\0\0\x18ftypheic" + bytes(64)
    async with serving() as (_, caller):
        statuses = []
        for path, name in (("/v1/segment", "image_file"), ("/v2/edit", "imageFile")):
            form = aiohttp.FormData()
            form.add_field(name, heic, filename="a.heic")
            statuses.append((await caller.send("POST", path, data=form)).status)
    assert [200, 400] == statuses


async def test_segment_without_a_picture_says_so_in_its_shape() -> None:
    async with serving() as (_, caller):
        answer = await caller.send("POST", "/v1/segment", data={"crop": "true"})
    expected = {"detail": "Please provide an image.", "status_code": 400, "type": "missing_image"}
    assert (400, expected) == (answer.status, answer.json)


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


@pytest.mark.parametrize("path", ["/v2/edits", "/", "/v1/edit"])
async def test_other_paths_are_404(path: str) -> None:
    async with serving() as (emulator, caller):
        assert 404 == (await caller.send("GET", path)).status
        assert {"GET (unknown)": 1} == emulator.bill.requests


async def test_control_reads_the_bill_and_the_requests() -> None:
    async with serving() as (_, caller):
        await caller.edit({"padding": "0.1"})
        bill = (await caller.send("GET", "/_emulator/bill")).json
        requests = (await caller.send("GET", "/_emulator/requests")).json
        health = await caller.send("GET", "/_emulator/healthz")
    assert isinstance(bill, dict)
    assert isinstance(requests, list)
    assert 200 == health.status
    assert (1, 1000, {"one": 1000}) == (bill["charges"], bill["thousandths"], bill["by_account"])
    assert ({"POST /v2/edit": 1}, {"200": 1}) == (bill["requests"], bill["answers"])
    assert [["padding", "0.1"]] == requests[0]["params"]


async def test_control_changes_accounts_and_keys() -> None:
    async with serving() as (_, caller):
        for change in ({"account": "one", "available": 7}, {"key": "b", "status": 401}):
            assert 200 == (await caller.send("POST", "/_emulator/accounts", json=change)).status
        account = await caller.send("GET", "/v2/account")
        closed = await caller.send("GET", "/v2/account", headers={"x-api-key": "B"})
        wrong = await caller.send(
            "POST", "/_emulator/accounts", json={"account": "two", "available": 1}
        )
        unknown = await caller.send("POST", "/_emulator/accounts", json={"acount": "one"})
    assert isinstance(account.json, dict)
    assert 7 == account.json["images"]["available"]
    assert [200, 400, 400] == [closed.status, wrong.status, unknown.status]


async def test_control_scripts_faults_and_takes_them_back() -> None:
    async with serving() as (_, caller):
        bad = await caller.send("POST", "/_emulator/faults", data=b'[{"cut": "sometimes"}]')
        await caller.send("POST", "/_emulator/faults", json=[{"operation": "edit", "status": 503}])
        faulty = await caller.edit()
        await caller.send("DELETE", "/_emulator/faults")
        well = await caller.edit()
    assert (400, True) == (bad.status, b"0.cut" in bad.body)
    assert [503, 200] == [faulty.status, well.status]


async def test_a_reset_forgets_everything() -> None:
    async with serving() as (emulator, caller):
        await caller.edit()
        await caller.send("POST", "/_emulator/reset")
        account = await caller.send("GET", "/v2/account")
        assert 0 == emulator.bill.charges
    assert isinstance(account.json, dict)
    assert 1000 == account.json["images"]["available"]
