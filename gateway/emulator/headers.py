"""Reads a picture's header and says what the server refuses about it; pixels are not decoded."""

import io
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

from gateway.emulator.values import Refused, Size

__all__ = ["EDIT_LIMITS", "SEGMENT_LIMITS", "Header", "Limits", "is_heic", "read_header"]

_FORMATS = ("PNG", "JPEG", "WEBP")
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"})
_PNG_DEPTH_AT = 24  # signature 8, chunk length and name 8, width and height 8


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that an endpoint takes of one picture."""

    file_mb: int
    side: int


EDIT_LIMITS = Limits(file_mb=30, side=5000)
SEGMENT_LIMITS = Limits(file_mb=50, side=6000)


@dataclass(frozen=True, slots=True)
class Header:
    """What the first bytes of a picture say."""

    format: str
    size: Size


def is_heic(data: bytes) -> bool:
    """Whether the bytes are of a HEIC picture."""
    return data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS


def read_header(data: bytes, name: str, limits: Limits = EDIT_LIMITS) -> Header:
    """The format and size of a picture; raises `Refused` for one that the server does not take.

    The bytes decide, not the part's content type: clients send PNG labelled as JPEG.
    """
    if len(data) > limits.file_mb * 1024 * 1024:
        raise Refused(400, f"{name} is larger than {limits.file_mb}MB", "image_too_large")
    try:
        picture = Image.open(io.BytesIO(data), formats=_FORMATS)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise Refused(400, f"{name} is too large", "image_too_large") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        raise Refused(400, f"{name} is not a supported image", "invalid_image") from None
    if (picture.format == "PNG" and data[_PNG_DEPTH_AT] > 8) or picture.mode[0] in "IF":
        raise Refused(400, "Images deeper than 8-bit are not supported", "invalid_image")
    size = Size(*picture.size)
    if max(size) > limits.side:
        raise Refused(400, f"{name} is larger than {limits.side}px on a side", "image_too_large")
    return Header(str(picture.format), size)
