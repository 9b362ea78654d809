"""Cut-outs, backgrounds and effects: facts in the pixels, through both doors."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.e2e.asks import Ask, edit_of
from tests.e2e.draw import Draw
from tests.emulator.support import (
    SUBJECT,
    close,
    difference,
    encoded,
    photo,
    pixels,
    subject_box,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

PHOTO = encoded(photo())  # 120 x 80, the subject in the middle from (40, 20) to (80, 60)
KEPT = {"removeBackground": "false"}
WHOLE = {"referenceBox": "originalImage"}
ROOM = {"padding": "0.2", "background.color": "white"}
SHADOWS = {"pr-ai-shadows-model-version": "2026-04-15"}


def of(
    texts: dict[str, str],
    picture: Image.Image | None = None,
    headers: dict[str, str] | None = None,
) -> Ask:
    data = PHOTO if picture is None else encoded(picture)
    return edit_of(texts, {"imageFile": data}, headers)


def striped() -> Image.Image:
    rows = np.zeros((80, 120, 3), dtype=np.uint8)
    rows[:, ::4] = 255
    picture = Image.fromarray(rows)
    picture.paste(SUBJECT, (40, 20, 80, 60))
    return picture


def dark(picture: Image.Image) -> int:
    return int((pixels(picture)[:, :, 0] < 100).sum())


async def test_a_cut_out_is_clear_around_its_subject(draw: Draw) -> None:
    answer = await draw.answer(of(WHOLE))
    picture = answer.picture
    alpha = pixels(picture)[:, :, 3]
    assert (120, 80) == picture.size
    assert 0 == alpha[0, 0] == alpha[0, -1] == alpha[-1, 0] == alpha[-1, -1]
    assert close((*SUBJECT, 255), pixels(picture)[40, 60])
    assert (40, 20, 80, 60) == subject_box(picture)
    assert answer.uncertainty is not None
    assert 0 <= answer.uncertainty < 0.5


async def test_without_removal_the_picture_stays_whole(draw: Draw) -> None:
    picture = await draw(of(KEPT))
    assert 0 == difference(photo(), picture)


async def test_the_transparency_of_the_picture_is_kept_when_asked_for(draw: Draw) -> None:
    picture = Image.new("RGBA", (60, 60), (0, 0, 0, 0))
    picture.paste((255, 255, 255, 255), (10, 10, 30, 30))
    kept = await draw(of({"keepExistingAlphaChannel": "auto", **WHOLE}, picture))
    ignored = await draw(of(WHOLE, picture))  # white on white: nothing to find
    assert (10, 10, 30, 30) == subject_box(kept) != subject_box(ignored)


async def test_segmentation_keeps_the_subject_or_all_but_it(draw: Draw) -> None:
    words = {"segmentation.prompt": "the box", **WHOLE}
    kept = await draw(of({**words, "segmentation.mode": "keepSalientObject"}))
    rest = await draw(of({**words, "segmentation.mode": "ignoreSalientObject"}))
    assert (255, 0) == (pixels(kept)[40, 60, 3], pixels(kept)[2, 2, 3])
    assert (0, 255) == (pixels(rest)[40, 60, 3], pixels(rest)[2, 2, 3])


@pytest.mark.parametrize(
    ("text", "corner"),
    [
        ("00FF00", (0, 255, 0, 255)),
        ("RebeccaPurple", (102, 51, 153, 255)),
        ("#00f8", (0, 0, 255, 136)),
    ],
)
async def test_the_background_has_its_colour(
    draw: Draw, text: str, corner: tuple[int, int, int, int]
) -> None:
    picture = pixels(await draw(of({"background.color": text, "padding": "0.1"})))
    assert close(corner, picture[0, 0], 0)
    assert close(SUBJECT, picture[40, 60])


@pytest.mark.parametrize(("scaling", "corner"), [("fill", (0, 0, 255)), ("fit", (255, 255, 0))])
async def test_a_background_picture_covers_or_fits(
    draw: Draw, scaling: str, corner: tuple[int, int, int]
) -> None:
    blue = encoded(Image.new("RGB", (40, 80), (0, 0, 255)))
    texts = {"background.scaling": scaling, "background.color": "yellow", "padding": "0.2"}
    picture = pixels(await draw(of(texts).also(files={"background.imageFile": blue})))
    assert close(corner, picture[1, 1], 0)
    assert close((0, 0, 255), picture[1, 60], 0)
    assert close(SUBJECT, picture[40, 60])


@pytest.mark.parametrize("mode", ["gaussian", "bokeh"])
async def test_blur_takes_the_background_alone_out_of_focus(draw: Draw, mode: str) -> None:
    texts = {"background.blur.mode": mode, "background.blur.radius": "0.05"}
    blurred = pixels(await draw(of({**KEPT, **texts}, striped())))
    before = pixels(striped())
    assert blurred[5, :30, 0].std() < before[5, :30, 0].std() / 3
    assert close(SUBJECT, blurred[40, 60])


@pytest.mark.parametrize(
    ("mode", "headers"),
    [
        ("ai.soft", {}),
        ("ai.hard", {}),
        ("ai.floating", {}),
        ("ai.preset-soft", SHADOWS),
        ("ai.preset-hard", SHADOWS),
        ("ai.auto-with-overrides", SHADOWS),
    ],
)
async def test_a_shadow_darkens_the_ground_near_the_subject(
    draw: Draw, mode: str, headers: dict[str, str]
) -> None:
    plain = pixels(await draw(of(ROOM)))
    shaded = pixels(await draw(of({**ROOM, "shadow.mode": mode}, headers=headers)))
    assert (plain - shaded)[:, :, 0].max() > 40
    assert close((255, 255, 255), shaded[0, 0], 3)


async def test_a_shadow_falls_where_its_override_says(draw: Draw) -> None:
    def texts(direction: str) -> dict[str, str]:
        mode = {"shadow.mode": "ai.auto-with-overrides"}
        return {**ROOM, **mode, "shadow.directionOverride": direction}

    left, right = [pixels(await draw(of(texts(to), headers=SHADOWS))) for to in ("left", "right")]
    beside_left, beside_right = np.s_[:, :25, 0], np.s_[:, -25:, 0]
    assert left[beside_left].mean() < right[beside_left].mean()
    assert right[beside_right].mean() < left[beside_right].mean()


@pytest.mark.parametrize(
    "mode", ["ai.auto", "ai.preserve-hue-and-saturation", "ai.optimize-portrait"]
)
async def test_lighting_makes_the_subject_brighter(draw: Draw, mode: str) -> None:
    dim = photo().point([level // 2 for level in range(256)] * 3)
    lit = await draw(of({**KEPT, "lighting.mode": mode}, dim))
    assert pixels(lit)[:, :, :3].mean() > pixels(dim)[:, :, :3].mean()


async def test_an_outline_has_its_colour_and_width(draw: Draw) -> None:
    def green(picture: Image.Image) -> int:
        row = pixels(picture)[40]
        return int(((row[:, 1] > 200) & (row[:, 0] < 90) & (row[:, 2] < 90)).sum())

    line = {"padding": "0.25", "background.color": "white", "outline.color": "00FF00"}
    wide, narrow = [
        green(await draw(of({**line, "outline.width": width}))) for width in ("0.1", "0.02")
    ]
    assert wide > narrow > 0


@pytest.mark.parametrize(
    ("mode", "count"), [("ai.all", 2), ("ai.artificial", 1), ("ai.natural", 1)]
)
async def test_texts_are_removed_and_counted(draw: Draw, mode: str, count: int) -> None:
    written = Image.new("RGB", (300, 200), "white")
    for row in (10, 90):
        ImageDraw.Draw(written).text(
            (20, row), "Sale today: buy three, pay two", "black", font_size=16
        )
    answer = await draw.answer(of({**KEPT, "textRemoval.mode": mode}, written))
    assert count == answer.texts
    assert dark(answer.picture) < dark(written) * (0.05 if count == 2 else 0.8)


async def test_ironing_smooths(draw: Draw) -> None:
    before, after = striped(), await draw(of({**KEPT, "ironing.mode": "ai.auto"}, striped()))
    assert pixels(after)[5, :30, 0].std() < pixels(before)[5, :30, 0].std()


@pytest.mark.parametrize("model", [{}, {"pr-ai-upscale-model-version": "ai-upscale-2025-07-29"}])
@pytest.mark.parametrize("mode", ["ai.fast", "ai.slow"])
async def test_upscaling_makes_four_pixels_of_one(
    draw: Draw, mode: str, model: dict[str, str]
) -> None:
    assert (480, 320) == (await draw(of({**KEPT, "upscale.mode": mode}, headers=model))).size


async def test_a_large_picture_is_shrunk_before_it_is_scaled_up_when_asked_for(draw: Draw) -> None:
    texts = {"upscale.mode": "ai.slow", "upscale.downscaleIfNeeded": "always", **KEPT}
    large = Image.new("RGB", (1024, 512), "white")
    assert (2896, 1448) == (await draw(of(texts, large))).size  # four times 724 x 362 of 262,144


async def test_metadata_is_kept_as_asked_for(draw: Draw) -> None:
    picture = photo()
    exif = Image.Exif()
    exif[0x8298] = "Example Ltd"  # copyright
    exif[0x010F] = "Camera"  # make: not one that is kept
    out = io.BytesIO()
    picture.save(out, "JPEG", exif=exif)

    async def kept(mode: str) -> dict[int, object]:
        ask = edit_of({"preserveMetadata": mode}, {"imageFile": out.getvalue()})
        return dict((await draw(ask)).getexif())

    assert {} == await kept("never")
    assert {0x8298: "Example Ltd"} == await kept("exifSubsetWithXmpCompatibility")
