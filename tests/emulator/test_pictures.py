"""The pictures that come out: facts in their pixels."""

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageDraw

from gateway.emulator import Refused
from gateway.emulator.drawing import draw_edit
from gateway.emulator.headers import read_header
from tests.emulator.support import (
    GROUND,
    SUBJECT,
    draw,
    drawn,
    encoded,
    opened,
    photo,
    pixels,
    read,
)

CLEAR = 0
SHADOWS = {"pr-ai-shadows-model-version": "2026-04-15"}
KEPT = {"removeBackground": "false"}


def close(expected: tuple[int, ...], actual: np.ndarray, by: int = 12) -> bool:
    return bool(np.abs(np.asarray(expected) - actual[: len(expected)]).max() <= by)


def subject_box(picture: Image.Image) -> tuple[int, int, int, int] | None:
    return picture.getchannel("A").point([255 * (level > 127) for level in range(256)]).getbbox()


def difference(one: Image.Image, other: Image.Image) -> float:
    return float(np.abs(pixels(one) - pixels(other)).mean())


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


def test_a_subject_fills_the_output_by_default() -> None:
    assert (20, 0, 100, 80) == subject_box(draw())


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


@pytest.mark.parametrize(
    ("params", "box"),
    [
        ({"padding": "10px"}, (20, 10, 180, 90)),
        ({"padding": "10%"}, (20, 10, 180, 90)),
        ({"margin": "10px", "padding": "10px"}, (40, 20, 160, 80)),
        ({"padding": "10px", "paddingTop": "40px"}, (50, 40, 150, 90)),
        ({"padding": "20px", "horizontalAlignment": "left"}, (20, 20, 140, 80)),
        ({"paddingLeft": "100px", "verticalAlignment": "bottom"}, (100, 50, 200, 100)),
        ({"scaling": "fill"}, (0, 0, 200, 100)),
    ],
)
def test_the_subject_lies_where_margin_padding_and_alignment_put_it(
    params: dict[str, str], box: tuple[int, int, int, int]
) -> None:
    """The subject is 40 x 20 pixels, the output 200 x 100."""
    picture = photo((120, 80), (40, 30, 80, 50))
    assert box == subject_box(draw({"outputSize": "200x100", **params}, picture))


def test_padding_in_pixels_is_exact() -> None:
    picture = photo((100, 100), (30, 30, 70, 70))
    assert (25, 25, 175, 175) == subject_box(
        draw({"outputSize": "200x200", "padding": "25px"}, picture)
    )


def test_padding_is_a_ratio_of_what_the_margins_leave() -> None:
    picture = photo((100, 100), (30, 30, 70, 70))
    params = {"outputSize": "200x200", "margin": "0.1", "padding": "25%"}
    assert (60, 60, 140, 140) == subject_box(draw(params, picture))


def test_padding_is_ignored_on_the_side_that_cuts_the_subject_off_and_margin_is_not() -> None:
    portrait = photo((100, 100), (30, 30, 70, 100))
    params = {"outputSize": "100x100", "padding": "0.1"}
    snapped = subject_box(draw(params, portrait))
    assert snapped is not None
    assert 100 == snapped[3]
    kept = subject_box(draw({**params, "ignorePaddingAndSnapOnCroppedSides": "false"}, portrait))
    assert kept is not None
    assert 90 == kept[3]
    margin = subject_box(draw({**params, "margin": "0.1"}, portrait))
    assert margin is not None
    assert 90 == margin[3]


def test_paddings_that_leave_no_room_are_refused() -> None:
    with pytest.raises(Refused, match="leave no horizontal room"):
        draw({"padding": "60px"})


@pytest.mark.parametrize(
    ("params", "size"),
    [
        ({}, (120, 80)),
        ({"outputSize": "originalImage"}, (120, 80)),
        ({"outputSize": "50x70"}, (50, 70)),
        ({"outputSize": "croppedSubject"}, (40, 40)),
        ({"outputSize": "originalImage", "maxWidth": "60"}, (60, 40)),
        ({"outputSize": "originalImage", "maxHeight": "60"}, (90, 60)),
        ({"outputSize": "originalImage", "maxWidth": "600"}, (120, 80)),
        ({"upscale.mode": "ai.fast"}, (480, 320)),
        ({"upscale.mode": "ai.slow", **KEPT}, (480, 320)),
        ({"flatLay.mode": "ai.auto"}, (1024, 1024)),
        (
            {"ghostMannequin.mode": "ai.auto", "ghostMannequin.size": "LANDSCAPE_HD_4_3"},
            (1024, 768),
        ),
        ({"virtualModel.mode": "ai.auto"}, (683, 1024)),
        ({"virtualModel.mode": "ai.auto", "virtualModel.quality": "advanced"}, (1366, 2048)),
    ],
)
def test_the_output_has_the_size_that_was_asked_for(
    params: dict[str, str], size: tuple[int, int]
) -> None:
    assert size == draw(params).size


