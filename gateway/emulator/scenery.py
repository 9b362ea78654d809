"""Pictures out of nothing: a prompt and a seed decide every pixel, and different ones are seen."""

import hashlib

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from gateway.emulator.values import Size

__all__ = ["generator", "hue", "object_on_plain", "scene", "tint"]

_WORKING_SIDE = 320

_Floats = npt.NDArray[np.floating]

# Sky and ground of words that people like to use; other words get colours of their hash.
_PALETTES = {
    "beach": ((150, 205, 235), (232, 211, 170)),
    "sunset": ((250, 160, 90), (110, 70, 95)),
    "forest": ((140, 180, 130), (60, 80, 45)),
    "wood": ((205, 180, 150), (150, 105, 65)),
    "marble": ((235, 235, 238), (205, 205, 212)),
    "studio": ((225, 225, 228), (200, 200, 204)),
    "night": ((25, 30, 60), (15, 15, 30)),
    "desert": ((240, 200, 140), (205, 150, 90)),
    "mountain": ((160, 190, 220), (110, 125, 115)),
    "pool": ((150, 215, 235), (90, 180, 205)),
    "snow": ((215, 228, 240), (245, 248, 250)),
    "street": ((185, 195, 205), (120, 120, 125)),
}


def generator(*parts: object) -> np.random.Generator:
    """Random numbers that the parts decide."""
    text = "\0".join(repr(part) for part in parts)
    return np.random.default_rng(list(hashlib.sha256(text.encode()).digest()))


def hue(rng: np.random.Generator, saturation: int = 110, value: int = 220) -> tuple[int, int, int]:
    """A colour of random hue."""
    patch = Image.new("HSV", (1, 1), (int(rng.integers(256)), saturation, value)).convert("RGB")
    red, green, blue = np.asarray(patch)[0, 0].tolist()
    return red, green, blue


def scene(size: Size, prompt: str, *parts: object) -> Image.Image:
    """A place: sky, ground, a light and some distant shapes, as prompt and parts decide."""
    rng = generator("scene", prompt, *parts)
    scale = min(1.0, _WORKING_SIDE / max(size))
    width, height = max(2, round(size.width * scale)), max(2, round(size.height * scale))
    sky, ground = _palette(prompt, rng)
    horizon = int(height * rng.uniform(0.45, 0.7))
    rows = np.arange(height, dtype=np.float32)[:, None, None]
    fade = 0.78 + 0.4 * rows / height
    colours = (
        np.where(rows < horizon, np.array(sky, np.float32), np.array(ground, np.float32)) * fade
    )
    light = _light(rng, width, height)
    picture = np.clip(colours * light[:, :, None] + _clouds(rng, width, height), 0, 255)
    image = Image.fromarray(picture.astype(np.uint8))
    draw = ImageDraw.Draw(image, "RGBA")
    for _ in range(int(rng.integers(3, 8))):
        radius = width * float(rng.uniform(0.03, 0.12))
        x, y = float(rng.uniform(0, width)), float(rng.normal(horizon, height * 0.1))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(*hue(rng), 90))
    soft = image.filter(ImageFilter.GaussianBlur(max(1.0, width / 90)))
    return soft.resize(size, Image.Resampling.BILINEAR)


def object_on_plain(size: Size, prompt: str, seed: object) -> Image.Image:
    """A thing on a plain ground, so that it can be cut out."""
    rng = generator("object", prompt, seed)
    image = Image.new("RGB", size, (244, 244, 246))
    draw = ImageDraw.Draw(image)
    width, height = size
    for _ in range(int(rng.integers(3, 6))):
        x, y = (float(v) for v in rng.uniform(0.28, 0.52, 2))
        w, h = (float(v) for v in rng.uniform(0.15, 0.3, 2))
        box = (x * width, y * height, (x + w) * width, (y + h) * height)
        colour = hue(rng, 160, 190)
        if rng.random() < 0.5:
            draw.ellipse(box, fill=colour)
        else:
            draw.rounded_rectangle(box, radius=width * 0.04, fill=colour)
    return image


def tint(picture: Image.Image, strength: float, prompt: str, *parts: object) -> Image.Image:
    """The RGB picture under the light of the prompt's scene; its shapes stay."""
    return Image.blend(picture, scene(Size(*picture.size), prompt, *parts), strength)


def _palette(
    prompt: str, rng: np.random.Generator
) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    lowered = prompt.lower()
    for word, palette in _PALETTES.items():
        if word in lowered:
            return palette
    return hue(rng, 70, 225), hue(rng, 90, 170)


def _light(rng: np.random.Generator, width: int, height: int) -> _Floats:
    """A soft lamp somewhere above the middle; 0.85 to 1.15."""
    x, y = rng.uniform(0.2, 0.8) * width, rng.uniform(0.1, 0.6) * height
    rows, columns = np.ogrid[:height, :width]
    distance = np.hypot((columns - x) / width, (rows - y) / height)
    light: _Floats = 0.85 + 0.3 * np.exp(-4 * distance**2)
    return light


def _clouds(rng: np.random.Generator, width: int, height: int) -> _Floats:
    """Slow waves of light and dark, a channel apart a little; -14 to 14."""
    coarse = Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8))
    smooth = coarse.resize((width, height), Image.Resampling.BICUBIC)
    waves: _Floats = (np.asarray(smooth, dtype=np.float32) - 128) * 0.11
    return waves
