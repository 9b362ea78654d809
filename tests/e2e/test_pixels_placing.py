"""Where the subject lies and how large the output is: facts in the pixels, through both doors."""

from __future__ import annotations

import pytest

from gateway.domain.edit import Operation
from tests.e2e.asks import Ask, edit_of, segment_of
from tests.e2e.draw import Draw
from tests.e2e.odd_pictures import HEIC, flat, jpeg
from tests.emulator.support import encoded, photo, subject_box

pytestmark = pytest.mark.asyncio(loop_scope="module")

FLAT = encoded(photo((120, 80), (40, 30, 80, 50)))  # a subject of 40 x 20
SQUARE = encoded(photo((100, 100), (30, 30, 70, 70)))
CUT_OFF = encoded(photo((100, 100), (30, 30, 70, 100)))  # at the lower edge
KEPT = {"removeBackground": "false"}


@pytest.mark.parametrize(
    ("texts", "box"),
    [
        ({}, (0, 0, 200, 100)),
        ({"padding": "10px"}, (20, 10, 180, 90)),
        ({"padding": "10%"}, (20, 10, 180, 90)),
        ({"padding": "0.1"}, (20, 10, 180, 90)),
        ({"margin": "10px", "padding": "10px"}, (40, 20, 160, 80)),
        ({"padding": "10px", "paddingTop": "40px"}, (50, 40, 150, 90)),
        ({"paddingRight": "100px"}, (0, 25, 100, 75)),
        ({"marginLeft": "0.4"}, (80, 20, 200, 80)),
        ({"padding": "20px", "horizontalAlignment": "left"}, (20, 20, 140, 80)),
        ({"padding": "20px", "horizontalAlignment": "right"}, (60, 20, 180, 80)),
        ({"paddingLeft": "100px", "verticalAlignment": "top"}, (100, 0, 200, 50)),
        ({"paddingLeft": "100px", "verticalAlignment": "bottom"}, (100, 50, 200, 100)),
        ({"referenceBox": "originalImage", "outputSize": "240x160"}, (80, 60, 160, 100)),
    ],
)
async def test_the_subject_lies_where_margin_padding_and_alignment_put_it(
    draw: Draw, texts: dict[str, str], box: tuple[int, int, int, int]
) -> None:
    """The subject is 40 x 20 pixels, the output 200 x 100 if nothing else is said."""
    ask = edit_of({"outputSize": "200x100", **texts}, {"imageFile": FLAT})
    assert box == subject_box(await draw(ask))


@pytest.mark.parametrize(
    ("scaling", "box"), [("fit", (50, 0, 150, 100)), ("fill", (0, 0, 200, 100))]
)
async def test_scaling_fits_or_fills(
    draw: Draw, scaling: str, box: tuple[int, int, int, int]
) -> None:
    ask = edit_of({"outputSize": "200x100", "scaling": scaling}, {"imageFile": SQUARE})
    assert box == subject_box(await draw(ask))


async def test_padding_is_a_ratio_of_what_the_margins_leave(draw: Draw) -> None:
    texts = {"outputSize": "200x200", "margin": "0.1", "padding": "25%"}
    assert (60, 60, 140, 140) == subject_box(await draw(edit_of(texts, {"imageFile": SQUARE})))


@pytest.mark.parametrize(("ignored", "bottom"), [("true", 100), ("false", 90)])
async def test_padding_is_ignored_on_the_side_that_cuts_the_subject_off_unless_it_is_switched_off(
    draw: Draw, ignored: str, bottom: int
) -> None:
    texts = {"padding": "0.1", "ignorePaddingAndSnapOnCroppedSides": ignored}
    box = subject_box(await draw(edit_of(texts, {"imageFile": CUT_OFF})))
    assert box is not None
    assert bottom == box[3]


@pytest.mark.parametrize(
    ("texts", "size"),
    [
        ({}, (120, 80)),
        ({"outputSize": "originalImage"}, (120, 80)),
        ({"outputSize": "50x70"}, (50, 70)),
        ({"outputSize": "croppedSubject"}, (40, 20)),
        ({"outputSize": "originalImage", "maxWidth": "60"}, (60, 40)),
        ({"outputSize": "originalImage", "maxHeight": "60"}, (90, 60)),
        ({"outputSize": "originalImage", "maxWidth": "600"}, (120, 80)),
        ({"outputSize": "croppedSubject", "maxWidth": "20"}, (20, 10)),
    ],
)
async def test_the_output_has_the_size_that_was_asked_for(
    draw: Draw, texts: dict[str, str], size: tuple[int, int]
) -> None:
    assert size == (await draw(edit_of(texts, {"imageFile": FLAT}))).size


@pytest.mark.parametrize(
    "ask",
    [
        segment_of(picture=HEIC),
        segment_of(picture=flat(6000, 1)),
        edit_of({"outputSize": "16x16"}, {"imageFile": flat(5000, 1)}),
        edit_of({"outputSize": "16x16"}, {"imageFile": jpeg(1, 5000)}),
        edit_of({"upscale.mode": "ai.slow", "outputSize": "16x16"}, {"imageFile": flat(512, 512)}),
        edit_of({"upscale.mode": "ai.fast", "outputSize": "16x16"}, {"imageFile": flat(1000, 100)}),
    ],
    ids=["heic", "6000 wide", "5000 wide", "5000 high", "ai.slow", "ai.fast"],
)
async def test_the_largest_picture_that_the_upstream_takes_is_not_refused(
    draw: Draw, ask: Ask
) -> None:
    width, height = (await draw(ask)).size
    assert (16, 16) == (width, height) or ask.operation is Operation.SEGMENT
