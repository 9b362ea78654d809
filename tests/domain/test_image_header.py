"""Headers of pictures: real ones agree with Pillow, and nothing hostile gets past the two errors."""

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from gateway.domain.image_header import (
    BrokenHeader,
    Format,
    ImageHeader,
    NotAnImage,
    read_header,
    sniff,
)

SIZE = (37, 23)
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


def saved(mode: str, kind: str, **options: object) -> bytes:
    """A picture of 37 x 23 pixels, made by Pillow."""
    buffer = io.BytesIO()
    Image.new(mode, SIZE).save(buffer, kind, **options)
    return buffer.getvalue()


def palette(colours: int) -> bytes:
    """A PNG with a palette; its size decides the bits that a pixel takes."""
    buffer = io.BytesIO()
    picture = Image.new("P", SIZE)
    picture.putpalette(bytes(3 * colours), "RGB")
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def ihdr(width: int, height: int, depth: int, colour: int) -> bytes:
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return PNG_MAGIC + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))


def segment(code: int, payload: bytes = b"") -> bytes:
    return struct.pack(">BBH", 0xFF, code, len(payload) + 2) + payload


def frame(width: int = 37, height: int = 23, precision: int = 8, code: int = 0xC0) -> bytes:
    return segment(code, struct.pack(">BHHB", precision, height, width, 0))


def webp(kind: bytes, body: bytes) -> bytes:
    chunk = b"WEBP" + kind + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(chunk)) + chunk


def boxed(major: bytes, *brands: bytes) -> bytes:
    body = major + bytes(4) + b"".join(brands)
    return struct.pack(">I", len(body) + 8) + b"ftyp" + body


REAL: dict[str, tuple[int, Callable[[], bytes]]] = {
    "png 1 bit": (1, lambda: saved("1", "PNG")),
    "png palette of 2 bits": (2, lambda: palette(4)),
    "png palette": (8, lambda: palette(256)),
    "png grey": (8, lambda: saved("L", "PNG")),
    "png grey 16": (16, lambda: saved("I;16", "PNG")),
    "png grey alpha": (8, lambda: saved("LA", "PNG")),
    "png": (8, lambda: saved("RGB", "PNG")),
    "png alpha": (8, lambda: saved("RGBA", "PNG")),
    "png animated": (8, lambda: saved("RGB", "PNG", save_all=True, append_images=[Image.new("RGB", SIZE, "red")])),
    "jpeg": (8, lambda: saved("RGB", "JPEG")),
    "jpeg grey": (8, lambda: saved("L", "JPEG")),
    "jpeg cmyk": (8, lambda: saved("CMYK", "JPEG")),
    "jpeg progressive": (8, lambda: saved("RGB", "JPEG", progressive=True)),
    "jpeg with metadata": (
        8,
        lambda: saved(
            "RGB", "JPEG", icc_profile=b"\xff\xc0" * 60_000, exif=b"Exif\0\0" + b"\xff\xd9" * 9_000, comment="\xff"
        ),
    ),
    "webp lossy": (8, lambda: saved("RGB", "WEBP")),
    "webp lossy alpha": (8, lambda: saved("RGBA", "WEBP")),
    "webp lossless": (8, lambda: saved("RGB", "WEBP", lossless=True)),
    "webp with metadata": (8, lambda: saved("RGB", "WEBP", icc_profile=b"x" * 999)),
    "webp animated": (
        8,
        lambda: saved("RGB", "WEBP", save_all=True, append_images=[Image.new("RGB", SIZE, "red")]),
    ),
}  # fmt: skip
"""Name -> bits a channel, and how the picture is made."""


@cache
def real(name: str) -> bytes:
    return REAL[name][1]()


@pytest.mark.parametrize("name", REAL)
def test_size_and_depth_are_those_that_pillow_sees(name: str) -> None:
    data = real(name)
    with Image.open(io.BytesIO(data)) as picture:
        expected = ImageHeader(Format[picture.format or ""], *picture.size, REAL[name][0])
    assert expected == read_header(data)


@pytest.mark.parametrize("size", [(1, 1), (1, 16383), (16383, 1), (5001, 2)])
@pytest.mark.parametrize("lossless", [True, False])
def test_sides_of_webp_use_all_their_bits(size: tuple[int, int], *, lossless: bool) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", size).save(buffer, "WEBP", lossless=lossless)
    assert ImageHeader(Format.WEBP, *size, 8) == read_header(buffer.getvalue())


