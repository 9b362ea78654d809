"""Background removal: facts in the pixels, through both doors."""

from __future__ import annotations

import re

import pytest
from PIL import Image

from tests.e2e.asks import segment_of
from tests.e2e.draw import Draw
from tests.emulator.support import SUBJECT, close, encoded, photo, pixels, subject_box

pytestmark = pytest.mark.asyncio(loop_scope="module")

PHOTO = encoded(photo())


async def test_a_cut_out_is_as_large_as_its_picture_and_clear_around_the_subject(
    draw: Draw,
) -> None:
    answer = await draw.answer(segment_of(picture=PHOTO))
    picture = answer.picture
    assert "image/png" == answer.media_type
    assert (120, 80) == picture.size
    assert (40, 20, 80, 60) == subject_box(picture)
    assert 0 == pixels(picture)[0, 0, 3]
    assert close((*SUBJECT, 255), pixels(picture)[40, 60])
    assert answer.uncertainty is not None


@pytest.mark.parametrize(
    ("text", "media_type", "magic"),
    [
        ("png", "image/png", rb"\x89PNG"),
        ("jpg", "image/jpeg", rb"\xff\xd8\xff"),
        ("webp", "image/webp", rb"RIFF....WEBP"),
    ],
)
async def test_it_is_of_the_format_that_was_asked_for(
    draw: Draw, text: str, media_type: str, magic: bytes
) -> None:
    answer = await draw.answer(segment_of({"format": text}, PHOTO))
    assert media_type == answer.media_type
    assert re.match(magic, answer.body, re.DOTALL)


async def test_the_alpha_channel_alone_is_a_mask(draw: Draw) -> None:
    mask = await draw(segment_of({"channels": "alpha"}, PHOTO))
    assert "L" == mask.mode
    assert (0, 255) == (mask.getpixel((2, 2)), mask.getpixel((60, 40)))


@pytest.mark.parametrize(
    ("text", "corner"), [("#FF00FF", (255, 0, 255, 255)), ("teal", (0, 128, 128, 255))]
)
async def test_the_background_has_its_colour(
    draw: Draw, text: str, corner: tuple[int, int, int, int]
) -> None:
    picture = pixels(await draw(segment_of({"bg_color": text}, PHOTO)))
    assert close(corner, picture[0, 0], 0)
    assert close(SUBJECT, picture[40, 60])


async def test_cropped_it_is_the_subject_alone(draw: Draw) -> None:
    assert (40, 40) == (await draw(segment_of({"crop": "true"}, PHOTO))).size


@pytest.mark.parametrize(
    ("size", "expected"),
    [("preview", (500, 500)), ("medium", (1200, 1200)), ("full", (1200, 1200))],
)
async def test_it_has_no_more_pixels_than_its_size_allows(
    draw: Draw, size: str, expected: tuple[int, int]
) -> None:
    large = encoded(Image.new("RGB", (1200, 1200), "white"))
    assert expected == (await draw(segment_of({"size": size}, large))).size


async def test_despill_takes_the_green_of_the_screen_from_the_subject(draw: Draw) -> None:
    picture = photo()
    picture.paste((90, 200, 90), (40, 20, 80, 60))
    before, after = [
        pixels(await draw(segment_of({"despill": text}, encoded(picture))))[40, 60]
        for text in ("false", "true")
    ]
    assert close((90, 200, 90, 255), before)
    assert close((90, 90, 90, 255), after)