@pytest.mark.parametrize("size", ["0x10", "90000x90000"])
def test_an_absurd_output_is_refused(size: str) -> None:
    with pytest.raises(Refused, match="outputSize"):
        draw({"outputSize": size})


def test_a_premium_model_is_about_4_k() -> None:
    params = {"virtualModel.mode": "ai.auto", "virtualModel.quality": "premium"}
    params |= {"export.format": "jpeg"}
    assert (2732, 4096) == draw(params).size


@pytest.mark.parametrize(("scaling", "corner"), [("fill", (0, 0, 255)), ("fit", (255, 255, 0))])
def test_a_background_picture_covers_or_fits(scaling: str, corner: tuple[int, int, int]) -> None:
    blue = encoded(Image.new("RGB", (40, 80), (0, 0, 255)))
    params = {"background.scaling": scaling, "background.color": "yellow", "padding": "0.2"}
    picture = draw(params, files={"background.imageFile": blue})
    assert close(corner, pixels(picture)[1, 1], 0)


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


def stripes() -> Image.Image:
    picture = np.zeros((80, 120, 3), dtype=np.uint8)
    picture[:, ::4] = 255
    image = Image.fromarray(picture)
    image.paste(SUBJECT, (40, 20, 80, 60))
    return image


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


def written(*rows: int) -> Image.Image:
    picture = Image.new("RGB", (300, 200), "white")
    for row in rows:
        ImageDraw.Draw(picture).text(
            (20, row), "Sale today: buy three, pay two", "black", font_size=16
        )
    return picture


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


GENERATIVE = [
    ({"background.prompt": "a beach"}, "background.seed"),
    ({"beautify.mode": "ai.auto"}, "beautify.seed"),
    ({**KEPT, "expand.mode": "ai.auto", "outputSize": "300x100"}, "expand.seed"),
    ({"uncrop.mode": "ai.auto"}, "uncrop.seed"),
    ({**KEPT, "editWithAI.mode": "ai.auto", "editWithAI.prompt": "night"}, "editWithAI.seed"),
    (
        {**KEPT, "describeAnyChange.mode": "ai.auto", "describeAnyChange.prompt": "night"},
        "describeAnyChange.seed",
    ),
]


@pytest.mark.parametrize(("params", "seed"), GENERATIVE)
def test_a_seed_repeats_a_picture_and_another_changes_it(params: dict[str, str], seed: str) -> None:
    cropped = photo((120, 80), (40, 20, 80, 80))
    first, again, other = (
        drawn({**params, seed: number}, cropped).body for number in ("7", "7", "8")
    )
    assert first == again
    assert difference(opened(first), opened(other)) > 0.1


@pytest.mark.parametrize(
    "params",
    [params for params, _ in GENERATIVE]
    + [{f"{name}.mode": "ai.auto"} for name in ("flatLay", "ghostMannequin", "virtualModel")],
)
def test_without_a_seed_each_picture_is_new(params: dict[str, str]) -> None:
    cropped = photo((120, 80), (40, 20, 80, 80))
    assert drawn(params, cropped).body != drawn(params, cropped).body


@pytest.mark.parametrize(
    ("name", "more"),
    [("background", {}), ("editWithAI", {"editWithAI.mode": "ai.auto", **KEPT})],
)
def test_another_prompt_is_another_picture(name: str, more: dict[str, str]) -> None:
    one, other = (
        draw({**more, f"{name}.prompt": prompt, f"{name}.seed": "1"})
        for prompt in ("a forest", "a bright kitchen")
    )
    assert difference(one, other) > 3


def test_the_background_seed_is_told_whether_it_was_set_or_not() -> None:
    assert (
        "7"
        == drawn({"background.prompt": "x", "background.seed": "7"}).headers[
            "pr-ai-background-seed"
        ]
    )
    assert drawn({"background.prompt": "x"}).headers["pr-ai-background-seed"].isdigit()


def test_a_told_seed_draws_the_same_again() -> None:
    first = drawn({"background.prompt": "x"})
    seed = first.headers["pr-ai-background-seed"]
    assert first.body == drawn({"background.prompt": "x", "background.seed": seed}).body


