"""Effects that need no imagination: shadow, outline, blur, light, text removal, upscaling."""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from gateway.emulator.rules import UPSCALE_PIXELS, refuse_large_upscale
from gateway.emulator.values import Colour, Settings, Size

__all__ = [
    "blurred_background",
    "drop_shadow",
    "ironed",
    "lit",
    "outline",
    "shadow",
    "upscaled",
    "without_texts",
]

_WORKING_SIDE = 512
_UPSCALE = 4
_TEXT_SIDE = 400
_TEXT_EDGES = 10  # strong edges in a row of pixels that make it look like a line of text
_EDGE = 60


@dataclass(frozen=True, slots=True)
class _Cast:
    """A shadow: upward and sideways length as parts of the subject's height, blur, opacity."""

    up: float
    across: float
    blur: float
    opacity: float


_CASTS = {
    "ai.soft": _Cast(0.3, -0.35, 0.03, 0.5),
    "ai.hard": _Cast(0.45, -0.55, 0.004, 0.6),
    "ai.preset-soft": _Cast(0.25, 0.45, 0.035, 0.45),
    "ai.preset-hard": _Cast(0.4, 0.65, 0.004, 0.65),
}


def shadow(alpha: Image.Image, settings: Settings) -> Image.Image:
    """The opacity of the shadow that a subject of this opacity casts."""
    small, size = _small(alpha), alpha.size
    mode = settings.text("shadow.mode")
    if mode == "ai.floating":
        cast = _floating(small)
    elif mode == "ai.auto-with-overrides":
        cast = _overridden(small, settings)
    else:
        cast = _thrown(small, _CASTS[mode or "ai.soft"])
    return cast.resize(size, Image.Resampling.BILINEAR)


def drop_shadow(alpha: Image.Image, opacity: float = 0.35) -> Image.Image:
    """The opacity of a soft shadow that lies a little below the subject."""
    small = _small(alpha)
    return _dropped(small, 0.02, 0.02, opacity).resize(alpha.size, Image.Resampling.BILINEAR)


