"""How the picture is written, of the sandbox too: facts in the bytes, through both doors."""

from __future__ import annotations

import re

import pytest
from PIL import ImageCms

from tests.e2e.asks import edit_of, segment_of
from tests.e2e.draw import Draw
from tests.e2e.harness import CATALOG_KEY
from tests.emulator.support import close, difference, encoded, photo, pixels

pytestmark = pytest.mark.asyncio(loop_scope="module")

PHOTO = encoded(photo())
SANDBOX = f"sandbox_{CATALOG_KEY}"
WHITE = {"background.color": "white"}
MAGIC = {
    "png": rb"\x89PNG\r\n\x1a\n",
    "jpeg": rb"\xff\xd8\xff",
    "webp": rb"RIFF....WEBP",
    "avif": rb"....ftypavif",
}


@pytest.mark.parametrize("text", ["png", "jpeg", "jpg", "webp", "avif"])
async def test_the_picture_is_of_the_format_that_was_asked_for(draw: Draw, text: str) -> None:
    name = "jpeg" if text == "jpg" else text
    answer = await draw.answer(edit_of({"export.format": text, **WHITE}, {"imageFile": PHOTO}))
    assert f"image/{name}" == answer.media_type
    assert re.match(MAGIC[name], answer.body, re.DOTALL)


async def test_png_is_what_one_gets_without_asking(draw: Draw) -> None:
    answer = await draw.answer(edit_of({}, {"imageFile": PHOTO}))
    assert "image/png" == answer.media_type
    assert re.match(MAGIC["png"], answer.body)


@pytest.mark.parametrize("format_", ["png", "webp", "avif"])
async def test_transparency_survives_but_in_jpeg(draw: Draw, format_: str) -> None:
    texts = {"padding": "0.2", "export.format": format_}
    assert 0 == pixels(await draw(edit_of(texts, {"imageFile": PHOTO})))[0, 0, 3]
    texts["export.format"] = "jpeg"
    assert close(
        (255, 255, 255, 255), pixels(await draw(edit_of(texts, {"imageFile": PHOTO})))[0, 0]
    )


@pytest.mark.parametrize("format_", ["png", "jpeg"])
@pytest.mark.parametrize("dpi", ["72", "300", "1200"])
async def test_the_resolution_is_written_into_the_picture(
    draw: Draw, format_: str, dpi: str
) -> None:
    texts = {"export.format": format_, "export.dpi": dpi, **WHITE}
    picture = await draw(edit_of(texts, {"imageFile": PHOTO}))
    assert [pytest.approx(float(dpi), abs=0.1)] * 2 == list(picture.info["dpi"])


@pytest.mark.parametrize(("space", "profiles"), [("original", 1), ("sRGB", 0)])
async def test_the_colour_space_of_the_picture_is_kept_when_asked_for(
    draw: Draw, space: str, profiles: int
) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    source = encoded(photo(), icc_profile=profile)
    picture = await draw(edit_of({"colorSpace": space}, {"imageFile": source}))
    assert profiles == ("icc_profile" in picture.info)


async def test_a_sandbox_edit_wears_a_watermark_and_a_live_one_does_not(draw: Draw) -> None:
    ask = edit_of({**WHITE, "outputSize": "400x300"}, {"imageFile": PHOTO})
    live, sandbox = await draw(ask), await draw(ask, key=SANDBOX)
    assert live.size == sandbox.size
    assert difference(live, sandbox) > 1


async def test_a_sandbox_cut_out_wears_a_watermark_where_it_is_clear(draw: Draw) -> None:
    live, sandbox = [
        pixels(
            await draw(
                segment_of(picture=encoded(photo((400, 300), (150, 100, 250, 200)))), key=key
            )
        )
        for key in (CATALOG_KEY, SANDBOX)
    ]
    assert 0 == live[:90, :, 3].max()
    assert sandbox[:90, :, 3].max() > 0
