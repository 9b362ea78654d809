"""Templates, which only their account's owner can see: a picture of the id, with layers on it."""

from collections.abc import Callable

from PIL import Image, ImageDraw, ImageFont

from gateway.emulator.canvas import placed
from gateway.emulator.cutout import cut_out
from gateway.emulator.placing import place
from gateway.emulator.scenery import generator, object_on_plain, scene
from gateway.emulator.values import Colour, Settings, Size

__all__ = ["draw_layers", "template_picture"]

_SIZES = (Size(1080, 1080), Size(1080, 1350), Size(1200, 628))


def template_picture(template: str) -> Image.Image:
    """The template's own picture, of its own size."""
    size = _SIZES[int(generator("template", template).integers(len(_SIZES)))]
    return scene(size, "template", template)


def draw_layers(
    picture: Image.Image, settings: Settings, image: Callable[[str], Image.Image | None]
) -> Image.Image:
    """The picture with its named layers; a layer's name decides where it lies.

    `image` opens the image slot whose names start with its argument.
    """
    picture = picture.convert("RGBA")
    keys = sorted({name.split(".")[1] for name, _ in settings.values if name.startswith("layers.")})
    for key in keys:
        where = generator("layer", key).uniform(0.05, 0.6, 2)
        at = (round(picture.width * float(where[0])), round(picture.height * float(where[1])))
        if settings.any_under(f"layers.{key}.text."):
            _draw_text(picture, settings, f"layers.{key}.text.", at)
        else:
            _draw_image(picture, settings, f"layers.{key}.image.", at, image)
    return picture


def _draw_text(picture: Image.Image, settings: Settings, prefix: str, at: tuple[int, int]) -> None:
    # The typeface is the emulator's own; another name only moves its size, so that it is seen.
    typeface = generator("font", settings.text(f"{prefix}font"))
    share = 0.04 + 0.02 * float(typeface.random())
    font = ImageFont.load_default(max(8.0, picture.height * share))
    text = settings.text(f"{prefix}content") or "Text"
    overlay = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(overlay)
    ground = settings.colour(f"{prefix}backgroundColor")
    if ground is not None:
        draw.rectangle(draw.textbbox(at, text, font=font), fill=ground)
    front = settings.colour(f"{prefix}foregroundColor") or Colour(0, 0, 0, 255)
    draw.text(at, text, font=font, fill=front)
    picture.alpha_composite(overlay)


def _draw_image(
    picture: Image.Image,
    settings: Settings,
    prefix: str,
    at: tuple[int, int],
    image: Callable[[str], Image.Image | None],
) -> None:
    layer = image(prefix)
    prompt = settings.text(f"{prefix}imageFromPrompt.prompt")
    if prompt is not None:
        seed = settings.number(f"{prefix}imageFromPrompt.seed")
        layer = object_on_plain(Size(512, 512), prompt, seed)
    if layer is None:
        return
    if settings.text(f"{prefix}removeBackground") == "auto":
        invert = settings.text(f"{prefix}segmentation.mode") == "ignoreSalientObject"
        cutout = cut_out(layer.convert("RGB"), invert=invert)
        layer.putalpha(cutout.alpha)
        layer = layer.crop(cutout.box)
    cell = Size(max(1, picture.width // 3), max(1, picture.height // 3))
    frame = place(settings, cell, Size(*layer.size), frozenset(), prefix)
    picture.alpha_composite(placed(layer.convert("RGBA"), frame), at)