def outline(alpha: Image.Image, colour: Colour, width: float, blur: float) -> Image.Image:
    """A coloured border of `width` (a ratio of the smaller side) around the subject, RGBA."""
    small = _small(alpha)
    side = min(small.size)
    grown = small.filter(ImageFilter.GaussianBlur(max(0.1, width * side / 2)))
    grown = grown.point([min(255, level * 12) for level in range(256)])
    if blur:
        grown = grown.filter(ImageFilter.GaussianBlur(blur * side))
    grown = grown.resize(alpha.size, Image.Resampling.BILINEAR)
    layer = Image.new("RGBA", alpha.size, colour[:3])
    layer.putalpha(grown.point([level * colour.alpha // 255 for level in range(256)]))
    return layer


def blurred_background(
    picture: Image.Image, subject: Image.Image, mode: str, radius: float
) -> Image.Image:
    """The picture with all but the subject out of focus; `radius` is a ratio of the larger side."""
    colours = picture.convert("RGB")
    small = colours.copy()
    small.thumbnail((_WORKING_SIDE, _WORKING_SIDE))
    reach = max(0.5, radius * max(small.size))
    if mode == "bokeh":
        small = ImageEnhance.Brightness(small).enhance(1.06)
        blurred = small.filter(ImageFilter.MaxFilter(3)).filter(ImageFilter.BoxBlur(reach))
    else:
        blurred = small.filter(ImageFilter.GaussianBlur(reach))
    blurred = blurred.resize(picture.size, Image.Resampling.BICUBIC)
    result = Image.composite(colours, blurred, subject)
    if picture.mode == "RGBA":
        result.putalpha(picture.getchannel("A"))
    return result


def lit(picture: Image.Image, mode: str) -> Image.Image:
    """The picture under better light; transparency stays."""
    colours = picture.convert("RGB")
    if mode == "ai.optimize-portrait":
        warm = ImageEnhance.Color(ImageEnhance.Brightness(colours).enhance(1.08)).enhance(1.15)
        colours = Image.blend(warm, warm.filter(ImageFilter.GaussianBlur(2)), 0.25)
    else:
        gamma = [round(255 * (level / 255) ** 0.82) for level in range(256)]
        colours = colours.point(gamma * 3)
        if mode == "ai.auto":
            colours = ImageEnhance.Color(ImageEnhance.Contrast(colours).enhance(1.12)).enhance(1.2)
    return _with_alpha_of(colours, picture)


def ironed(picture: Image.Image) -> Image.Image:
    """The picture without its finest folds."""
    colours = picture.convert("RGB")
    smooth = colours.filter(ImageFilter.GaussianBlur(1.6))
    return _with_alpha_of(Image.blend(colours, smooth, 0.75), picture)


def without_texts(picture: Image.Image, mode: str) -> tuple[Image.Image, int]:
    """The picture without what looks like lines of text, and how many such lines there were.

    A line is a run of rows with many strong edges. Natural text is looked for in the middle half
    of the picture, artificial text above and below it.
    """
    pixels = np.asarray(picture.convert("RGB"), dtype=np.float32).copy()
    lines = [line for line in _text_rows(picture) if _wanted(line, picture.height, mode)]
    for top, bottom in lines:
        above, below = pixels[max(0, top - 1)], pixels[min(len(pixels) - 1, bottom)]
        share = np.linspace(0, 1, bottom - top, dtype=np.float32)[:, None, None]
        pixels[top:bottom] = above * (1 - share) + below * share
    return _with_alpha_of(Image.fromarray(pixels.astype(np.uint8)), picture), len(lines)


def upscaled(picture: Image.Image, mode: str, downscale: str | None) -> Image.Image:
    """The picture four times as wide and high; raises `Refused` when it is too large for that."""
    refuse_large_upscale(mode, downscale, Size(*picture.size))
    limit = UPSCALE_PIXELS[mode]
    pixels = picture.width * picture.height
    if pixels > limit:
        if downscale == "skipUpscaleIfNotNeeded" and pixels > limit * _UPSCALE**2:
            return picture
        scale = math.sqrt(limit / pixels)
        picture = _resized(picture, int(picture.width * scale), int(picture.height * scale))
    larger = _resized(picture, picture.width * _UPSCALE, picture.height * _UPSCALE)
    if mode == "ai.slow":
        sharper = larger.convert("RGB").filter(ImageFilter.UnsharpMask(3, 80, 2))
        return _with_alpha_of(sharper, larger)
    return larger


def _resized(picture: Image.Image, width: int, height: int) -> Image.Image:
    info = picture.info
    picture = picture.resize((max(1, width), max(1, height)), Image.Resampling.BICUBIC)
    picture.info = info
    return picture


def _with_alpha_of(colours: Image.Image, original: Image.Image) -> Image.Image:
    if original.mode == "RGBA":
        colours.putalpha(original.getchannel("A"))
    colours.info = original.info
    return colours


def _small(alpha: Image.Image) -> Image.Image:
    small = alpha.copy()
    small.thumbnail((_WORKING_SIDE, _WORKING_SIDE), Image.Resampling.BOX)
    return small


def _faded(alpha: Image.Image, opacity: float) -> Image.Image:
    return alpha.point([round(level * opacity) for level in range(256)])


def _thrown(alpha: Image.Image, cast: _Cast) -> Image.Image:
    """Project the subject from its lowest point onto the ground."""
    box = alpha.getbbox() or (0, 0, *alpha.size)
    ground = float(box[3])
    up = cast.up if abs(cast.up) >= 0.08 else math.copysign(0.08, cast.up)
    lean = cast.across / up
    # Each shadow point (x, y) shows the subject at height (ground - y) / up above the ground.
    matrix = (1, lean, -lean * ground, 0, 1 / up, ground - ground / up)
    thrown = alpha.transform(
        alpha.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=0
    )
    thrown = thrown.filter(ImageFilter.GaussianBlur(cast.blur * max(alpha.size)))
    return _faded(thrown, cast.opacity)


def _dropped(alpha: Image.Image, offset: float, blur: float, opacity: float) -> Image.Image:
    shift = round(offset * max(alpha.size))
    moved = Image.new("L", alpha.size, 0)
    moved.paste(alpha, (shift // 2, shift))
    return _faded(moved.filter(ImageFilter.GaussianBlur(blur * max(alpha.size))), opacity)


def _floating(alpha: Image.Image) -> Image.Image:
    """A flat pool of shadow under a subject that hovers."""
    left, top, right, bottom = alpha.getbbox() or (0, 0, *alpha.size)
    height = max(2, (bottom - top) // 12)
    pool = alpha.resize(
        (max(1, right - left), height), Image.Resampling.BOX, (left, top, right, bottom)
    )
    canvas = Image.new("L", alpha.size, 0)
    canvas.paste(pool, (left, min(alpha.height - height, bottom - height // 2)))
    return _faded(canvas.filter(ImageFilter.GaussianBlur(max(alpha.size) * 0.015)), 0.5)


def _overridden(alpha: Image.Image, settings: Settings) -> Image.Image:
    def number(name: str, default: float) -> float:
        value = settings.number(f"shadow.{name}Override")
        return default if value is None else value

    softness, intensity = number("softness", 0.5), number("intensity", 0.5)
    blur, opacity = 0.002 + 0.05 * softness, 0.15 + 0.65 * intensity
    length = 0.1 + min(90.0, max(0.0, number("spread", 45.0))) / 90
    if number("subjectPose", 90.0) < 45:
        return _dropped(alpha, 0.05 * length, blur, opacity)
    angle = math.radians(number("direction", 45.0))
    cast = _Cast(math.cos(angle) * length, -math.sin(angle) * length, blur, opacity)
    return _thrown(alpha, cast)


def _text_rows(picture: Image.Image) -> list[tuple[int, int]]:
    grey = picture.convert("L")
    scale = min(1.0, _TEXT_SIDE / max(grey.size))
    small = grey.resize(
        (max(2, round(grey.width * scale)), max(2, round(grey.height * scale))),
        Image.Resampling.BOX,
    )
    edges = np.abs(np.diff(np.asarray(small, dtype=np.int16), axis=1)) > _EDGE
    busy = np.concatenate([[False], edges.sum(axis=1) >= _TEXT_EDGES, [False]])
    changes = np.flatnonzero(np.diff(busy.astype(np.int8)))
    return [
        (max(0, int((top - 1) / scale)), min(grey.height, math.ceil((bottom + 1) / scale)))
        for top, bottom in zip(changes[::2].tolist(), changes[1::2].tolist(), strict=True)
        if bottom - top >= 2
    ]


def _wanted(line: tuple[int, int], height: int, mode: str) -> bool:
    middle = (line[0] + line[1]) / 2 / height
    natural = 0.25 <= middle <= 0.75
    return mode == "ai.all" or (mode == "ai.natural") == natural
