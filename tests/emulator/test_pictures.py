"""Cut-outs, backgrounds and effects: facts in the pixels."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.emulator.support import (
    GROUND,
    SUBJECT,
    close,
    difference,
    draw,
    drawn,
    opened,
    photo,
    pixels,
    subject_box,
)

CLEAR = 0


SHADOWS = {"pr-ai-shadows-model-version": "2026-04-15"}


KEPT = {"removeBackground": "false"}


def stripes() -> Image.Image:
    picture = np.zeros((80, 120, 3), dtype=np.uint8)
    picture[:, ::4] = 255
    image = Image.fromarray(picture)
    image.paste(SUBJECT, (40, 20, 80, 60))
    return image


def written(*rows: int) -> Image.Image:
    picture = Image.new("RGB", (300, 200), "white")
    for row in rows:
        ImageDraw.Draw(picture).text(
            (20, row), "Sale today: buy three, pay two", "black", font_size=16
        )
    return picture


def test_a_cut_out_is_clear_around_a_solid_subject() -> None:
    picture = draw({"referenceBox": "originalImage"})
    alpha = pixels(picture)[:, :, 3]
    assert (120, 80) == picture.size
    assert CLEAR == alpha[0, 0] == alpha[-1, -1] == alpha[40, 30]
    assert 255 == alpha[40, 60]
    assert close(SUBJECT, pixels(picture)[40, 60])
    assert (40, 20, 80, 60) == subject_box(picture)


def test_the_edge_of_a_cut_out_is_soft() -> None:
    alpha = pixels(draw({"referenceBox": "originalImage"}))[40, :, 3]
    assert any(0 < level < 255 for level in alpha.tolist())


@pytest.mark.parametrize("side", [64, 700])
def test_a_photograph_is_cut_out_whatever_its_size(side: int) -> None:
    rng = np.random.default_rng(1)
    noisy = np.full((side, side, 3), 120) + rng.integers(-9, 10, (side, side, 3))
    picture = Image.fromarray(noisy.astype(np.uint8))
    ImageDraw.Draw(picture).ellipse((side // 4, side // 4, side * 3 // 4, side * 3 // 4), "navy")
    alpha = pixels(draw({"referenceBox": "originalImage"}, picture))[:, :, 3]
    assert CLEAR == alpha[2, 2]
    assert 255 == alpha[side // 2, side // 2]


def test_an_even_picture_has_a_subject_of_doubt() -> None:
    answer = drawn({}, Image.new("RGB", (60, 60), "white"))
    assert float(answer.headers["x-uncertainty-score"]) > 0.5
    assert 255 == pixels(opened(answer.body))[30, 30, 3]


def test_existing_transparency_is_used_when_asked_for() -> None:
    picture = Image.new("RGBA", (60, 60), (0, 0, 0, 0))
    picture.paste((255, 255, 255, 255), (10, 10, 30, 30))
    kept = draw({"keepExistingAlphaChannel": "auto", "referenceBox": "originalImage"}, picture)
    assert (10, 10, 30, 30) == subject_box(kept)
    ignored = draw({"referenceBox": "originalImage"}, picture)  # white on white: nothing to find
    assert (10, 10, 30, 30) != subject_box(ignored)


def test_the_background_is_of_the_colour_that_was_asked_for() -> None:
    picture = draw({"background.color": "00FF00", "padding": "0.1"})
    assert "RGB" == picture.mode
    assert close((0, 255, 0), pixels(picture)[0, 0], 0)


def test_a_half_clear_background_stays_half_clear() -> None:
    assert [0, 0, 255, 128] == pixels(draw({"background.color": "0000FF80"}))[0, 0].tolist()


def test_without_removal_the_colour_fills_only_what_is_free() -> None:
    params = {**KEPT, "background.color": "00FF00", "outputSize": "200x80"}
    picture = pixels(draw(params))
    assert close((0, 255, 0), picture[40, 5], 0)
    assert close(GROUND, picture[2, 100])


def test_an_outline_has_its_colour_and_width() -> None:
    plain = {"padding": "0.25", "background.color": "white"}
    row = pixels(draw({**plain, "outline.color": "00FF00", "outline.width": "0.1"}))[40]
    green = (row[:, 1] > 200) & (row[:, 0] < 90) & (row[:, 2] < 90)
    narrow = pixels(draw({**plain, "outline.color": "00FF00", "outline.width": "0.02"}))[40]
    thin = (narrow[:, 1] > 200) & (narrow[:, 0] < 90) & (narrow[:, 2] < 90)
    assert green.sum() > thin.sum() > 0


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
def test_a_shadow_darkens_the_ground_near_the_subject(mode: str, headers: dict[str, str]) -> None:
    params = {"padding": "0.2", "background.color": "white"}
    with_shadow = pixels(draw({**params, "shadow.mode": mode}, headers=headers))
    darker = pixels(draw(params)) - with_shadow
    assert darker[:, :, 0].max() > 40
    assert close((255, 255, 255), with_shadow[0, 0], 3)


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("direction", "left", "right"),
        ("intensity", "0.1", "1"),
        ("softness", "0", "1"),
        ("spread", "short", "long"),
        ("subjectPose", "flatlay", "upright"),
    ],
)
def test_each_override_changes_the_shadow(name: str, one: str, other: str) -> None:
    params = {"padding": "0.2", "shadow.mode": "ai.auto-with-overrides"}
    pictures = [
        draw({**params, f"shadow.{name}Override": text}, headers=SHADOWS) for text in (one, other)
    ]
    assert difference(*pictures) > 0.3


@pytest.mark.parametrize("mode", ["gaussian", "bokeh"])
def test_blur_takes_the_background_out_of_focus(mode: str) -> None:
    blurred = draw(
        {**KEPT, "background.blur.mode": mode, "background.blur.radius": "0.05"}, stripes()
    )
    before, after = pixels(stripes())[5, :30, 0], pixels(blurred)[5, :30, 0]
    assert after.std() < before.std() / 3


@pytest.mark.parametrize(
    "mode", ["ai.auto", "ai.preserve-hue-and-saturation", "ai.optimize-portrait"]
)
def test_lighting_makes_the_subject_brighter(mode: str) -> None:
    dark = photo().point([level // 2 for level in range(256)] * 3)
    before, after = draw(KEPT, dark), draw({**KEPT, "lighting.mode": mode}, dark)
    assert pixels(after)[:, :, :3].mean() > pixels(before)[:, :, :3].mean()


@pytest.mark.parametrize(
    ("mode", "count"), [("ai.all", 2), ("ai.artificial", 1), ("ai.natural", 1)]
)
def test_texts_are_removed_and_counted(mode: str, count: int) -> None:
    answer = drawn({**KEPT, "textRemoval.mode": mode}, written(10, 90))
    left = (pixels(opened(answer.body))[:, :, 0] < 100).sum()
    assert str(count) == answer.headers["pr-texts-detected"]
    assert left < (pixels(written(10, 90))[:, :, 0] < 100).sum() * (0.05 if count == 2 else 0.8)


def test_ironing_smooths() -> None:
    before, after = draw(KEPT, stripes()), draw({**KEPT, "ironing.mode": "ai.auto"}, stripes())
    assert pixels(after)[5, :30, 0].std() < pixels(before)[5, :30, 0].std()
