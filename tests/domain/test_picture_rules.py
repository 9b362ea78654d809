"""What the upstream would refuse of a picture is refused before the call, and nothing else is."""

import io
import struct

import pytest
from PIL import Image

from gateway.domain.edit import Operation
from gateway.domain.errors import Violation
from gateway.domain.image_header import Format
from gateway.domain.picture_rules import PICTURE_LIMITS, PictureCode, check_picture, too_large

EDIT, SEGMENT = Operation.EDIT, Operation.SEGMENT
MEGABYTE = 1024 * 1024
HEIC = b"\0\0\0\x14ftypheic\0\0\0\0mif1"


def png(width: int = 4, height: int = 4, depth: int = 8) -> bytes:
    """A PNG as far as its header goes."""
    header = struct.pack(">I4sIIBBBBB", 13, b"IHDR", width, height, depth, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + header


def saved(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, kind)
    return buffer.getvalue()


def codes(operation: Operation, data: bytes) -> list[str]:
    return [violation.code for violation in check_picture(operation, "imageFile", data)[1]]


@pytest.mark.parametrize(
    ("operation", "data", "expected"),
    [
        (EDIT, png(), []),
        (EDIT, saved("JPEG"), []),
        (EDIT, saved("WEBP"), []),
        (SEGMENT, png(), []),
        (SEGMENT, HEIC, []),
        (EDIT, HEIC, ["IMAGE_FORMAT"]),
        (EDIT, saved("AVIF"), ["IMAGE_FORMAT"]),
        (SEGMENT, saved("AVIF"), ["IMAGE_FORMAT"]),
        (SEGMENT, saved("GIF"), ["IMAGE_FORMAT"]),
        (EDIT, b"", ["EMPTY_IMAGE"]),
        (EDIT, b"hello", ["NOT_AN_IMAGE"]),
        (EDIT, png()[:20], ["BROKEN_IMAGE"]),
        (EDIT, png(0, 1), ["BROKEN_IMAGE"]),
        (EDIT, png(depth=16), ["IMAGE_DEPTH"]),
        (SEGMENT, png(depth=16), []),
        (EDIT, png(5000, 5000), []),
        (EDIT, png(5001, 1), ["IMAGE_DIMENSIONS"]),
        (EDIT, png(1, 5001), ["IMAGE_DIMENSIONS"]),
        (SEGMENT, png(6000, 6000), []),
        (SEGMENT, png(6001, 1), ["IMAGE_DIMENSIONS"]),
        (EDIT, png(9000, 9000, 16), ["IMAGE_DEPTH", "IMAGE_DIMENSIONS"]),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else None,
)
def test_a_picture_is_refused_for_all_that_is_wrong_with_it(
    operation: Operation, data: bytes, expected: list[str]
) -> None:
    assert expected == codes(operation, data)


@pytest.mark.parametrize(
    ("operation", "size", "expected"),
    [
        (EDIT, 30 * MEGABYTE, []),
        (EDIT, 30 * MEGABYTE + 1, ["IMAGE_TOO_LARGE"]),
        (SEGMENT, 50 * MEGABYTE, []),
        (SEGMENT, 50 * MEGABYTE + 1, ["IMAGE_TOO_LARGE"]),
    ],
)
def test_a_file_may_have_the_stated_megabytes_in_their_larger_meaning(
    operation: Operation, size: int, expected: list[str]
) -> None:
    assert expected == codes(operation, png().ljust(size))
    assert [*expected, "NOT_AN_IMAGE"] == codes(operation, b"x".ljust(size))


def test_a_violation_names_the_field_and_the_limit() -> None:
    _, violations = check_picture(EDIT, "background.imageFile", png(7000, 200))
    text = "has 7000 x 200 pixels; v2/edit takes sides of 5000 at most"
    assert (Violation("background.imageFile", "IMAGE_DIMENSIONS", text),) == violations


def test_a_refused_format_is_named_beside_those_that_are_taken() -> None:
    _, (violation,) = check_picture(EDIT, "imageFile", HEIC)
    assert violation.description == "is a picture in HEIC; v2/edit takes PNG, JPEG, WEBP"


def test_the_header_comes_along_even_where_it_is_refused() -> None:
    header, _ = check_picture(EDIT, "imageFile", png(9000, 10))
    assert header is not None
    assert (Format.PNG, 9000, 10, 8) == (
        header.format,
        header.width,
        header.height,
        header.bit_depth,
    )


@pytest.mark.parametrize("data", [b"", b"junk", png()[:12]])
def test_without_a_header_there_is_a_violation(data: bytes) -> None:
    header, violations = check_picture(EDIT, "imageFile", data)
    assert header is None
    assert len(violations) == 1


def test_a_reader_that_stops_early_gives_the_same_violation() -> None:
    _, violations = check_picture(EDIT, "imageFile", png().ljust(30 * MEGABYTE + 1))
    assert (too_large("imageFile", PICTURE_LIMITS[EDIT].max_bytes),) == violations


def test_every_operation_has_limits_and_every_code_is_its_own_name() -> None:
    assert set(Operation) == set(PICTURE_LIMITS)
    assert [code.name for code in PictureCode] == [code.value for code in PictureCode]
