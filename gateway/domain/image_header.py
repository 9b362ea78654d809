"""What a picture says of itself in its first bytes: format, width, height, bits a channel.

Pixels are never decoded. Sources: PNG 3rd edition §5 and §11.2.1; ITU-T T.81 annex B for JPEG; RFC 9649
for WebP; ISO/IEC 14496-12 §4.3 for the brands of HEIC and AVIF.
"""

from __future__ import annotations

import enum
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["BrokenHeader", "Buffer", "Format", "ImageHeader", "NotAnImage", "read_header", "sniff"]

Buffer: TypeAlias = bytes | bytearray | memoryview


class Format(enum.StrEnum):
    """Picture formats that are told by their first bytes."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"
    HEIC = "heic"
    AVIF = "avif"
    GIF = "gif"
    TIFF = "tiff"
    BMP = "bmp"
    JP2 = "jp2"
    JXL = "jxl"

    @property
    def media_type(self) -> str:
        """The format's media type, as in a Content-Type header."""
        return f"image/{self.value}"


class NotAnImage(ValueError):
    """The first bytes are of no known picture format."""


class BrokenHeader(ValueError):
    """The first bytes name a picture format, and what follows is not a header of it."""


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """A picture's header. Sides are in pixels, `bit_depth` in bits a channel.

    All three are None for a format that is only recognised: all but PNG, JPEG and WebP.
    """

    format: Format
    width: int | None = None
    height: int | None = None
    bit_depth: int | None = None


def sniff(data: Buffer) -> Format | None:
    """Tell the format by the first bytes, None for no known one."""
    head = bytes(data[:_SNIFFED])
    for magic, found in _MAGIC:
        if head.startswith(magic):
            return found
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Format.WEBP
    if head[4:8] == b"ftyp":
        return _format_of_brands(head)
    # Two letters are too little to go by: the size of the second header has few values.
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADER_SIZES:
        return Format.BMP
    return None


def read_header(data: Buffer) -> ImageHeader:
    """Read the header at the start of `data`.

    Raises NotAnImage when the first bytes are of no known format, and BrokenHeader when those of a
    PNG, JPEG or WebP are cut short, contradict the format or give a side of 0 pixels. Both texts
    complete a sentence that begins with the picture's name. Takes time linear in the header.
    """
    found = sniff(data)
    if found is None:
        raise NotAnImage(_what_else(data))
    reader = _READERS.get(found)
    if reader is None:
        return ImageHeader(found)
    try:
        width, height, bit_depth = reader(memoryview(data))
    except struct.error:
        raise BrokenHeader(f"ends within the header of a {found.name}") from None
    if width == 0 or height == 0:
        raise BrokenHeader(f"is a {found.name} of {width} x {height} pixels")
    return ImageHeader(found, width, height, bit_depth)


# --- magic bytes -------------------------------------------------------------------------------------

_SNIFFED = 256
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", Format.PNG),
    (b"\xff\xd8\xff", Format.JPEG),
    (b"GIF87a", Format.GIF),
    (b"GIF89a", Format.GIF),
    (b"II*\0", Format.TIFF),
    (b"MM\0*", Format.TIFF),
    (b"II+\0", Format.TIFF),
    (b"MM\0+", Format.TIFF),
    (b"\0\0\0\x0cjP  \r\n\x87\n", Format.JP2),
    (b"\xff\x4f\xff\x51", Format.JP2),
    (b"\0\0\0\x0cJXL \r\n\x87\n", Format.JXL),
    (b"\xff\x0a", Format.JXL),
)
_BMP_HEADER_SIZES = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIC_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)

# What is sent by mistake for a picture, and what to say of it.
_MISTAKEN = (
    (b"data:", "is a data: URL; send the bytes that its base64 stands for"),
    (b"iVBORw0KGgo", "is base64 text of a PNG; send the bytes themselves"),
    (b"/9j/", "is base64 text of a JPEG; send the bytes themselves"),
    (b"UklGR", "is base64 text of a WebP; send the bytes themselves"),
    (b"http://", "is a URL, not the bytes of a picture"),
    (b"https://", "is a URL, not the bytes of a picture"),
    (b"%PDF-", "is a PDF document, not a picture"),
    (b"8BPS", "is a Photoshop document; export it as PNG or JPEG"),
    (b"<", "is markup (SVG, XML or HTML), not a picture of pixels"),
    (b"{", "is JSON, not a picture"),
)