def test_expand_fills_what_is_clear() -> None:
    picture = draw({**KEPT, "outputSize": "300x100", "expand.mode": "ai.auto"})
    assert close((255,), pixels(picture)[:, :, 3].min(keepdims=True)[0], 0)
    assert close(GROUND, pixels(picture)[50, 5], 40)


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("virtualModel.model.preset.name", "avery", "jackson"),
        ("virtualModel.scene.preset.name", "beach", "forest"),
        ("virtualModel.pose", "standing", "seated"),
    ],
)
def test_a_model_is_drawn_as_asked_for(name: str, one: str, other: str) -> None:
    texts = {"virtualModel.mode": "ai.auto", "virtualModel.pose": "standing"}
    texts |= {"virtualModel.scene.preset.name": "beach"}
    pictures = [draw({**texts, name: text}) for text in (one, other)]
    assert difference(*pictures) > 1


@pytest.mark.parametrize(
    ("format_", "name"),
    [("png", "PNG"), ("jpeg", "JPEG"), ("jpg", "JPEG"), ("webp", "WEBP"), ("avif", "AVIF")],
)
def test_each_format_is_written(format_: str, name: str) -> None:
    answer = drawn({"export.format": format_})
    assert name == opened(answer.body).format
    assert f"image/{name.lower()}" == answer.content_type


def test_a_jpeg_has_a_ground_where_it_cannot_be_clear() -> None:
    picture = draw({"export.format": "jpg", "padding": "0.2"})
    assert close((255, 255, 255), pixels(picture)[0, 0])


@pytest.mark.parametrize("format_", ["png", "jpeg"])
def test_resolution_is_written(format_: str) -> None:
    dpi = draw({"export.format": format_, "export.dpi": "300"}).info["dpi"]
    assert [300, 300] == [round(value) for value in dpi]


def test_resolution_goes_into_the_exif_of_webp() -> None:
    assert 300 == draw({"export.format": "webp", "export.dpi": "300"}).getexif()[0x011A]


@pytest.mark.parametrize(("mode", "kept"), [("exifSubset", "me"), ("never", None)])
def test_copyright_is_kept_when_asked_for(mode: str, kept: str | None) -> None:
    exif = Image.Exif()
    exif[0x8298] = "me"
    data = encoded(photo(), "JPEG", exif=exif)
    picture = draw({"preserveMetadata": mode, "export.format": "jpeg"}, data)
    assert kept == picture.getexif().get(0x8298)


def test_the_profile_of_the_original_is_kept_when_asked_for() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = encoded(photo(), "PNG", icc_profile=profile)
    assert profile == draw({"colorSpace": "original"}, data).info["icc_profile"]
    assert "icc_profile" not in draw({}, data).info


def test_a_picture_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert (80, 120) == draw(KEPT, encoded(photo(), "JPEG", exif=exif)).size


def test_the_sandbox_puts_a_watermark_on_all_of_it() -> None:
    plain, marked = drawn(), drawn(watermark=True)
    assert plain.body != marked.body
    big = Image.new("RGB", (400, 400), "white")
    changed = pixels(opened(drawn(KEPT, big, watermark=True).body))[:, :, 0] != 255
    for quarter in (
        changed[:200, :200],
        changed[200:, :200],
        changed[:200, 200:],
        changed[200:, 200:],
    ):
        assert quarter.any()


def test_a_prompt_makes_a_picture_of_the_size_of_its_name() -> None:
    params = {"imageFromPrompt.prompt": "a cup", "imageFromPrompt.size": "PORTRAIT_4_3"}
    one, other = (
        opened(
            draw_edit(read({**params, "imageFromPrompt.seed": seed}, {}), {}, watermark=False).body
        )
        for seed in ("1", "2")
    )
    assert (768, 1024) == one.size == other.size
    assert difference(one, other) > 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"no picture", "imageFile is not a supported image"),
        (encoded(photo(), "GIF"), "imageFile is not a supported image"),
        (encoded(Image.new("I;16", (9, 9))), "Images deeper than 8-bit are not supported"),
        (encoded(Image.new("1", (5001, 1))), "imageFile is larger than 5000px on a side"),
        (encoded(photo())[:90], "imageFile is not a supported image"),
    ],
)
def test_what_the_server_does_not_take_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(Refused) as refused:
        draw({}, data)
    assert (400, message) == (refused.value.status, refused.value.message)


def test_a_file_beyond_30_megabytes_is_refused() -> None:
    with pytest.raises(Refused, match="larger than 30MB"):
        read_header(encoded(photo()) + bytes(30 * 1024 * 1024), "imageFile")


def test_a_png_labelled_as_anything_is_sniffed() -> None:
    assert "PNG" == read_header(encoded(photo()), "imageFile").format
