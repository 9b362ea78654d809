"""Generative edits: pictures that prompt and seed decide, of the sizes that the vendor sells."""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from gateway.emulator.cutout import cut_out
from gateway.emulator.effects import drop_shadow
from gateway.emulator.scenery import generator, hue, scene, tint
from gateway.emulator.values import Settings, Size

__all__ = [
    "PRESET_SIZES",
    "dressed_model",
    "edited",
    "expanded",
    "flat_lay",
    "mannequin",
    "uncropped",
]

PRESET_SIZES = {
    "SQUARE_HD": Size(1024, 1024),
    "PORTRAIT_HD_16_9": Size(576, 1024),
    "PORTRAIT_HD_4_3": Size(768, 1024),
    "PORTRAIT_HD_3_2": Size(683, 1024),
    "LANDSCAPE_HD_16_9": Size(1024, 576),
    "LANDSCAPE_HD_4_3": Size(1024, 768),
    "LANDSCAPE_HD_3_2": Size(1024, 683),
    "PORTRAIT_16_9": Size(576, 1024),
    "PORTRAIT_4_3": Size(768, 1024),
    "LANDSCAPE_16_9": Size(1024, 576),
    "LANDSCAPE_4_3": Size(1024, 768),
}
"""Pixels of the vendor's names; its documents give the proportions, the longer side is 1 K."""

_Floats = npt.NDArray[np.float32]

_QUALITY = {"standard": 1, "advanced": 2, "premium": 4}
_POSES = ("standing", "34turn", "powerstance", "walkingforward", "handinpocket", "crossedarms")
_SCENES = ("street", "studio", "beach", "forest", "sunset", "pool")