def _format_of_brands(head: bytes) -> Format | None:
    """Tell HEIC from AVIF by the `ftyp` box: its major brand, then those that it is compatible with."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))}
    if not brands.isdisjoint(_AVIF_BRANDS):
        return Format.AVIF
    return None if brands.isdisjoint(_HEIC_BRANDS) else Format.HEIC


def _what_else(data: Buffer) -> str:
    head = bytes(data[:_SNIFFED]).lstrip()
    for magic, text in _MISTAKEN:
        if head.startswith(magic):
            return text
    return "does not begin like any known picture format"


# --- headers: (width, height, bits a channel); struct.error where the data ends too early ------------

_PNG_DEPTHS: Mapping[int, tuple[int, ...]] = {  # by colour type
    0: (1, 2, 4, 8, 16),
    2: (8, 16),
    3: (1, 2, 4, 8),
    4: (8, 16),
    6: (8, 16),
}
_LARGEST_PNG_SIDE = 2**31 - 1


def _read_png(data: memoryview) -> tuple[int, int, int]:
    # The checksum is not looked at: a decoder that ignores it may still take the picture.
    length, kind, width, height, depth, colour = struct.unpack_from(">I4sIIBB", data, 8)
    if kind != b"IHDR" or length != 13:
        raise BrokenHeader("is a PNG that does not begin with an IHDR chunk")
    if depth not in _PNG_DEPTHS.get(colour, ()):
        raise BrokenHeader(f"is a PNG of colour type {colour} and bit depth {depth}: there is none")
    if max(width, height) > _LARGEST_PNG_SIDE:
        raise BrokenHeader("is a PNG with a side of more than 2^31-1 pixels")
    return width, height, depth


# The last fill byte and a marker's code. Between segments decoders skip what is not a marker, so we do.
_MARKER = re.compile(rb"\xff([^\x00\xff])")
# Bounds for a hostile file. 30 MB of honest metadata are 480 segments, each of up to 64 KiB.
_MOST_SEGMENTS = 1024
_LONGEST_GAP = 4096
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # not DHT, JPG, DAC
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})  # TEM, RST0 to RST7, SOI
_END_OF_IMAGE = 0xD9
_START_OF_SCAN = 0xDA


def _read_jpeg(data: memoryview) -> tuple[int, int, int]:
    at = 2
    for _ in range(_MOST_SEGMENTS):
        marker = _MARKER.search(data, at, at + _LONGEST_GAP)
        if marker is None:
            raise BrokenHeader(
                "is a JPEG that ends, or turns into something else, before its frame"
            )
        code, at = marker[1][0], marker.end()
        if code in _START_OF_FRAME:
            precision, height, width = struct.unpack_from(">BHH", data, at + 2)
            return width, height, precision
        if code in (_END_OF_IMAGE, _START_OF_SCAN):
            raise BrokenHeader("is a JPEG without a frame header")
        if code not in _WITHOUT_LENGTH:
            (length,) = struct.unpack_from(">H", data, at)
            if length < 2:
                raise BrokenHeader("is a JPEG with a segment shorter than its own length field")
            at += length
    raise BrokenHeader(f"is a JPEG with {_MOST_SEGMENTS} segments and no frame header among them")


def _read_webp(data: memoryview) -> tuple[int, int, int]:
    size, kind = struct.unpack_from("<I4x4s", data, 4)
    if size + 8 > len(data):
        raise BrokenHeader("is a WebP that was cut short")
    match kind:
        case b"VP8 ":
            frame, start, width, height = struct.unpack_from("<B2x3sHH", data, 20)
            if frame & 1 or start != b"\x9d\x01\x2a":
                raise BrokenHeader("is a WebP whose VP8 stream does not begin with a key frame")
            return width & 0x3FFF, height & 0x3FFF, 8
        case b"VP8L":
            signature, bits = struct.unpack_from("<BI", data, 20)
            if signature != 0x2F or bits >> 29:
                raise BrokenHeader("is a WebP whose VP8L stream has no known signature or version")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, 8
        case b"VP8X":
            width, height = struct.unpack_from("<4x3s3s", data, 20)
            return int.from_bytes(width, "little") + 1, int.from_bytes(height, "little") + 1, 8
        case _:
            raise BrokenHeader("is a WebP whose first chunk is none of VP8, VP8L, VP8X")


_READERS: Mapping[Format, Callable[[memoryview], tuple[int, int, int]]] = {
    Format.PNG: _read_png,
    Format.JPEG: _read_jpeg,
    Format.WEBP: _read_webp,
}
