"""The emulator's own parameter table, written from the vendor's specification: a row a leaf.

In a name `{key}` stands for a key of the caller's choice and `[i]` for an index from 0.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType

from gateway.emulator import words
from gateway.emulator.kinds import UUID, Choice, File, Flag, Kind, Text, Url
from gateway.emulator.measures import ColourText, LengthText, Number, OutputSize

__all__ = [
    "BASELINE",
    "EDIT_PARAMETERS",
    "MODEL_HEADERS",
    "SEGMENT_PARAMETERS",
    "Leaf",
    "edit_leaf",
]

BASELINE = "2026-03-28"
"""The day of the first specification; what it held is no newer than that."""

# Unions and maps of the specification: one documented name, several leaves.
_FAMILIES = (
    "layers",
    "virtualModel.additionalProductImages",
    "virtualModel.model",
    "virtualModel.scene",
    "background.expandPrompt",
)
_INDEX = re.compile(r"\[(?:0|[1-9]\d*)\]", re.ASCII)
_KEYED = re.compile(r"^(layers|editWithAI\.additionalImages)\.[^.\[\]]{1,128}(?=\.)")


@dataclass(frozen=True, slots=True)
class Leaf:
    """One parameter that holds one value.

    `default` is the documented text that absence means; `since` the day of the specification that
    brought it; `settles` the name under which its value is kept, where another one means the same.
    """

    name: str
    kind: Kind
    methods: frozenset[str] = frozenset({"GET", "POST"})
    default: str | None = None
    since: str = BASELINE
    settles: str = ""

    @property
    def documented(self) -> str:
        """The name under which the specification lists it."""
        for family in _FAMILIES:
            if self.name == family or self.name.startswith((f"{family}.", f"{family}[")):
                return family
        return self.name

    @property
    def example_name(self) -> str:
        """A name as a caller would send it."""
        return self.name.replace("{key}", "main").replace("[i]", "[0]")

    @property
    def examples(self) -> tuple[str, ...]:
        """Valid texts; none for a file."""
        return self.kind.examples

    @property
    def bad(self) -> tuple[str, ...]:
        """Texts that are refused."""
        return self.kind.bad


_GET = frozenset({"GET"})
_POST = frozenset({"POST"})


def _images(prefix: str, since: str = BASELINE, *, url_in_post: bool = False) -> tuple[Leaf, Leaf]:
    """A picture by its address or by its bytes."""
    methods = frozenset({"GET", "POST"}) if url_in_post else _GET
    return (
        Leaf(f"{prefix}imageUrl", Url(), methods, since=since),
        Leaf(f"{prefix}imageFile", File(), _POST, since=since),
    )


def _lengths(prefix: str, default: str | None = None) -> Iterable[Leaf]:
    """Margin and padding, general and of each side."""
    for name in ("margin", "padding"):
        yield Leaf(f"{prefix}{name}", LengthText(), default=default)
        for side in ("Top", "Right", "Bottom", "Left"):
            yield Leaf(f"{prefix}{name}{side}", LengthText())


_AUTO = Choice(("ai.auto",), refusal="must be equal to constant")
_PROMPT = Text(shortest=1)
_SEED = Number(typical=("1", "117879368", "9007199254740991"))
_PIXELS = Number(typical=("64", "1000"))
_UNIT = Number(minimum=0, maximum=1)
_HORIZONTAL = Choice(("left", "center", "right"))
_VERTICAL = Choice(("top", "center", "bottom"))
_FIT = Choice(("fit", "fill"))
_SEGMENTATION = Choice(("keepSalientObject", "ignoreSalientObject"))
_AUTO_NEVER = Choice(("auto", "never"))
_OVERRIDES_SINCE = "2026-04-21"
_EXPAND_PROMPT = MappingProxyType({"auto": "ai.auto", "never": "ai.never"})
_LAYER = "layers.{key}.image."

EDIT_PARAMETERS: tuple[Leaf, ...] = (
    *_images(""),
    Leaf("imageFromPrompt.prompt", _PROMPT),
    Leaf("imageFromPrompt.seed", _SEED),
    Leaf("imageFromPrompt.size", words.PROMPT_SIZES),
    Leaf("templateId", UUID),
    Leaf("removeBackground", Flag(), default="true"),
    Leaf("keepExistingAlphaChannel", _AUTO_NEVER, default="never"),
    Leaf("segmentation.prompt", Text()),
    Leaf("segmentation.negativePrompt", Text()),
    Leaf("segmentation.mode", _SEGMENTATION),
    # Place on the output.
    Leaf("outputSize", OutputSize(), default="auto"),
    Leaf("maxWidth", _PIXELS),
    Leaf("maxHeight", _PIXELS),
    Leaf("scaling", _FIT, default="fit"),
    Leaf("horizontalAlignment", _HORIZONTAL),
    Leaf("verticalAlignment", _VERTICAL),
    Leaf("referenceBox", Choice(("subjectBox", "originalImage")), default="subjectBox"),
    Leaf("ignorePaddingAndSnapOnCroppedSides", Flag(), default="true"),
    *_lengths("", default="0"),
    # Background.
    Leaf("background.color", ColourText(), default="transparent"),
    *_images("background."),
    Leaf("background.scaling", _FIT, default="fill"),
    Leaf("background.prompt", Text()),
    Leaf("background.negativePrompt", Text()),
    Leaf(
        "background.expandPrompt",
        Choice(("auto", "never"), _EXPAND_PROMPT, "must match a schema in anyOf"),
        settles="background.expandPrompt.mode",
    ),
    Leaf("background.expandPrompt.mode", Choice(("ai.auto", "ai.never"))),
    Leaf("background.seed", _SEED),
    *_images("background.guidance."),
    Leaf("background.guidance.scale", Number(maximum=1, typical=("0", "0.25", "1")), default="0.6"),
    Leaf("background.blur.mode", Choice(("gaussian", "bokeh"))),
    Leaf("background.blur.radius", Number(above=0, maximum=0.05), default="0.01"),
    # Effects on the subject and around it.
    Leaf("outline.color", ColourText()),
    Leaf("outline.width", Number(minimum=0, maximum=0.1), default="0.03"),
    Leaf("outline.blurRadius", Number(minimum=0, maximum=0.025), default="0"),
    Leaf("shadow.mode", words.SHADOWS),
    Leaf("shadow.directionOverride", words.DIRECTIONS, since=_OVERRIDES_SINCE),
    Leaf("shadow.intensityOverride", _UNIT, since=_OVERRIDES_SINCE),
    Leaf("shadow.softnessOverride", _UNIT, since=_OVERRIDES_SINCE),
    Leaf("shadow.spreadOverride", words.SPREADS, since=_OVERRIDES_SINCE),
    Leaf("shadow.subjectPoseOverride", words.SUBJECT_POSES, since=_OVERRIDES_SINCE),
    Leaf(
        "lighting.mode",
        Choice(("ai.auto", "ai.preserve-hue-and-saturation", "ai.optimize-portrait")),
    ),
    Leaf("textRemoval.mode", Choice(("ai.artificial", "ai.natural", "ai.all"))),
    Leaf("ironing.mode", _AUTO, since="2026-06-04"),
    Leaf("upscale.mode", Choice(("ai.fast", "ai.slow"))),
    Leaf(
        "upscale.downscaleIfNeeded",
        Choice(("never", "always", "skipUpscaleIfNotNeeded")),
        since="2026-04-27",
    ),
    # Generative edits.
    Leaf("beautify.mode", Choice(("ai.auto", "ai.food", "ai.car"))),
    Leaf("beautify.onSubjectMismatch", Choice(("ignore", "error")), since="2026-06-22"),
    Leaf("beautify.seed", _SEED),
    Leaf("expand.mode", _AUTO),
    Leaf("expand.seed", _SEED),
    Leaf("uncrop.mode", _AUTO),
    Leaf("uncrop.seed", _SEED),
    Leaf("editWithAI.mode", _AUTO),
    Leaf("editWithAI.prompt", _PROMPT),
    Leaf("editWithAI.seed", _SEED),
    *_images("editWithAI.additionalImages.{key}.", "2026-04-22"),
    Leaf("describeAnyChange.mode", _AUTO),
    Leaf("describeAnyChange.prompt", _PROMPT),
    Leaf("describeAnyChange.seed", _SEED),
    Leaf("flatLay.mode", _AUTO),
    Leaf("flatLay.prompt", Text()),
    Leaf("flatLay.size", words.MODEL_SIZES, default="SQUARE_HD"),
    Leaf("ghostMannequin.mode", _AUTO),
    Leaf("ghostMannequin.prompt", Text()),
    Leaf("ghostMannequin.size", words.MODEL_SIZES, default="SQUARE_HD"),
    Leaf("virtualModel.mode", _AUTO),
    Leaf("virtualModel.prompt", Text()),
    Leaf("virtualModel.size", words.MODEL_SIZES, default="PORTRAIT_HD_3_2"),
    Leaf("virtualModel.quality", Choice(("standard", "advanced", "premium")), default="standard"),
    Leaf("virtualModel.pose", words.POSES, default="random"),
    Leaf("virtualModel.model.preset.name", words.MODELS, default="avery"),
    *_images("virtualModel.model.custom.", url_in_post=True),
    Leaf("virtualModel.scene.preset.name", words.SCENES, default="random"),
    *_images("virtualModel.scene.custom.", url_in_post=True),
    *_images("virtualModel.additionalProductImages[i].", url_in_post=True),
    # Layers of a template.
    Leaf("layers.{key}.text.content", Text()),
    Leaf("layers.{key}.text.font", Text(typical=("Inter",))),
    Leaf("layers.{key}.text.foregroundColor", ColourText()),
    Leaf("layers.{key}.text.backgroundColor", ColourText()),
    *_images(_LAYER, url_in_post=True),
    Leaf(f"{_LAYER}imageFromPrompt.prompt", _PROMPT),
    Leaf(f"{_LAYER}imageFromPrompt.seed", _SEED),
    Leaf(f"{_LAYER}imageFromPrompt.size", words.PROMPT_SIZES),
    Leaf(f"{_LAYER}removeBackground", _AUTO_NEVER),
    Leaf(f"{_LAYER}useForAIBackground", _AUTO_NEVER),
    Leaf(f"{_LAYER}horizontalAlignment", _HORIZONTAL),
    Leaf(f"{_LAYER}verticalAlignment", _VERTICAL),
    *_lengths(_LAYER),
    Leaf(f"{_LAYER}segmentation.prompt", Text()),
    Leaf(f"{_LAYER}segmentation.negativePrompt", Text()),
    Leaf(f"{_LAYER}segmentation.mode", _SEGMENTATION),
    # What is written.
    Leaf(
        "export.format",
        Choice(("png", "jpeg", "jpg", "webp", "avif"), MappingProxyType({"jpg": "jpeg"})),
        default="png",
    ),
    Leaf("export.dpi", Number(minimum=72, maximum=1200)),
    Leaf("colorSpace", Choice(("original", "sRGB")), default="sRGB", since="2026-06-16"),
    Leaf(
        "preserveMetadata",
        Choice(("never", "xmp", "exifSubset", "exifSubsetWithXmpCompatibility")),
        default="never",
    ),
)

SEGMENT_PARAMETERS: tuple[Leaf, ...] = (
    Leaf("image_file", File(), _POST),
    Leaf("format", Choice(("png", "jpg", "webp")), _POST, default="png"),
    Leaf("channels", Choice(("rgba", "alpha")), _POST, default="rgba"),
    Leaf("bg_color", ColourText(), _POST),
    Leaf("size", Choice(("preview", "medium", "hd", "full")), _POST, default="full"),
    Leaf("crop", Choice(("true", "false")), _POST, default="false"),
    Leaf("despill", Choice(("true", "false")), _POST, default="false"),
)

MODEL_HEADERS: tuple[Leaf, ...] = (
    Leaf(
        "pr-ai-background-model-version",
        Choice(("2", "3", "background-studio-beta-2025-03-17")),
        default="3",
    ),
    Leaf("pr-ai-shadows-model-version", Choice(("2026-04-15",))),
    Leaf("pr-hd-background-removal", Choice(("auto",))),
    Leaf("pr-background-removal-model-version", Choice(("2023-06-01", "2024-09-26"))),
    Leaf("pr-ai-upscale-model-version", Choice(("ai-upscale-2025-07-29",))),
)

_BY_NAME = MappingProxyType({leaf.name: leaf for leaf in EDIT_PARAMETERS})


def edit_leaf(wire_name: str) -> Leaf | None:
    """The row of a name as a caller sent it; None when there is none."""
    return _BY_NAME.get(_INDEX.sub("[i]", _KEYED.sub(r"\1.{key}", wire_name)))
