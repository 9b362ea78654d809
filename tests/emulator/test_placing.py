"""Where the subject lies and how large the output is: facts in the pixels."""

import pytest
from PIL import Image

from gateway.emulator import Refused
from tests.emulator.support import close, draw, encoded, photo, pixels, subject_box

KEPT = {"removeBackground": "false"}


def test_a_subject_fills_the_output_by_default() -> None:
    assert (20, 0, 100, 80) == subject_box(draw())


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