def test_the_largest_webp_canvas_is_read() -> None:
    data = webp(b"VP8X", bytes(4) + b"\xff\xff\xff" + b"\x00\x01\x00")
    assert ImageHeader(Format.WEBP, 1 << 24, 257, 8) == read_header(data)


def test_sixteen_bits_a_channel_of_colour_are_seen() -> None:
    assert ImageHeader(Format.PNG, 37, 23, 16) == read_header(ihdr(37, 23, 16, 2))


@pytest.mark.parametrize("code", [0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xCA, 0xCF])
def test_every_frame_type_is_a_frame(code: int) -> None:
    data = b"\xff\xd8" + frame(precision=12, code=code)
    assert ImageHeader(Format.JPEG, 37, 23, 12) == read_header(data)


@pytest.mark.parametrize(
    "between",
    [
        pytest.param(b"\xff" * 7, id="fill bytes"),
        pytest.param(b"junk\xff\x00\xff", id="junk that decoders skip"),
        pytest.param(segment(0xC4, b"\xff\xc0"), id="Huffman tables are no frame"),
        pytest.param(segment(0xC8), id="JPG is no frame"),
        pytest.param(segment(0xCC), id="arithmetic conditioning is no frame"),
        pytest.param(segment(0xE1, frame(1, 1)), id="the thumbnail's frame is not the picture's"),
        pytest.param(b"\xff\x01\xff\xd0", id="markers without a length"),
        pytest.param(segment(0xE2, b"x" * 65_533) * 480, id="30 MB of metadata"),
    ],
)
def test_what_stands_before_a_frame_is_skipped(between: bytes) -> None:
    data = b"\xff\xd8" + segment(0xE0, b"JFIF") + between + frame()
    assert ImageHeader(Format.JPEG, 37, 23, 8) == read_header(data)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (saved("RGB", "GIF"), Format.GIF),
        (b"GIF87a", Format.GIF),
        (saved("RGB", "TIFF"), Format.TIFF),
        (b"MM\0*\0\0\0\x08", Format.TIFF),
        (b"MM\0+\0\x08\0\0", Format.TIFF),
        (saved("RGB", "BMP"), Format.BMP),
        (saved("RGB", "JPEG2000"), Format.JP2),
        (saved("RGB", "AVIF"), Format.AVIF),
        (boxed(b"heic", b"mif1", b"heic"), Format.HEIC),
        (boxed(b"mif1", b"mif1", b"heic", b"hevc"), Format.HEIC),
        (boxed(b"mif1", b"mif1", b"avif"), Format.AVIF),
        (boxed(b"msf1", b"avis"), Format.AVIF),
        (b"\xff\x0a\x00", Format.JXL),
        (b"\0\0\0\x0cJXL \r\n\x87\n", Format.JXL),
    ],
)
def test_other_formats_are_told_by_their_first_bytes(data: bytes, expected: Format) -> None:
    assert ImageHeader(expected) == read_header(data)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "does not begin like any known picture format"),
        (b"BM, a car maker", "does not begin like any known picture format"),
        (b"RIFF\x04\0\0\0WAVE", "does not begin like any known picture format"),
        (boxed(b"mp42", b"isom"), "does not begin like any known picture format"),
        (b"data:image/png;base64,iVBORw0KGgo=", "is a data: URL"),
        (b"iVBORw0KGgoAAAANSUhEUg", "is base64 text of a PNG"),
        (b"/9j/4AAQSkZJRg", "is base64 text of a JPEG"),
        (b"https://example.com/a.png", "is a URL"),
        (b"%PDF-1.7", "is a PDF document"),
        (b"8BPS\0\x01", "is a Photoshop document"),
        (b"  <!doctype html>", "is markup"),
        (b'{"error": 1}', "is JSON"),
    ],
)
def test_what_is_no_picture_is_named_where_it_can_be(data: bytes, expected: str) -> None:
    with pytest.raises(NotAnImage) as caught:
        read_header(data)
    assert str(caught.value).startswith(expected)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (ihdr(0, 5, 8, 2), "of 0 x 5 pixels"),
        (ihdr(1 << 31, 5, 8, 2), "more than 2^31-1"),
        (ihdr(5, 5, 3, 2), "colour type 2 and bit depth 3"),
        (ihdr(5, 5, 16, 3), "colour type 3 and bit depth 16"),
        (ihdr(5, 5, 8, 5), "colour type 5 and bit depth 8"),
        (PNG_MAGIC + struct.pack(">I4s20x", 13, b"IDAT"), "does not begin with an IHDR"),
        (PNG_MAGIC + struct.pack(">I4s20x", 14, b"IHDR"), "does not begin with an IHDR"),
        (PNG_MAGIC, "ends within the header of a PNG"),
        (b"\xff\xd8" + frame(width=0), "of 0 x 23 pixels"),
        (b"\xff\xd8" + frame(height=0), "of 37 x 0 pixels"),
        (b"\xff\xd8" + frame()[:8], "ends within the header of a JPEG"),
        (b"\xff\xd8\xff\xe0\x00", "ends within the header of a JPEG"),
        (b"\xff\xd8\xff", "before its frame"),
        (b"\xff\xd8" + segment(0xE0, b"x" * 9)[:-5], "before its frame"),
        (b"\xff\xd8\xff\xe0\x00\x01", "shorter than its own length field"),
        (b"\xff\xd8" + segment(0xE0) + b"\xff\xd9", "without a frame header"),
        (b"\xff\xd8" + segment(0xDA, b"\0" * 8) + frame(), "without a frame header"),
        (real("webp lossy")[:-1], "cut short"),
        (webp(b"VP8 ", b"\x01\0\0\x9d\x01\x2a\x05\0\x05\0"), "key frame"),
        (webp(b"VP8 ", b"\x00\0\0\x9d\x01\x2b\x05\0\x05\0"), "key frame"),
        (webp(b"VP8 ", b"\x00\0\0\x9d\x01\x2a\0\xc0\x05\0"), "of 0 x 5 pixels"),
        (webp(b"VP8L", b"\x2e\0\0\0\0"), "signature or version"),
        (webp(b"VP8L", b"\x2f\0\0\0\x20"), "signature or version"),
        (webp(b"VP8L", b"\x2f\0\0"), "ends within the header of a WEBP"),
        (webp(b"ALPH", bytes(20)), "none of VP8, VP8L, VP8X"),
        (b"RIFF\x04\0\0\0WEBP", "ends within the header of a WEBP"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_broken_header_says_what_is_wrong(data: bytes, expected: str) -> None:
    with pytest.raises(BrokenHeader) as caught:
        read_header(data)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        (segment(0xFE), "1024 segments"),
        (b"\xff", "before its frame"),
        (b"\xff\0", "before its frame"),
    ],
)
def test_a_hostile_jpeg_of_30_megabytes_is_given_up_early(unit: bytes, expected: str) -> None:
    data = b"\xff\xd8" + segment(0xE0) + unit * (30_000_000 // len(unit)) + frame()
    with pytest.raises(BrokenHeader) as caught:
        read_header(data)
    assert expected in str(caught.value)


def test_the_smallest_lossless_webp_is_read() -> None:
    """26 bytes: shorter than the header of the other two kinds of WebP."""
    assert ImageHeader(Format.WEBP, 1, 1, 8) == read_header(webp(b"VP8L", b"\x2f\0\0\0\0\0"))


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_is_read(kind: Callable[[bytes], bytes | bytearray | memoryview]) -> None:
    for name in ("png", "jpeg", "webp lossy"):
        assert read_header(real(name)) == read_header(kind(real(name)))


@pytest.mark.parametrize(
    ("found", "expected"),
    [(Format.PNG, "image/png"), (Format.JPEG, "image/jpeg"), (Format.AVIF, "image/avif")],
)
def test_a_format_names_its_media_type(found: Format, expected: str) -> None:
    assert expected == found.media_type


def outcome(data: bytes) -> ImageHeader | None:
    """The header, None where it was refused; anything else that is raised fails the test."""
    try:
        return read_header(data)
    except (NotAnImage, BrokenHeader):
        return None


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
@example(b"\xff\xd8\xff\xff")
@example(b"\0\0\0\xffftypheic")
def test_arbitrary_bytes_raise_nothing_else(data: bytes) -> None:
    header = outcome(data)
    assert header is None or header.format == sniff(data)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(REAL)), st.data())
def test_a_truncated_picture_is_refused_or_read_as_it_is(name: str, data: st.DataObject) -> None:
    whole = real(name)
    cut = data.draw(st.integers(0, min(len(whole), 700) - 1))
    assert outcome(whole[:cut]) in {None, read_header(whole)}


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(REAL)), st.data())
def test_a_damaged_picture_has_no_impossible_header(name: str, data: st.DataObject) -> None:
    damaged = bytearray(real(name))
    for _ in range(data.draw(st.integers(1, 4))):
        bit = data.draw(st.integers(0, min(len(damaged), 700) * 8 - 1))
        damaged[bit // 8] ^= 1 << bit % 8
    header = outcome(bytes(damaged))
    if header is not None and header.width is not None and header.height is not None:
        assert header.width > 0
        assert header.height > 0
