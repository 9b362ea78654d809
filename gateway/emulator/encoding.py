"""Opens pictures and writes them: formats, colour spaces, resolution, metadata, watermark."""

import functools
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape

from PIL import ExifTags, Image, ImageCms, ImageDraw, ImageFont, ImageOps, PngImagePlugin

from gateway.emulator.headers import EDIT_LIMITS, Limits, read_header
from gateway.emulator.scenery import object_on_plain
from gateway.emulator.values import Refused, Size

__all__ = ["CONTENT_TYPES", "Export", "encode", "open_picture", "picture_of_address", "watermarked"]

CONTENT_TYPES = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "avif": "image/avif",
}
_ADDRESS_SIZE = Size(800, 600)
_DPI_INCH = 2
_CHARSET_BYTES = 8  # the name of a character set, before the text of an EXIF user comment
_XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/"'
    ' xmlns:exif="http://ns.adobe.com/exif/1.0/">'
    '<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">{owner}</rdf:li></rdf:Alt></dc:rights>'
    '<exif:UserComment><rdf:Alt><rdf:li xml:lang="x-default">{comment}</rdf:li></rdf:Alt>'
    "</exif:UserComment></rdf:Description></rdf:RDF></x:xmpmeta>"
)
_SUBSETS = frozenset({"exifSubset", "exifSubsetWithXmpCompatibility"})


@dataclass(frozen=True, slots=True)
class Export:
    """How a picture is written; `source` is what `open_picture` read beside the pixels."""

    format: str = "png"
    dpi: float | None = None
    metadata: str = "never"
    keep_profile: bool = False
    source: Mapping[str, Any] = field(default_factory=dict)


def open_picture(
    data: bytes, name: str, limits: Limits = EDIT_LIMITS, *, keep_profile: bool = False
) -> Image.Image:
    """The picture upright, RGB or RGBA, in sRGB unless `keep_profile`; raises `Refused`."""
    read_header(data, name, limits)
    try:
        opened = Image.open(io.BytesIO(data))
        opened.load()
        picture = ImageOps.exif_transpose(opened)
    except (OSError, SyntaxError, ValueError):
        raise Refused(400, f"{name} is not a supported image", "invalid_image") from None
    info = dict(opened.info)
    transparent = "A" in picture.getbands() or "transparency" in picture.info
    mode = "RGBA" if transparent else "RGB"
    profile = info.get("icc_profile")
    if profile and not keep_profile:
        picture = _to_srgb(picture, profile, mode)
        info.pop("icc_profile")
    picture = picture.convert(mode)
    picture.info = {**info, "exif_read": opened.getexif()}
    return picture


def picture_of_address(address: str) -> Image.Image:
    """What stands for a picture on the Internet, to which the emulator has no way."""
    return object_on_plain(_ADDRESS_SIZE, address, "address")


def encode(picture: Image.Image, export: Export) -> bytes:
    """The bytes of the picture; JPEG has no alpha and gets a white ground."""
    if picture.mode == "RGBA" and picture.getchannel("A").getextrema() == (255, 255):
        picture = picture.convert("RGB")
    if export.format == "jpeg" and picture.mode == "RGBA":
        ground = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(ground, picture).convert("RGB")
    options: dict[str, object] = dict(_OPTIONS[export.format])
    if export.dpi and export.format in {"png", "jpeg"}:
        options["dpi"] = (export.dpi, export.dpi)
    exif = _exif(export)
    if exif:
        options["exif"] = exif
    xmp = _xmp(export)
    if xmp and export.format == "png":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_itxt("XML:com.adobe.xmp", xmp.decode(errors="replace"))
        options["pnginfo"] = chunks
    elif xmp:
        options["xmp"] = xmp
    if export.keep_profile and export.source.get("icc_profile"):
        options["icc_profile"] = export.source["icc_profile"]
    out = io.BytesIO()
    picture.info = {}
    picture.save(out, export.format.upper(), **options)
    return out.getvalue()


_OPTIONS: dict[str, dict[str, int]] = {
    "png": {"compress_level": 1},
    "jpeg": {"quality": 80},
    "webp": {"quality": 90, "method": 2},
    "avif": {"quality": 90, "speed": 9},
}


def watermarked(picture: Image.Image) -> Image.Image:
    """The picture under the sandbox's watermark, transparent parts too."""
    tile = _watermark_tile()
    cover = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    for row in range(math.ceil(picture.height / tile.height)):
        for column in range(math.ceil(picture.width / tile.width)):
            cover.paste(tile, (column * tile.width, row * tile.height))
    return Image.alpha_composite(picture.convert("RGBA"), cover)


@functools.cache
def _watermark_tile() -> Image.Image:
    tile = Image.new("RGBA", (160, 110), (0, 0, 0, 0))
    font = ImageFont.load_default(22)
    draw = ImageDraw.Draw(tile)
    draw.text(
        (12, 40),
        "SANDBOX",
        font=font,
        fill=(255, 255, 255, 150),
        stroke_width=2,
        stroke_fill=(0, 0, 0, 110),
    )
    return tile.rotate(25, Image.Resampling.BICUBIC)


def _to_srgb(picture: Image.Image, profile: bytes, mode: str) -> Image.Image:
    alpha = picture.getchannel("A") if "A" in picture.getbands() else None
    colours = picture.convert("RGB") if picture.mode not in {"RGB", "CMYK", "L"} else picture
    try:
        converted = ImageCms.profileToProfile(
            colours,
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            outputMode="RGB",
        )
    except (ImageCms.PyCMSError, OSError):  # a broken profile says nothing about the colours
        return picture
    if converted is None:
        return picture
    converted = converted.convert(mode)
    if alpha is not None:
        converted.putalpha(alpha)
    return converted


def _exif(export: Export) -> Image.Exif | None:
    exif = Image.Exif()
    if export.dpi and export.format in {"webp", "avif"}:
        exif[ExifTags.Base.XResolution] = export.dpi
        exif[ExifTags.Base.YResolution] = export.dpi
        exif[ExifTags.Base.ResolutionUnit] = _DPI_INCH
    if export.metadata in _SUBSETS:
        owner, comment = _kept_fields(export)
        if owner:
            exif[ExifTags.Base.Copyright] = owner
        if comment:
            exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = comment
    return exif if len(exif) or exif.get_ifd(ExifTags.IFD.Exif) else None


def _kept_fields(export: Export) -> tuple[str, bytes]:
    """Copyright and user comment of the original; empty where there is none."""
    original = export.source.get("exif_read", Image.Exif())
    comment = original.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment, b"")
    return str(original.get(ExifTags.Base.Copyright, "")), comment


def _xmp(export: Export) -> bytes:
    """The original's XMP, or the kept EXIF fields as XMP, as `preserveMetadata` says."""
    if export.metadata == "xmp":
        found: bytes = export.source.get("xmp", b"")
        return found
    if export.metadata != "exifSubsetWithXmpCompatibility":
        return b""
    owner, comment = _kept_fields(export)
    words = comment[_CHARSET_BYTES:].decode(errors="replace")
    return _XMP.format(owner=escape(owner), comment=escape(words)).encode()
