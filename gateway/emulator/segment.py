"""Draws the answer to `/v1/segment`: the cut-out, or its mask."""

import math

from PIL import Image, ImageChops

from gateway.emulator.cutout import cut_out
from gateway.emulator.drawing import Drawn
from gateway.emulator.encoding import CONTENT_TYPES, Export, encode, open_picture, watermarked
from gateway.emulator.headers import SEGMENT_LIMITS, is_heic
from gateway.emulator.scenery import object_on_plain
from gateway.emulator.values import Settings, Size

__all__ = ["draw_segment"]

_CAPS = {"preview": 250_000, "medium": 1_500_000, "hd": 4_000_000, "full": 36_000_000}
_FORMATS = {"png": "png", "jpg": "jpeg", "webp": "webp"}
_HEIC_SIZE = Size(1024, 768)


def draw_segment(settings: Settings, data: bytes, *, watermark: bool) -> Drawn:
    """Cut a picture out as the options say; raises `Refused` for one that is not taken."""
    if is_heic(data):
        # Nothing here decodes HEIC: the file's content decides what is drawn in its place.
        picture = object_on_plain(_HEIC_SIZE, settings.text("image_file") or "", "heic")
    else:
        picture = open_picture(data, "image_file", SEGMENT_LIMITS)
    cap = _CAPS[settings.text("size") or "full"]
    scale = math.sqrt(cap / (picture.width * picture.height))
    if scale < 1:
        size = (max(1, int(picture.width * scale)), max(1, int(picture.height * scale)))
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    cutout = cut_out(picture.convert("RGB"))
    if settings.text("channels") == "alpha":
        result = cutout.alpha
    else:
        result = picture.convert("RGB")
        if settings.text("despill") == "true":
            result = _despilled(result)
        result.putalpha(cutout.alpha)
    if settings.text("crop") == "true":
        result = result.crop(cutout.box)
    colour = settings.colour("bg_color")
    if colour is not None and result.mode == "RGBA":
        result = Image.alpha_composite(Image.new("RGBA", result.size, colour), result)
    if watermark:
        result = watermarked(result)
    format_ = _FORMATS[settings.text("format") or "png"]
    headers = {"x-uncertainty-score": f"{cutout.uncertainty:.3f}"}
    return Drawn(encode(result, Export(format_)), CONTENT_TYPES[format_], headers)


def _despilled(picture: Image.Image) -> Image.Image:
    """The picture with no more green than the mean of red and blue."""
    red, green, blue = picture.split()
    mean = Image.blend(red, blue, 0.5)
    return Image.merge("RGB", (red, ImageChops.darker(green, mean), blue))
