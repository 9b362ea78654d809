"""Draws the answer to an edit: the order of the steps, and what each takes from the settings."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from PIL import Image

from gateway.emulator import effects, generative
from gateway.emulator.cutout import Cutout, cut_out, existing_alpha
from gateway.emulator.encoding import (
    CONTENT_TYPES,
    Export,
    encode,
    open_picture,
    picture_of_address,
    watermarked,
)
from gateway.emulator.placing import Frame, output_size, place
from gateway.emulator.scenery import generator, object_on_plain, scene
from gateway.emulator.templates import draw_layers, template_picture
from gateway.emulator.values import Colour, Settings, Size

__all__ = ["Drawn", "draw_edit"]

_WHOLE_PICTURES = ("flatLay.mode", "ghostMannequin.mode", "virtualModel.mode")
_LARGEST_SEED = 2**31


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
    return _Drawing(settings, images).drawn(watermark=watermark)


@dataclass(slots=True)
class _Drawing:
    settings: Settings
    images: Mapping[str, bytes]
    headers: dict[str, str] = field(default_factory=dict)

    def drawn(self, *, watermark: bool) -> Drawn:
        settings = self.settings
        source = self._source()
        source = self._source_edits(source)
        info = source.info
        whole = next((name for name in _WHOLE_PICTURES if settings.has(name)), None)
        if whole is not None:
            source = self._whole_picture(whole, source)
            self.headers["x-uncertainty-score"] = "-1"
        picture = self._composed(source, cut=whole is None and self._cuts())
        if settings.any_under("layers."):
            picture = draw_layers(picture, settings, self._image)
        if watermark:
            picture = watermarked(picture)
        source.info = info
        format_ = settings.text("export.format") or "png"
        export = Export(
            format_,
            settings.number("export.dpi"),
            settings.text("preserveMetadata") or "never",
            settings.text("colorSpace") == "original",
            source,
        )
        return Drawn(encode(picture, export), CONTENT_TYPES[format_], self.headers)

    def _cuts(self) -> bool:
        return self.settings.flag("removeBackground", default=True) or self.settings.has(
            "beautify.mode"
        )

    def _image(self, slot: str) -> Image.Image | None:
        """The picture of an image slot, by its file or its URL; None when there is none."""
        for name in (f"{slot}imageFile", f"{slot}imageUrl"):
            if name in self.images:
                keep = self.settings.text("colorSpace") == "original"
                return open_picture(self.images[name], name, keep_profile=keep)
            address = self.settings.text(name)
            if address is not None:
                return picture_of_address(address)
        return None

    def _images(self, prefix: str) -> list[Image.Image]:
        """The pictures of a list or map, in the order of their names."""
        slots = {
            name.rpartition(".")[0] + "."
            for name, _ in self.settings.values
            if name.startswith(prefix)
        }
        return [picture for slot in sorted(slots) if (picture := self._image(slot)) is not None]

    def _seed(self, name: str) -> int | float:
        """The seed that was set; a new one when there is none, as each call differs then."""
        given = self.settings.number(name)
        if given is None:
            return random.randrange(1, _LARGEST_SEED)
        return int(given) if given.is_integer() else given

    def _source(self) -> Image.Image:
        picture = self._image("")
        prompt = self.settings.text("imageFromPrompt.prompt")
        if prompt is not None:
            size = self.settings.text("imageFromPrompt.size") or "SQUARE_HD"
            seed = self._seed("imageFromPrompt.seed")
            picture = object_on_plain(generative.PRESET_SIZES[size], prompt, seed)
        if picture is None:
            picture = template_picture(self.settings.text("templateId") or "")
        return picture

    def _source_edits(self, picture: Image.Image) -> Image.Image:
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
                references = self._images("editWithAI.additionalImages.")
                seed = self._seed(f"{name}.seed")
                picture = generative.edited(picture, prompt, seed, references)
        return picture

    def _whole_picture(self, mode: str, product: Image.Image) -> Image.Image:
        seed = random.randrange(1, _LARGEST_SEED)  # these operations take no seed
        if mode == "flatLay.mode":
            return generative.flat_lay(self.settings, product, seed)
        if mode == "ghostMannequin.mode":
            return generative.mannequin(self.settings, product, seed)
        extras = self._images("virtualModel.additionalProductImages[")
        custom = {
            part: picture
            for part in ("model", "scene")
            if (picture := self._image(f"virtualModel.{part}.custom.")) is not None
        }
        return generative.dressed_model(self.settings, product, extras, seed, custom)

    def _composed(self, source: Image.Image, *, cut: bool) -> Image.Image:
        """The source cut out or whole, placed on its canvas between background and effects."""
        settings = self.settings
        subject = source.convert("RGBA")
        cutout: Cutout | None = None
        if cut:
            cutout = self._cutout(source)
            subject.putalpha(cutout.alpha)
        elif settings.has("background.blur.mode"):
            mode = settings.text("background.blur.mode") or "gaussian"
            radius = settings.number("background.blur.radius") or 0.01
            alpha = self._cutout(source).alpha
            subject = effects.blurred_background(subject, alpha, mode, radius)
        if mode := settings.text("lighting.mode"):
            subject = effects.lit(subject, mode)
        whole = (0, 0, *subject.size)
        box, cropped = whole, frozenset[str]()
        if cutout is not None and settings.text("referenceBox") != "originalImage":
            subject = subject.crop(cutout.box)
            cropped = cutout.cropped
            if settings.has("uncrop.mode"):
                subject = generative.uncropped(subject, cropped, self._seed("uncrop.seed"))
                cropped = frozenset()
            box = (0, 0, *subject.size)
        canvas = self._canvas(Size(*source.size), Size(*subject.size))
        frame = place(settings, canvas, box, cropped)
        return self._layered(_placed(subject, frame), cut=cut)

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
            rng = generator("segmentation", *words)
            tolerance = float(rng.uniform(24, 56)) if any(words) else 38.0
            invert = settings.text("segmentation.mode") == "ignoreSalientObject"
            cutout = cut_out(flat, tolerance, invert=invert)
        self.headers.setdefault("x-uncertainty-score", f"{cutout.uncertainty:.3f}")
        return cutout

    def _layered(self, placed: Image.Image, *, cut: bool) -> Image.Image:
        settings = self.settings
        alpha = placed.getchannel("A")
        if settings.has("beautify.mode"):
            placed = effects.lit(placed, "ai.auto")
        if colour := settings.colour("outline.color"):
            width = settings.number("outline.width")
            line = effects.outline(
                alpha,
                colour,
                0.03 if width is None else width,
                settings.number("outline.blurRadius") or 0.0,
            )
            placed = Image.alpha_composite(line, placed)
        if settings.has("shadow.mode") and cut:
            dark = Image.new("RGBA", placed.size, (0, 0, 0, 0))
            dark.putalpha(effects.shadow(alpha, settings))
            placed = Image.alpha_composite(dark, placed)
        ground = self._background(Size(*placed.size))
        picture = placed if ground is None else Image.alpha_composite(ground, placed)
        static = not cut or settings.any_under("background.image")
        if settings.has("expand.mode") and static:
            picture = generative.expanded(picture, self._seed("expand.seed"))
        return picture

    def _background(self, size: Size) -> Image.Image | None:
        """The background on the canvas, RGBA; None when it is transparent."""
        settings = self.settings
        colour = settings.colour("background.color") or Colour(0, 0, 0, 0)
        ground = Image.new("RGBA", size, colour)
        picture = self._image("background.")
        prompt = settings.text("background.prompt")
        if picture is not None:
            _lay(picture.convert("RGBA"), ground, settings.text("background.scaling") or "fill")
        elif prompt is not None:
            ground = self._imagined(size, prompt)
        elif settings.has("beautify.mode"):
            mode = settings.text("beautify.mode")
            ground = scene(size, f"studio {mode}", self._seed("beautify.seed")).convert("RGBA")
        elif not colour.alpha:
            return None
        return ground

    def _imagined(self, size: Size, prompt: str) -> Image.Image:
        settings = self.settings
        seed = self._seed("background.seed")
        self.headers["pr-ai-background-seed"] = str(seed)
        parts = (
            settings.text("background.negativePrompt"),
            settings.text("background.expandPrompt.mode"),
            settings.models,
            seed,
        )
        picture = scene(size, prompt, *parts)
        guidance = self._image("background.guidance.")
        if guidance is not None:
            scale = settings.number("background.guidance.scale")
            share = min(1.0, max(0.0, 0.6 if scale is None else scale)) * 0.7
            fitted = guidance.convert("RGB").resize(size, Image.Resampling.BICUBIC)
            picture = Image.blend(picture, fitted, share)
        return picture.convert("RGBA")


def _placed(subject: Image.Image, frame: Frame) -> Image.Image:
    """The subject scaled into its frame on a clear canvas; what lies beyond it is not computed."""
    width, height = frame.canvas
    if (
        (frame.left, frame.top, frame.width, frame.height)
        == (0, 0, *subject.size)
        == (
            0,
            0,
            width,
            height,
        )
    ):
        return subject
    left, top = max(0, frame.left), max(0, frame.top)
    right = min(width, frame.left + frame.width)
    bottom = min(height, frame.top + frame.height)
    canvas = Image.new("RGBA", frame.canvas, (0, 0, 0, 0))
    if right <= left or bottom <= top:
        return canvas
    across, down = subject.width / frame.width, subject.height / frame.height
    box = (
        (left - frame.left) * across,
        (top - frame.top) * down,
        min(float(subject.width), (right - frame.left) * across),
        min(float(subject.height), (bottom - frame.top) * down),
    )
    part = subject.resize((right - left, bottom - top), Image.Resampling.BICUBIC, box)
    canvas.paste(part, (left, top))
    return canvas


def _lay(picture: Image.Image, ground: Image.Image, scaling: str) -> None:
    """Put the picture into the middle of the ground, whole (fit) or covering it (fill)."""
    scales = (ground.width / picture.width, ground.height / picture.height)
    scale = max(scales) if scaling == "fill" else min(scales)
    width, height = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    frame = Frame(
        Size(*ground.size),
        (ground.width - width) // 2,
        (ground.height - height) // 2,
        width,
        height,
    )
    ground.alpha_composite(_placed(picture, frame))
