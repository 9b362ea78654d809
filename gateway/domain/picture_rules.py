"""Which pictures the upstream takes, so that the others are refused before a call is made.

Limits are those that the vendor states for each of its two calls. Where a statement can be read in two
ways, the wider reading stands: we never refuse what the upstream would take.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gateway.domain.edit import Operation
from gateway.domain.errors import Violation
from gateway.domain.image_header import (
    BrokenHeader,
    Buffer,
    Format,
    ImageHeader,
    NotAnImage,
    read_header,
)

__all__ = ["PICTURE_LIMITS", "PictureCode", "PictureLimits", "check_picture", "too_large"]


class PictureCode(enum.StrEnum):
    """Why a picture is refused: stable codes. The comment is the documentation."""

    EMPTY_IMAGE = "EMPTY_IMAGE"  # 0 bytes
    IMAGE_TOO_LARGE = "IMAGE_TOO_LARGE"  # more bytes than the call takes
    NOT_AN_IMAGE = "NOT_AN_IMAGE"  # of no known picture format
    BROKEN_IMAGE = "BROKEN_IMAGE"  # of a known format, with a header that no picture has
    IMAGE_FORMAT = "IMAGE_FORMAT"  # of a format that the call does not take
    IMAGE_DEPTH = "IMAGE_DEPTH"  # more bits a channel than the call takes
    IMAGE_DIMENSIONS = "IMAGE_DIMENSIONS"  # a side longer than the call takes


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """What one of the upstream's calls takes, all bounds inclusive.

    `max_bytes` of the file, `max_side` in pixels, `max_bit_depth` in bits a channel (None: no bound is
    known).
    """

    formats: tuple[Format, ...]
    max_bytes: int
    max_side: int
    max_bit_depth: int | None


# The vendor says "MB". We take 2^20 bytes, the larger of the two meanings.
_MB = 1 << 20

PICTURE_LIMITS: Mapping[Operation, PictureLimits] = {
    Operation.EDIT: PictureLimits(
        formats=(Format.PNG, Format.JPEG, Format.WEBP),
        max_bytes=30 * _MB,
        max_side=5000,
        max_bit_depth=8,
    ),
    Operation.SEGMENT: PictureLimits(
        formats=(Format.PNG, Format.JPEG, Format.WEBP, Format.HEIC),
        max_bytes=50 * _MB,
        max_side=6000,
        max_bit_depth=None,
    ),
}


def check_picture(
    operation: Operation, field: str, data: Buffer
) -> tuple[ImageHeader | None, tuple[Violation, ...]]:
    """Read the header of the picture at wire name `field`, and name all that is wrong with it.

    The header is None where it cannot be read; then there is a violation that says so.
    """
    if not data:
        return None, (Violation(field, PictureCode.EMPTY_IMAGE, "is a picture of 0 bytes"),)
    limits = PICTURE_LIMITS[operation]
    size = (too_large(field, limits.max_bytes),) if len(data) > limits.max_bytes else ()
    try:
        header = read_header(data)
    except NotAnImage as error:
        return None, (*size, Violation(field, PictureCode.NOT_AN_IMAGE, str(error)))
    except BrokenHeader as error:
        return None, (*size, Violation(field, PictureCode.BROKEN_IMAGE, str(error)))
    found = (Violation(field, code, text) for code, text in _refusals(operation, header))
    return header, (*size, *found)


def too_large(field: str, max_bytes: int) -> Violation:
    """The violation of a picture of more than `max_bytes`; a reader that stops early gives it too."""
    text = f"is a picture of more than {max_bytes} bytes"
    return Violation(field, PictureCode.IMAGE_TOO_LARGE, text)


def _refusals(operation: Operation, header: ImageHeader) -> Iterator[tuple[PictureCode, str]]:
    limits = PICTURE_LIMITS[operation]
    if header.format not in limits.formats:
        taken = ", ".join(one.name for one in limits.formats)
        text = f"is a picture in {header.format.name}; {operation} takes {taken}"
        yield PictureCode.IMAGE_FORMAT, text
    depth = limits.max_bit_depth
    if depth is not None and (header.bit_depth or 0) > depth:
        text = f"has {header.bit_depth} bits a channel; {operation} takes {depth} at most"
        yield PictureCode.IMAGE_DEPTH, text
    side = limits.max_side
    if max(header.width or 0, header.height or 0) > side:
        text = f"has {header.width} x {header.height} pixels; {operation} takes sides of {side} at most"
        yield PictureCode.IMAGE_DIMENSIONS, text
