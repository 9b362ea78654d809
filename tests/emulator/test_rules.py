"""The rules between parameters that the server enforces."""

import pytest

from gateway.emulator import Refused
from tests.emulator.support import encoded, photo, read, refusal

SHADOWS = {"pr-ai-shadows-model-version": "2026-04-15"}


PNG = encoded(photo())


HUGE = encoded(photo((1001, 1000)))


@pytest.mark.parametrize(
    ("params", "headers", "named"),
    [
        ({"imageFromPrompt.prompt": "x"}, {}, "imageFromPrompt.prompt"),
        ({"background.prompt": "x", "background.imageUrl": "http://x"}, {}, "background.imageUrl"),
        ({"background.scaling": "fit"}, {}, "background.scaling"),
        (
            {"removeBackground": "false", "background.imageUrl": "http://x"},
            {},
            "background.imageUrl",
        ),
        (
            {"removeBackground": "false", "background.guidance.scale": "1"},
            {},
            "background.guidance.scale",
        ),
        (
            {"removeBackground": "false", "ignorePaddingAndSnapOnCroppedSides": "true"},
            {},
            "ignorePaddingAndSnapOnCroppedSides",
        ),
        ({"maxWidth": "100"}, {}, "maxWidth"),
        ({"shadow.mode": "ai.soft"}, SHADOWS, "shadow/mode"),
        ({"shadow.mode": "ai.preset-soft"}, {}, "shadow/mode"),
        ({"colorSpace": "original", "padding": "0.1"}, {}, "padding"),
        ({"colorSpace": "original", "export.format": "webp"}, {}, "export.format"),
        ({"colorSpace": "original", "export.dpi": "300"}, {}, "export.dpi"),
        (
            {"beautify.mode": "ai.auto", "beautify.onSubjectMismatch": "error"},
            {},
            "onSubjectMismatch",
        ),
        ({"segmentation.prompt": "a cup"}, {"pr-hd-background-removal": "auto"}, "segmentation"),
    ],
)
def test_parameters_that_exclude_each_other_are_refused_by_name(
    params: dict[str, str], headers: dict[str, str], named: str
) -> None:
    status, message = refusal(params, headers)
    assert 400 == status
    assert named in message


@pytest.mark.parametrize(
    ("params", "headers"),
    [
        ({"removeBackground": "false", "referenceBox": "originalImage"}, {}),
        ({"removeBackground": "false", "background.color": "red"}, {}),
        ({"outputSize": "originalImage", "maxWidth": "100"}, {}),
        ({"shadow.mode": "ai.auto-with-overrides", "shadow.spreadOverride": "long"}, SHADOWS),
        ({"shadow.directionOverride": "left"}, {}),
        ({"colorSpace": "original", "padding": "0", "export.format": "png"}, {}),
        ({"beautify.mode": "ai.food", "beautify.onSubjectMismatch": "error"}, {}),
        ({"upscale.mode": "ai.slow"}, {}),
    ],
)
def test_parameters_that_go_together_are_taken(
    params: dict[str, str], headers: dict[str, str]
) -> None:
    assert "edit" == read(params, headers=headers).operation


def test_no_picture_is_refused() -> None:
    with pytest.raises(Refused, match="Please provide an image"):
        read({}, {})


def test_beautify_without_a_cut_out_breaks_the_server() -> None:
    status, message = refusal({"beautify.mode": "ai.auto", "removeBackground": "false"})
    assert (500, True) == (status, message.startswith("An unexpected error occurred."))


@pytest.mark.parametrize(
    ("mode", "downscale", "taken"),
    [
        ("ai.fast", None, False),
        ("ai.fast", "never", False),
        ("ai.fast", "always", True),
        ("ai.slow", "skipUpscaleIfNotNeeded", True),
    ],
)
def test_only_pictures_under_the_cap_are_scaled_up(
    mode: str, downscale: str | None, *, taken: bool
) -> None:
    params = {"upscale.mode": mode} | (
        {"upscale.downscaleIfNeeded": downscale} if downscale else {}
    )
    if taken:
        assert mode == read(params, {"imageFile": HUGE}).text("upscale.mode")
    else:
        with pytest.raises(Refused, match="input pixels"):
            read(params, {"imageFile": HUGE})
