"""Draws the answer to an edit: the order of the steps, and what each takes from the settings."""

from collections.abc import Mapping
from dataclasses import dataclass

from PIL import Image

from gateway.emulator import effects, generative
from gateway.emulator.canvas import lay, placed
from gateway.emulator.cutout import Cutout, cut_out, existing_alpha
from gateway.emulator.encoding import CONTENT_TYPES, Export, encode, watermarked
from gateway.emulator.placing import output_size, place
from gateway.emulator.scenery import generator, object_on_plain, scene
from gateway.emulator.slots import Slots
from gateway.emulator.templates import draw_layers, template_picture
from gateway.emulator.values import Colour, Settings, Size

__all__ = ["Drawn", "draw_edit"]

_WHOLE_PICTURES = ("flatLay.mode", "ghostMannequin.mode", "virtualModel.mode")


@dataclass(frozen=True, slots=True)
class Drawn:
    """An answer: its bytes and what its headers say."""

    body: bytes
    content_type: str
    headers: Mapping[str, str]


def draw_edit(settings: Settings, images: Mapping[str, bytes], *, watermark: bool) -> Drawn:
    """Draw an edit; `images` holds the bytes of files and fetched URLs by wire name.

    Raises `Refused` for pictures that the server does not take. Blocks for the time of drawing.
    """
    drawing = _Drawing(settings, Slots(settings, images))
    source = drawing.source()
    info = {} if source is None else dict(source.info)
    picture = drawing.picture(source)
    if settings.any_under("layers."):
        picture = draw_layers(picture, settings, drawing.slots.image)
    if watermark:
        picture = watermarked(picture)
    format_ = settings.text("export.format") or "png"
    export = Export(
        format_,
        settings.number("export.dpi"),
        settings.text("preserveMetadata") or "never",
        settings.text("colorSpace") == "original",
        {str(name): value for name, value in info.items()},
    )
    return Drawn(encode(picture, export), CONTENT_TYPES[format_], drawing.headers)


