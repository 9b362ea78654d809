"""The rules between parameters that the server enforces: what it answers 400 or 500 to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.emulator.headers import read_header
from gateway.emulator.values import Colour, Length, Refused, Size, Value

__all__ = ["SHADOWS_2026", "UPSCALE_PIXELS", "Given", "check_edit", "refuse_large_upscale"]

SHADOWS_2026 = "2026-04-15"
"""The value of `pr-ai-shadows-model-version` that brings the new shadows."""

UPSCALE_PIXELS = {"ai.fast": 1_000_000, "ai.slow": 262_144}
"""The most pixels that each upscaler takes."""

_OLD_SHADOWS = frozenset({"ai.soft", "ai.hard", "ai.floating"})
_NEW_SHADOWS = frozenset({"ai.preset-soft", "ai.preset-hard", "ai.auto-with-overrides"})

# What may stand beside colorSpace=original, and what it may say at most. Any other parameter
# makes the call more than a pure cut-out to PNG.
_PURE: Mapping[str, frozenset[Value] | None] = {
    "imageFile": None,
    "imageUrl": None,
    "colorSpace": None,
    "removeBackground": frozenset({True}),
    "export.format": frozenset({"png"}),
    "outputSize": frozenset({"auto"}),
    "margin": frozenset({Length(0.0, "ratio")}),
    "padding": frozenset({Length(0.0, "ratio")}),
    "background.color": frozenset({Colour(0, 0, 0, 0)}),
    "preserveMetadata": frozenset({"never", "xmp"}),
    "keepExistingAlphaChannel": frozenset({"never"}),
    "segmentation.prompt": None,
    "segmentation.negativePrompt": None,
    "segmentation.mode": None,
}


@dataclass(frozen=True, slots=True)
class Given:
    """What was sent: values by name without any default, model headers, bytes of the files."""

    values: Mapping[str, Value]
    models: Mapping[str, str]
    files: Mapping[str, bytes]

    def under(self, prefix: str) -> bool:
        """Whether a name starts with `prefix`."""
        return any(name.startswith(prefix) for name in self.values)

    @property
    def keeps_background(self) -> bool:
        """Whether the picture is not cut out."""
        return self.values.get("removeBackground") is False


def check_edit(given: Given) -> None:
    """Raise `Refused` for the first rule that the request breaks."""
    for rule in _RULES:
        rule(given)


def refuse_large_upscale(mode: str, downscale: str | None, size: Size) -> None:
    """Raise `Refused` when a picture is too large to be scaled up and may not be shrunk first."""
    limit = UPSCALE_PIXELS[mode]
    if size.width * size.height > limit and downscale in {None, "never"}:
        raise Refused(400, f"upscale/mode {mode} accepts at most {limit} input pixels")


def _source(given: Given) -> None:
    sources = [
        name for name in ("imageUrl", "imageFile", "imageFromPrompt.prompt") if name in given.values
    ]
    if len(sources) > 1:
        raise Refused(400, f"{sources[0]} and {sources[1]} can't be provided together")
    if not sources and "templateId" not in given.values:
        raise Refused(400, "Please provide an image: imageUrl, imageFile or imageFromPrompt")


def _required(given: Given) -> None:
    """Members that their object must have, where any member of it is there."""
    for name in given.values:
        head, _, member = name.rpartition(".")
        if head.rpartition(".")[2] not in {"segmentation", "imageFromPrompt"}:
            continue
        if member != "prompt" and f"{head}.prompt" not in given.values:
            path = head.replace(".", "/")
            raise Refused(400, f"{path} must have required property 'prompt'")


def _unions(given: Given) -> None:
    for part in ("virtualModel.model", "virtualModel.scene"):
        if given.under(f"{part}.preset.") and given.under(f"{part}.custom."):
            raise Refused(400, f"{part.replace('.', '/')} must match a schema in anyOf")
    layers: dict[str, str] = {}
    for name in given.values:
        if name.startswith("layers."):
            _, key, kind, *_ = name.split(".")
            if layers.setdefault(key, kind) != kind:
                raise Refused(400, f"layers/{key} must match a schema in anyOf")


def _background(given: Given) -> None:
    names = ("background.prompt", "background.imageUrl", "background.imageFile")
    sources = [name for name in names if name in given.values]
    if len(sources) > 1:
        raise Refused(400, f"{sources[0]} and {sources[1]} can't be provided together")
    if "background.scaling" in given.values and not (sources and sources[0] != names[0]):
        raise Refused(400, "background.scaling can only be provided with a background image")


def _kept_background(given: Given) -> None:
    if not given.keeps_background:
        return
    for name in given.values:
        if name in {
            "background.imageUrl",
            "background.imageFile",
            "ignorePaddingAndSnapOnCroppedSides",
        } or name.startswith("background.guidance."):
            raise Refused(400, f"{name} can't be provided if removeBackground is set to false")
    if "beautify.mode" in given.values:
        raise Refused(
            500, "An unexpected error occurred. Please try again later or contact support."
        )


def _largest_side(given: Given) -> None:
    if given.values.get("outputSize") in {"originalImage", "croppedSubject"}:
        return
    for name in ("maxWidth", "maxHeight"):
        if name in given.values:
            raise Refused(
                400,
                f"{name} can only be provided if outputSize is originalImage or croppedSubject",
            )


def _shadow(given: Given) -> None:
    mode = given.values.get("shadow.mode")
    new = given.models.get("pr-ai-shadows-model-version") == SHADOWS_2026
    if (mode in _OLD_SHADOWS and new) or (mode in _NEW_SHADOWS and not new):
        raise Refused(400, f"shadow/mode {mode} is not supported by this AI Shadows model")


def _colour_space(given: Given) -> None:
    if given.values.get("colorSpace") != "original":
        return
    for name, value in given.values.items():
        allowed = _PURE.get(name, frozenset())
        if allowed is not None and value not in allowed:
            raise Refused(400, f'colorSpace "original" can\'t be combined with {name}')


def _subject_mismatch(given: Given) -> None:
    if (
        given.values.get("beautify.onSubjectMismatch") == "error"
        and given.values.get("beautify.mode") != "ai.food"
    ):
        raise Refused(400, "beautify/onSubjectMismatch error is only supported by ai.food")


def _upscale(given: Given) -> None:
    mode = given.values.get("upscale.mode")
    if not isinstance(mode, str) or "imageFile" not in given.files:
        return
    downscale = given.values.get("upscale.downscaleIfNeeded")
    size = read_header(given.files["imageFile"], "imageFile").size
    refuse_large_upscale(mode, str(downscale) if downscale else None, size)


def _hd_cutout(given: Given) -> None:
    if given.models.get("pr-hd-background-removal") == "auto" and given.under("segmentation."):
        raise Refused(400, "segmentation can't be used with pr-hd-background-removal")


_RULES: tuple[Callable[[Given], None], ...] = (
    _required,
    _unions,
    _source,
    _background,
    _kept_background,
    _largest_side,
    _shadow,
    _colour_space,
    _subject_mismatch,
    _hd_cutout,
    _upscale,
)
