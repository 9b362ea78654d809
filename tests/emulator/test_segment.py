"""`/v1/segment`: options, JSON both ways, errors in its own shape."""

import base64

import aiohttp
import pytest

from tests.emulator.support import encoded, opened, photo, serving

PNG = encoded(photo())


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
