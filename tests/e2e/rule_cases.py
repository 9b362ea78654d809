"""Calls that break one rule between parameters each."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.domain.edit import Operation
from tests.e2e.asks import Ask, Found, edit_of
from tests.e2e.companions import TEMPLATE
from tests.e2e.odd_pictures import flat
from tests.support.pictures import png

__all__ = ["REFUSED", "UNSAYABLE", "WARNED", "Case"]

_KEPT = {"removeBackground": "false"}
_URL = "https://pictures.invalid/chair.jpg"
_SMALL = png(24, 24)
_NEW_SHADOWS = {"pr-ai-shadows-model-version": "2026-04-15"}
_OVERRIDDEN = {"shadow.mode": "ai.auto-with-overrides"}
_MODEL = {"virtualModel.mode": "ai.auto"}
_TEMPLATED = {"templateId": TEMPLATE}
_GUIDANCE = "background.guidance.imageFile"


@dataclass(frozen=True, slots=True)
class Case:
    """A call, and all that is found in it: wire names and codes."""

    ask: Ask
    found: Found

    @property
    def id(self) -> str:
        return " ".join(f"{code} {name}" for name, code in self.found)


def _case(code: str, ask: Ask, *fields: str) -> Case:
    return Case(ask, [(name, code) for name in fields])


def _original(name: str, text: str) -> Case:
    """A parameter beside colorSpace=original; all that stands here is allowed where that is not."""
    return _case("COLOR_SPACE", edit_of({"colorSpace": "original", name: text}), name)


REFUSED = [
    _case("SOURCE_MISSING", Ask({"background.color": "red"}), "imageFile"),
    _case("SOURCE_MISSING", Ask({"format": "png"}, operation=Operation.SEGMENT), "image_file"),
    _case(
        "SOURCE_CONFLICT",
        edit_of({"imageFromPrompt.prompt": "a cup"}),
        "imageFile",
        "imageFromPrompt.prompt",
    ),
    _case(
        "SOURCE_CONFLICT",
        Ask({"imageUrl": _URL, "imageFromPrompt.prompt": "a cup"}),
        "imageUrl",
        "imageFromPrompt.prompt",
    ),
    _case("MIXED_SOURCES", edit_of({"background.imageUrl": _URL}), "background.imageUrl"),
    _case(
        "MIXED_SOURCES",
        edit_of({**_TEMPLATED, "layers.a.image.imageUrl": _URL}),
        "layers.a.image.imageUrl",
    ),
    _case(
        "BACKGROUND_CONFLICT",
        edit_of({"background.prompt": "fog"}).also(files={"background.imageFile": _SMALL}),
        "background.prompt",
        "background.imageFile",
    ),
    _case(
        "BACKGROUND_CONFLICT",
        Ask({"imageUrl": _URL, "background.prompt": "fog", "background.imageUrl": _URL}),
        "background.prompt",
        "background.imageUrl",
    ),
    _case(
        "NEEDS_CUTOUT",
        edit_of(_KEPT).also(files={"background.imageFile": _SMALL}),
        "background.imageFile",
    ),
    _case(
        "NEEDS_CUTOUT",
        Ask({**_KEPT, "imageUrl": _URL, "background.imageUrl": _URL}),
        "background.imageUrl",
    ),
    _case(
        "NEEDS_CUTOUT",
        edit_of({**_KEPT, "background.guidance.scale": "1"}).also(files={_GUIDANCE: _SMALL}),
        "background.guidance.scale",
        _GUIDANCE,
    ),
    *(
        _case(
            "NEEDS_CUTOUT",
            edit_of({**_KEPT, "ignorePaddingAndSnapOnCroppedSides": text}),
            "ignorePaddingAndSnapOnCroppedSides",
        )
        for text in ("true", "false")
    ),
    _case("BACKGROUND_SCALING", edit_of({"background.scaling": "fit"}), "background.scaling"),
    _case(
        "BACKGROUND_SCALING",
        edit_of({"background.scaling": "fit", "background.prompt": "fog"}),
        "background.scaling",
    ),
    _case("MAX_SIZE", edit_of({"maxWidth": "100"}), "maxWidth"),
    _case(
        "MAX_SIZE",
        edit_of({"outputSize": "200x100", "maxWidth": "100", "maxHeight": "100"}),
        "maxWidth",
        "maxHeight",
    ),
    *(
        _case(
            "SHADOW_OVERRIDES",
            edit_of({f"shadow.{name}Override": text}, None, _NEW_SHADOWS),
            f"shadow.{name}Override",
        )
        for name, text in (
            ("direction", "left"),
            ("intensity", "1"),
            ("softness", "1"),
            ("spread", "short"),
            ("subjectPose", "flatlay"),
        )
    ),
    _case(
        "SHADOW_MODEL",
        edit_of({**_OVERRIDDEN, "shadow.softnessOverride": "1"}),
        "shadow.softnessOverride",
        "shadow.mode",
    ),
    _case("SHADOW_MODEL", edit_of({"shadow.mode": "ai.preset-soft"}), "shadow.mode"),
    _case(
        "SHADOW_MODEL",
        edit_of(
            {"shadow.mode": "ai.preset-hard"}, None, {"pr-ai-shadows-model-version": "default"}
        ),
        "shadow.mode",
    ),
    *(
        _case("SHADOW_MODEL", edit_of({"shadow.mode": mode}, None, _NEW_SHADOWS), "shadow.mode")
        for mode in ("ai.soft", "ai.hard", "ai.floating")
    ),
    _original("background.color", "red"),
    _original("shadow.mode", "ai.soft"),
    _original("outputSize", "100x100"),
    _original("padding", "10px"),
    _original("export.format", "webp"),
    _original("export.dpi", "300"),
    _original("keepExistingAlphaChannel", "auto"),
    _original("preserveMetadata", "exifSubset"),
    _original("removeBackground", "false"),
    _case(
        "SUBJECT_MISMATCH",
        edit_of({"beautify.mode": "ai.auto", "beautify.onSubjectMismatch": "error"}),
        "beautify.onSubjectMismatch",
    ),
    _case(
        "UPSCALE_TOO_LARGE",
        edit_of({"upscale.mode": "ai.fast"}, {"imageFile": flat(1001, 1000)}),
        "upscale.mode",
    ),
    _case(
        "UPSCALE_TOO_LARGE",
        edit_of(
            {"upscale.mode": "ai.slow", "upscale.downscaleIfNeeded": "never"},
            {"imageFile": flat(513, 512)},
        ),
        "upscale.mode",
    ),
    *(
        _case(
            "HD_WITH_SEGMENTATION",
            edit_of(
                {"segmentation.prompt": "x", **more}, None, {"pr-hd-background-removal": "auto"}
            ),
            "segmentation.prompt",
            *more,
        )
        for more in ({}, {"segmentation.negativePrompt": "y"})
    ),
    _case(
        "PROMPT_MISSING",
        edit_of({**_TEMPLATED, "layers.a.image.imageFromPrompt.seed": "1"}),
        "layers.a.image.imageFromPrompt.prompt",
    ),
    _case(
        "PROMPT_MISSING",
        edit_of({**_TEMPLATED, "layers.a.image.segmentation.mode": "keepSalientObject"}),
        "layers.a.image.segmentation.prompt",
    ),
    _case("PROMPT_MISSING", edit_of({"imageFromPrompt.seed": "1"}), "imageFromPrompt.prompt"),
    _case(
        "PROMPT_MISSING",
        edit_of({"segmentation.mode": "keepSalientObject"}),
        "segmentation.prompt",
    ),
]
"""With those below, every rule that refuses, at least once."""

UNSAYABLE = [
    Case(
        edit_of({"imageUrl": _URL}),
        [
            ("imageFile", "SOURCE_CONFLICT"),
            ("imageUrl", "SOURCE_CONFLICT"),
            ("imageUrl", "MIXED_SOURCES"),
        ],
    ),
    *(
        _case(
            "PRESET_CONFLICT",
            edit_of({**_MODEL, f"virtualModel.{part}.preset.name": name}).also(
                files={f"virtualModel.{part}.custom.imageFile": _SMALL}
            ),
            f"virtualModel.{part}.custom.imageFile",
        )
        for part, name in (("model", "avery"), ("scene", "beach"))
    ),
    _case(
        "LAYER_CONFLICT",
        edit_of({**_TEMPLATED, "layers.a.text.content": "x", "layers.a.image.margin": "0"}),
        "layers.a.image",
    ),
]
"""Calls that only a form can make: a message has one place for both branches."""

WARNED = [
    _case(
        "IGNORED_WITHOUT_CUTOUT",
        edit_of({**_KEPT, "referenceBox": "originalImage", "uncrop.mode": "ai.auto"}),
        "referenceBox",
        "uncrop.mode",
    ),
    _case(
        "IGNORED_WITHOUT_CUTOUT",
        edit_of({**_KEPT, "background.prompt": "fog"}),
        "background.prompt",
    ),
    _case("FAILS_WITHOUT_CUTOUT", edit_of({**_KEPT, "beautify.mode": "ai.food"}), "beautify.mode"),
    _case(
        "NEEDS_BACKGROUND_KEPT",
        edit_of({"background.blur.mode": "bokeh"}),
        "background.blur.mode",
    ),
    _case(
        "NEEDS_BACKGROUND_KEPT",
        edit_of({"editWithAI.mode": "ai.auto", "editWithAI.prompt": "at night"}),
        "editWithAI.mode",
    ),
    _case(
        "SCALING_WITHOUT_IMAGE",
        Ask({"imageFromPrompt.prompt": "a cup", "scaling": "fill"}),
        "scaling",
    ),
    _case(
        "NEEDS_BACKGROUND_PROMPT",
        edit_of(
            {
                "background.seed": "1",
                "background.expandPrompt.mode": "ai.never",
                "background.guidance.scale": "1",
            }
        ),
        "background.seed",
        "background.expandPrompt.mode",
        "background.guidance.scale",
    ),
    _case(
        "OLD_BACKGROUND_MODEL",
        edit_of({"background.prompt": "fog", "background.negativePrompt": "rain"}),
        "background.negativePrompt",
    ),
    _case("ALPHA_LOST", edit_of({"export.format": "jpeg"}), "export.format"),
    _case(
        "LAYERS_WITHOUT_TEMPLATE", edit_of({"layers.a.text.content": "x"}), "layers.a.text.content"
    ),
    _case(
        "DEPRECATED",
        edit_of({"describeAnyChange.mode": "ai.auto", "describeAnyChange.prompt": "at night"}),
        "describeAnyChange.mode",
        "describeAnyChange.prompt",
    ),
    _case("DEPRECATED", edit_of({"preserveMetadata": "exifSubset"}), "preserveMetadata"),
    *(
        _case("OPERATION_OFF", edit_of({**more, name: text}), name)
        for name, text, more in (
            ("background.blur.radius", "0.01", _KEPT),
            ("beautify.seed", "1", {}),
            ("editWithAI.prompt", "at night", {}),
            ("expand.seed", "1", {}),
            ("uncrop.seed", "1", {}),
            ("flatLay.size", "SQUARE_HD", {}),
            ("ghostMannequin.prompt", "on a wall", {}),
            ("virtualModel.pose", "standing", {}),
        )
    ),
    Case(
        edit_of({"describeAnyChange.seed": "1"}),
        [("describeAnyChange.seed", "DEPRECATED"), ("describeAnyChange.seed", "OPERATION_OFF")],
    ),
]
"""Every rule that warns, at least once."""