class _Drawing:
    """One edit; `headers` collects what the answer says about it."""

    def __init__(self, settings: Settings, slots: Slots) -> None:
        self.settings = settings
        self.slots = slots
        self.headers: dict[str, str] = {}
        self._cuts = settings.flag("removeBackground", default=True)

    def source(self) -> Image.Image | None:
        """The main picture; None when a template stands alone."""
        prompt = self.settings.text("imageFromPrompt.prompt")
        if prompt is None:
            return self.slots.image("")
        size = self.settings.text("imageFromPrompt.size") or "SQUARE_HD"
        seed = self.slots.seed("imageFromPrompt.seed")
        return object_on_plain(generative.PRESET_SIZES[size], prompt, seed)

    def picture(self, source: Image.Image | None) -> Image.Image:
        """Everything that the settings ask for, in one order."""
        if source is None:
            size = self._canvas(Size(1024, 1024), Size(1024, 1024))
            return self._background(size) or Image.new("RGBA", size, (0, 0, 0, 0))
        source = self._changed(source)
        if any(map(self.settings.has, _WHOLE_PICTURES)):
            source = self._generated(source)
            self._cuts = False
        return self._composed(source)

    def _changed(self, picture: Image.Image) -> Image.Image:
        settings = self.settings
        if mode := settings.text("textRemoval.mode"):
            picture, count = effects.without_texts(picture, mode)
            self.headers["pr-texts-detected"] = str(count)
        if mode := settings.text("upscale.mode"):
            picture = effects.upscaled(picture, mode, settings.text("upscale.downscaleIfNeeded"))
        if settings.has("ironing.mode"):
            picture = effects.ironed(picture)
        for name in ("editWithAI", "describeAnyChange"):
            if settings.has(f"{name}.mode"):
                prompt = settings.text(f"{name}.prompt") or ""
                references = self.slots.images_under("editWithAI.additionalImages.")
                seed = self.slots.seed(f"{name}.seed")
                picture = generative.edited(picture, prompt, seed, references)
        return picture

    def _generated(self, product: Image.Image) -> Image.Image:
        """A new picture with the product in it; these operations take no seed."""
        settings, slots, seed = self.settings, self.slots, self.slots.seed()
        if settings.has("flatLay.mode"):
            return generative.flat_lay(settings, product, seed)
        if settings.has("ghostMannequin.mode"):
            return generative.mannequin(settings, product, seed)
        self.headers["x-uncertainty-score"] = "-1"  # there are people in the picture
        extras = slots.images_under("virtualModel.additionalProductImages[")
        custom = {
            part: picture
            for part in ("model", "scene")
            if (picture := slots.image(f"virtualModel.{part}.custom.")) is not None
        }
        return generative.dressed_model(settings, product, extras, seed, custom)

    def _composed(self, source: Image.Image) -> Image.Image:
        """The source cut out or whole, placed on its canvas between background and effects."""
        settings = self.settings
        subject = source.convert("RGBA")
        cropped: frozenset[str] = frozenset()
        if self._cuts:
            cutout = self._cutout(source)
            subject.putalpha(cutout.alpha)
            if settings.text("referenceBox") != "originalImage":
                subject, cropped = subject.crop(cutout.box), cutout.cropped
        elif blur := settings.text("background.blur.mode"):
            radius = settings.number("background.blur.radius") or 0.01
            alpha = self._cutout(source).alpha
            subject = effects.blurred_background(subject, alpha, blur, radius)
        if self._cuts and settings.has("uncrop.mode"):
            subject = generative.uncropped(subject, cropped, self.slots.seed("uncrop.seed"))
            cropped = frozenset()
        if light := settings.text("lighting.mode"):
            subject = effects.lit(subject, light)
        canvas = self._canvas(Size(*source.size), Size(*subject.size))
        frame = place(settings, canvas, Size(*subject.size), cropped)
        return self._layered(placed(subject, frame))

    def _canvas(self, natural: Size, subject: Size) -> Size:
        template = self.settings.text("templateId")
        if template is not None and self.settings.text("outputSize") in {None, "auto"}:
            natural = Size(*template_picture(template).size)
        return output_size(self.settings, natural, subject)

    def _cutout(self, source: Image.Image) -> Cutout:
        settings = self.settings
        cutout = None
        if settings.text("keepExistingAlphaChannel") == "auto":
            cutout = existing_alpha(source)
        if cutout is None:
            flat = Image.new("RGB", source.size, "white")
            flat.paste(source, mask=source.getchannel("A") if source.mode == "RGBA" else None)
            words = (
                settings.text("segmentation.prompt") or "",
                settings.text("segmentation.negativePrompt") or "",
            )
            tolerance = float(generator("words", *words).uniform(24, 56)) if any(words) else None
            invert = settings.text("segmentation.mode") == "ignoreSalientObject"
            cutout = cut_out(flat, tolerance, invert=invert)
        self.headers["x-uncertainty-score"] = f"{cutout.uncertainty:.3f}"
        return cutout

    def _layered(self, subject: Image.Image) -> Image.Image:
        settings = self.settings
        alpha = subject.getchannel("A")
        if settings.has("beautify.mode"):
            subject = effects.lit(subject, "ai.auto")
        if colour := settings.colour("outline.color"):
            width = settings.number("outline.width")
            blur = settings.number("outline.blurRadius") or 0.0
            line = effects.outline(alpha, colour, 0.03 if width is None else width, blur)
            subject = Image.alpha_composite(line, subject)
        if settings.has("shadow.mode") and self._cuts:
            dark = Image.new("RGBA", subject.size, (0, 0, 0, 0))
            dark.putalpha(effects.shadow(alpha, settings))
            subject = Image.alpha_composite(dark, subject)
        ground = self._background(Size(*subject.size))
        picture = subject if ground is None else Image.alpha_composite(ground, subject)
        if settings.has("expand.mode") and (
            not self._cuts or settings.any_under("background.image")
        ):
            picture = generative.expanded(picture, self.slots.seed("expand.seed"))
        return picture

    def _background(self, size: Size) -> Image.Image | None:
        """The background on the canvas, RGBA; None when it is transparent."""
        settings = self.settings
        colour = settings.colour("background.color") or Colour(0, 0, 0, 0)
        ground = Image.new("RGBA", size, colour)
        picture = self.slots.image("background.")
        prompt, template = settings.text("background.prompt"), settings.text("templateId")
        if picture is not None:
            lay(picture, ground, settings.text("background.scaling") or "fill")
        elif prompt is not None:
            ground = self._imagined(size, prompt).convert("RGBA")
        elif beautify := settings.text("beautify.mode"):
            seed = self.slots.seed("beautify.seed")
            ground = scene(size, f"studio {beautify}", seed).convert("RGBA")
        elif template is not None and not colour.alpha:
            lay(template_picture(template), ground, "fill")
        elif not colour.alpha:
            return None
        return ground

    def _imagined(self, size: Size, prompt: str) -> Image.Image:
        settings = self.settings
        seed = self.slots.seed("background.seed")
        self.headers["pr-ai-background-seed"] = str(seed)
        parts = (
            settings.text("background.negativePrompt"),
            settings.text("background.expandPrompt.mode"),
            settings.models,
            seed,
        )
        picture = scene(size, prompt, *parts)
        guidance = self.slots.image("background.guidance.")
        if guidance is not None:
            scale = settings.number("background.guidance.scale")
            share = min(1.0, max(0.0, 0.6 if scale is None else scale)) * 0.7
            fitted = guidance.convert("RGB").resize(size, Image.Resampling.BICUBIC)
            picture = Image.blend(picture, fitted, share)
        return picture
