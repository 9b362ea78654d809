"""Pictures that the upstream would not take are refused by their headers, at both doors."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.asks import (
    Ask,
    Found,
    ask_rest,
    edit_of,
    rest_violations,
    rpc_violations,
    segment_of,
    spent,
)
from tests.e2e.harness import World
from tests.e2e.odd_pictures import GIF, HEIC, flat, jpeg, png_header
from tests.support.pictures import png

pytestmark = pytest.mark.asyncio(loop_scope="module")

CASES = [
    ("empty", b"", ["EMPTY_IMAGE"]),
    ("text", b"this is no picture", ["NOT_AN_IMAGE"]),
    ("html", b"<!doctype html><p>404", ["NOT_AN_IMAGE"]),
    ("gif", GIF, ["IMAGE_FORMAT"]),
    ("cut off", png()[:20], ["BROKEN_IMAGE"]),
]
EDIT_CASES = [
    *CASES,
    ("heic", HEIC, ["IMAGE_FORMAT"]),
    ("16 bit", png_header(8, 8, 16), ["IMAGE_DEPTH"]),
    ("16 bit grey", flat(8, 8, "I;16"), ["IMAGE_DEPTH"]),
    ("wide", flat(5001, 1), ["IMAGE_DIMENSIONS"]),
    ("high", jpeg(1, 5001), ["IMAGE_DIMENSIONS"]),
    ("both", png_header(5001, 8, 16), ["IMAGE_DEPTH", "IMAGE_DIMENSIONS"]),
]
SLOTS = ("imageFile", "background.imageFile", "layers.a.image.imageFile")


async def both(w: World, ask: Ask) -> tuple[Found, Found]:
    return rest_violations(await ask_rest(w, ask)), await rpc_violations(w, ask)


@pytest.mark.parametrize("slot", SLOTS)
@pytest.mark.parametrize(
    ("data", "codes"), [c[1:] for c in EDIT_CASES], ids=[c[0] for c in EDIT_CASES]
)
async def test_a_picture_of_an_edit_is_refused_in_its_slot(
    shared: World, slot: str, data: bytes, codes: list[str]
) -> None:
    wrong = [(slot, code) for code in codes]
    assert (wrong, wrong) == await both(shared, edit_of().also(files={slot: data}))
    assert 0 == spent(shared)


@pytest.mark.parametrize(
    ("data", "codes"),
    [c[1:] for c in CASES] + [(flat(6001, 1), ["IMAGE_DIMENSIONS"])],
    ids=[c[0] for c in CASES] + ["wide"],
)
async def test_a_picture_to_cut_out_is_refused(
    shared: World, data: bytes, codes: list[str]
) -> None:
    wrong = [("image_file", code) for code in codes]
    assert (wrong, wrong) == await both(shared, segment_of(picture=data))
    assert 0 == spent(shared)


async def test_a_picture_of_more_than_30_mb_is_refused(shared: World) -> None:
    """In a form; a message holds 3 MiB of pictures at most."""
    data = png().ljust((30 << 20) + 1, b"\0")
    found = rest_violations(await ask_rest(shared, edit_of({}, {"imageFile": data})))
    assert [("imageFile", "IMAGE_TOO_LARGE")] == found
    assert 0 == spent(shared)


@pytest.mark.parametrize(("mode", "sides"), [("ai.fast", (1001, 1000)), ("ai.slow", (513, 512))])
@pytest.mark.parametrize("encode", [flat, jpeg], ids=["png", "jpeg"])
async def test_too_many_pixels_to_scale_up_are_refused_though_the_file_is_small(
    shared: World, mode: str, sides: tuple[int, int], encode: Callable[[int, int], bytes]
) -> None:
    wrong = [("upscale.mode", "UPSCALE_TOO_LARGE")]
    ask = edit_of({"upscale.mode": mode}, {"imageFile": encode(*sides)})
    assert (wrong, wrong) == await both(shared, ask)
    assert 0 == spent(shared)