def flat_lay(settings: Settings, product: Image.Image, seed: object) -> Image.Image:
    """The product on a table seen from above."""
    size = PRESET_SIZES[settings.text("flatLay.size") or "SQUARE_HD"]
    prompt = settings.text("flatLay.prompt") or ""
    ground = scene(size, prompt, "flatLay", seed).filter(ImageFilter.GaussianBlur(30))
    turn = float(generator("turn", prompt, seed).uniform(-12, 12))
    subject = _subject(product, Size(size.width * 7 // 10, size.height * 7 // 10))
    return _on(ground, subject.rotate(turn, Image.Resampling.BICUBIC, expand=True), 0.5)


def mannequin(settings: Settings, product: Image.Image, seed: object) -> Image.Image:
    """The garment as if somebody invisible wore it, on a plain wall."""
    size = PRESET_SIZES[settings.text("ghostMannequin.size") or "SQUARE_HD"]
    prompt = settings.text("ghostMannequin.prompt") or ""
    wall = tint(Image.new("RGB", size, (238, 238, 240)), 0.12, prompt, "ghostMannequin", seed)
    subject = _subject(product, Size(size.width * 8 // 10, size.height * 8 // 10))
    neck = (subject.width * 0.38, 0, subject.width * 0.62, subject.height * 0.09)
    ImageDraw.Draw(subject).ellipse(neck, fill=(60, 55, 58, 255))
    return _on(wall, subject, 0.5)


def dressed_model(
    settings: Settings,
    product: Image.Image,
    extras: list[Image.Image],
    seed: object,
    custom: dict[str, Image.Image],
) -> Image.Image:
    """A person in a place who wears the product; `custom` may bring model and scene."""
    size = PRESET_SIZES[settings.text("virtualModel.size") or "PORTRAIT_HD_3_2"]
    prompt = settings.text("virtualModel.prompt") or ""
    rng = generator("virtualModel", prompt, seed)
    place = settings.text("virtualModel.scene.preset.name") or "random"
    if place == "random":
        place = _SCENES[int(rng.integers(len(_SCENES)))]
    pose = settings.text("virtualModel.pose") or "random"
    if pose == "random":
        pose = _POSES[int(rng.integers(len(_POSES)))]
    if "scene" in custom:
        picture = _cover(custom["scene"], size)
    else:
        picture = scene(size, f"{place} {prompt}", seed)
    if "model" in custom:
        person = _subject(custom["model"], Size(size.width * 8 // 10, size.height * 9 // 10))
    else:
        name = settings.text("virtualModel.model.preset.name") or "avery"
        person = _person(size, name, pose)
    picture = _on(picture, person, 0.97)
    picture = _on(picture, _subject(product, Size(size.width * 4 // 10, size.height // 3)), 0.42)
    for index, extra in enumerate(extras):
        small = _subject(extra, Size(size.width // 5, size.height // 6))
        picture.paste(small, (8 + index * size.width // 4, size.height - small.height - 8), small)
    factor = _QUALITY[settings.text("virtualModel.quality") or "standard"]
    return picture.resize((size.width * factor, size.height * factor), Image.Resampling.BICUBIC)


def edited(
    picture: Image.Image, prompt: str, seed: object, references: list[Image.Image]
) -> Image.Image:
    """The picture after an edit in words: another light and mood, its shapes kept."""
    changed = tint(picture.convert("RGB"), 0.4, prompt, "editWithAI", seed)
    for reference in references:
        changed = Image.blend(changed, _cover(reference, Size(*changed.size)), 0.2)
    if picture.mode == "RGBA":
        changed.putalpha(picture.getchannel("A"))
    changed.info = picture.info
    return changed


def expanded(picture: Image.Image, seed: object) -> Image.Image:
    """The RGBA picture with its transparent parts filled out of what is around them."""
    small = picture.copy()
    small.thumbnail((96, 96), Image.Resampling.BOX)
    pixels = np.asarray(small, dtype=np.float32)
    fill = _spread(pixels[:, :, :3], pixels[:, :, 3] / np.float32(255))
    waves = np.asarray(scene(Size(*small.size), "expand", seed), dtype=np.float32)
    fill = np.clip(fill + (waves - waves.mean(axis=(0, 1))) * 0.15, 0, 255)
    ground = Image.fromarray(fill.astype(np.uint8))
    ground = ground.resize(picture.size, Image.Resampling.BICUBIC).convert("RGBA")
    return Image.alpha_composite(ground, picture)


def uncropped(subject: Image.Image, cropped: frozenset[str], seed: object) -> Image.Image:
    """The RGBA subject with what its picture's edges cut off: a sixth more on each such side."""
    across, down = subject.width // 6, subject.height // 6
    pads = (
        (down * ("Top" in cropped), down * ("Bottom" in cropped)),
        (across * ("Left" in cropped), across * ("Right" in cropped)),
        (0, 0),
    )
    pixels = np.pad(np.asarray(subject), pads, mode="symmetric").astype(np.float32)
    shade = generator("uncrop", seed).uniform(0.75, 0.98, 3).astype(np.float32)
    (top, _), (left, _), _ = pads
    grown = np.ones(pixels.shape[:2], dtype=bool)
    grown[top : top + subject.height, left : left + subject.width] = False
    pixels[grown, :3] *= shade
    return Image.fromarray(pixels.astype(np.uint8))


def _spread(colours: _Floats, weight: _Floats) -> _Floats:
    """Colours carried from where there is weight to where there is none."""
    filled: _Floats = colours * weight[:, :, None]
    total = weight.copy()
    for _ in range(max(colours.shape[:2])):
        if total.min() > 0:
            break
        around = sum(np.roll(filled, move, (0, 1)) for move in ((0, 1), (0, -1), (1, 0), (-1, 0)))
        weights = sum(np.roll(total, move, (0, 1)) for move in ((0, 1), (0, -1), (1, 0), (-1, 0)))
        empty = (total == 0) & (weights > 0)
        filled[empty] = (around / np.maximum(weights, 1e-6)[:, :, None])[empty]
        total[empty] = 1
    known = total > 0
    filled[known] /= np.maximum(total[known], 1e-6)[:, None]
    return filled


def _subject(product: Image.Image, most: Size) -> Image.Image:
    """The product cut out and fitted into a size, RGBA."""
    small = product.copy()
    small.thumbnail((768, 768))
    cutout = cut_out(small.convert("RGB"))
    subject = small.convert("RGBA")
    subject.putalpha(cutout.alpha)
    subject = subject.crop(cutout.box)
    scale = min(most.width / subject.width, most.height / subject.height)
    size = (max(1, round(subject.width * scale)), max(1, round(subject.height * scale)))
    return subject.resize(size, Image.Resampling.BICUBIC)


def _on(ground: Image.Image, subject: Image.Image, down: float) -> Image.Image:
    """The subject in the middle of the ground, `down` (0 to 1) of the free height, with shadow."""
    layer = Image.new("RGBA", ground.size, (0, 0, 0, 0))
    free = (ground.width - subject.width, ground.height - subject.height)
    layer.paste(subject, (free[0] // 2, round(free[1] * down)))
    alpha = layer.getchannel("A")
    dark = Image.new("RGB", ground.size, (20, 20, 25))
    shaded = Image.composite(dark, ground.convert("RGB"), drop_shadow(alpha))
    shaded.paste(layer, mask=alpha)
    return shaded


def _cover(picture: Image.Image, size: Size) -> Image.Image:
    scale = max(size.width / picture.width, size.height / picture.height)
    width, height = size.width / scale, size.height / scale
    left, top = (picture.width - width) / 2, (picture.height - height) / 2
    box = (left, top, left + width, top + height)
    return picture.convert("RGB").resize(size, Image.Resampling.BICUBIC, box)


def _person(size: Size, name: str, pose: str) -> Image.Image:
    """A figure: skin and hair by name, limbs by pose."""
    looks, stance = generator("model", name), generator("pose", pose)
    image = Image.new("RGBA", (size.width * 6 // 10, size.height * 9 // 10), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    width, height = image.size
    shade = float(looks.uniform(0.55, 1.0))
    skin = (round(236 * shade), round(196 * shade), round(166 * shade), 255)
    limb = max(4, width // 9)
    neck, hip = (width * 0.5, height * 0.2), (width * 0.5, height * 0.58)
    for side in (-1, 1):
        swing = [float(v) for v in stance.uniform(-0.08, 0.2, 2)]
        hand = (width * (0.5 + side * (0.24 + swing[0])), height * (0.52 - swing[1]))
        foot = (width * (0.5 + side * (0.08 + swing[1])), height * 0.98)
        draw.line((*neck, width * (0.5 + side * 0.2), height * 0.36, *hand), skin, limb, "curve")
        draw.line((*hip, *foot), (*hue(looks, 70, 110), 255), limb * 3 // 2)
    draw.rounded_rectangle(
        (width * 0.33, height * 0.19, width * 0.67, height * 0.62), limb, (*hue(looks), 255)
    )
    draw.ellipse((width * 0.38, 0, width * 0.62, height * 0.17), skin)
    draw.chord((width * 0.36, 0, width * 0.64, height * 0.16), 180, 360, (*hue(looks, 90, 70), 255))
    return image
