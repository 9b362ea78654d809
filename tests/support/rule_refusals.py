"""Cases of the rules that refuse."""

from __future__ import annotations

from gateway.domain.edit import Operation
from tests.support.rule_cases import HD, KEPT, NEW_SHADOWS, TEMPLATE, URL, Case, Given, case

__all__ = ["REFUSED"]

OVERRIDES = {
    "directionOverride": "left",
    "intensityOverride": "0.5",
    "softnessOverride": "0.5",
    "spreadOverride": "short",
    "subjectPoseOverride": "upright",
}
CUSTOM = "virtualModel.model.custom.imageFile"
SCENE = "virtualModel.scene.custom.imageFile"

REFUSED = (
    Case("SOURCE_MISSING", Given("export.format=png", ""), "imageFile", Given()),
    Case("SOURCE_MISSING", Given("", ""), "imageFile", Given(f"imageUrl={URL}", "")),
    Case("SOURCE_MISSING", Given("", ""), "imageFile", Given("imageFromPrompt.prompt=a", "")),
    Case("SOURCE_MISSING", Given("", ""), "imageFile", Given(f"templateId={TEMPLATE}", "")),
    Case(
        "SOURCE_MISSING",
        Given("", "", operation=Operation.SEGMENT),
        "image_file",
        Given("", "image_file", operation=Operation.SEGMENT),
    ),
    Case(
        "SOURCE_CONFLICT",
        Given(f"imageUrl={URL}"),
        "imageFile imageUrl",
        Given(f"templateId={TEMPLATE}"),
    ),
    Case(
        "SOURCE_CONFLICT",
        Given(f"imageUrl={URL}&imageFromPrompt.prompt=a", ""),
        "imageFromPrompt.prompt imageUrl",
        Given(f"imageFromPrompt.prompt=a&templateId={TEMPLATE}", ""),
    ),
    Case(
        "SOURCE_CONFLICT",
        Given("imageFromPrompt.prompt=a"),
        "imageFile imageFromPrompt.prompt",
        Given(),
    ),
    Case(
        "MIXED_SOURCES",
        Given(f"background.imageUrl={URL}"),
        "background.imageUrl",
        Given(f"imageUrl={URL}&background.imageUrl={URL}", ""),
    ),
    Case(
        "MIXED_SOURCES",
        Given(f"virtualModel.additionalProductImages[0].imageUrl={URL}"),
        "virtualModel.additionalProductImages[0].imageUrl",
        Given("", "imageFile virtualModel.additionalProductImages[0].imageFile"),
    ),
    Case(
        "BACKGROUND_CONFLICT",
        Given("background.prompt=a", "imageFile background.imageFile"),
        "background.imageFile background.prompt",
        Given("background.color=red", "imageFile background.imageFile"),
    ),
    Case(
        "BACKGROUND_CONFLICT",
        Given(f"imageUrl={URL}&background.imageUrl={URL}&background.prompt=a", ""),
        "background.imageUrl background.prompt",
        Given("background.prompt=a&background.color=red"),
    ),
    *(
        Case("NEEDS_CUTOUT", Given(f"{KEPT}&{texts}", files), wrong, Given(texts, files))
        for texts, files, wrong in (
            ("", "imageFile background.imageFile", "background.imageFile"),
            (f"imageUrl={URL}&background.imageUrl={URL}", "", "background.imageUrl"),
            ("", "imageFile background.guidance.imageFile", "background.guidance.imageFile"),
            (
                f"imageUrl={URL}&background.guidance.imageUrl={URL}",
                "",
                "background.guidance.imageUrl",
            ),
            ("background.guidance.scale=0.5", "imageFile", "background.guidance.scale"),
            (
                "ignorePaddingAndSnapOnCroppedSides=false",
                "imageFile",
                "ignorePaddingAndSnapOnCroppedSides",
            ),
        )
    ),
    Case(
        "BACKGROUND_SCALING",
        Given("background.scaling=fit&background.prompt=a"),
        "background.scaling",
        Given("background.scaling=fit", "imageFile background.imageFile"),
    ),
    Case(
        "BACKGROUND_SCALING",
        Given("background.scaling=fit"),
        "background.scaling",
        Given(f"imageUrl={URL}&background.imageUrl={URL}&background.scaling=fit", ""),
    ),
    case(
        "MAX_SIZE",
        "maxWidth=5&maxHeight=5",
        "maxHeight maxWidth",
        "maxWidth=5&maxHeight=5&outputSize=croppedSubject",
    ),
    case(
        "MAX_SIZE", "maxWidth=5&outputSize=auto", "maxWidth", "maxWidth=5&outputSize=originalImage"
    ),
    case("MAX_SIZE", "maxHeight=5&outputSize=9x9", "maxHeight", "outputSize=9x9"),
    *(
        case(
            "SHADOW_OVERRIDES",
            f"shadow.mode=ai.preset-soft&shadow.{name}={text}",
            f"shadow.{name}",
            f"shadow.mode=ai.auto-with-overrides&shadow.{name}={text}",
            NEW_SHADOWS,
        )
        for name, text in OVERRIDES.items()
    ),
    *(
        Case(
            "SHADOW_MODEL",
            Given(f"shadow.mode=ai.auto-with-overrides&shadow.{name}={text}"),
            " ".join(sorted(("shadow.mode", f"shadow.{name}"))),
            Given(f"shadow.mode=ai.auto-with-overrides&shadow.{name}={text}", headers=NEW_SHADOWS),
        )
        for name, text in OVERRIDES.items()
    ),
    *(
        Case(
            "SHADOW_MODEL",
            Given(f"shadow.mode={mode}", headers={"pr-ai-shadows-model-version": "default"}),
            "shadow.mode",
            Given(f"shadow.mode={mode}", headers=NEW_SHADOWS),
        )
        for mode in ("ai.preset-soft", "ai.preset-hard", "ai.auto-with-overrides")
    ),
    *(
        Case(
            "SHADOW_MODEL",
            Given(f"shadow.mode={mode}", headers=NEW_SHADOWS),
            "shadow.mode",
            Given(f"shadow.mode={mode}"),
        )
        for mode in ("ai.soft", "ai.hard", "ai.floating")
    ),
    *(
        case("COLOR_SPACE", f"colorSpace=original&{texts}", name, f"colorSpace=sRGB&{texts}")
        for texts, name in (
            ("background.color=red", "background.color"),
            ("shadow.mode=ai.soft", "shadow.mode"),
            ("padding=0.1", "padding"),
            ("export.format=webp", "export.format"),
            ("export.dpi=72", "export.dpi"),
            ("keepExistingAlphaChannel=auto", "keepExistingAlphaChannel"),
            ("preserveMetadata=exifSubset", "preserveMetadata"),
            ("preserveMetadata=exifSubsetWithXmpCompatibility", "preserveMetadata"),
            (KEPT, "removeBackground"),
            (f"templateId={TEMPLATE}", "templateId"),
        )
    ),
    *(
        case(
            "COLOR_SPACE",
            "colorSpace=original&scaling=fit",
            "scaling",
            f"colorSpace=original&{texts}",
        )
        for texts in (
            "",
            "removeBackground=true&export.format=png&outputSize=auto&padding=0",
            "keepExistingAlphaChannel=never&preserveMetadata=xmp",
            "segmentation.prompt=a&segmentation.negativePrompt=b&segmentation.mode=keepSalientObject",
        )
    ),
    Case(
        "COLOR_SPACE",
        Given("colorSpace=original&scaling=fit", headers=HD),
        "scaling",
        Given(f"colorSpace=original&imageUrl={URL}", "", headers=HD),
    ),
    case(
        "SUBJECT_MISMATCH",
        "beautify.mode=ai.car&beautify.onSubjectMismatch=error",
        "beautify.onSubjectMismatch",
        "beautify.mode=ai.food&beautify.onSubjectMismatch=error",
    ),
    case(
        "SUBJECT_MISMATCH",
        "beautify.onSubjectMismatch=error",
        "beautify.onSubjectMismatch",
        "beautify.mode=ai.car&beautify.onSubjectMismatch=ignore",
    ),
    *(
        Case(
            "UPSCALE_TOO_LARGE",
            Given(f"upscale.mode={mode}", pixels=cap + 1),
            "upscale.mode",
            Given(f"upscale.mode={mode}", pixels=cap),
        )
        for mode, cap in (("ai.fast", 1_000_000), ("ai.slow", 262_144))
    ),
    *(
        Case(
            "UPSCALE_TOO_LARGE",
            Given("upscale.mode=ai.slow&upscale.downscaleIfNeeded=never", pixels=10**7),
            "upscale.mode",
            right,
        )
        for right in (
            Given("upscale.mode=ai.slow&upscale.downscaleIfNeeded=always", pixels=10**7),
            Given(
                "upscale.mode=ai.slow&upscale.downscaleIfNeeded=skipUpscaleIfNotNeeded",
                pixels=10**7,
            ),
            Given("upscale.mode=ai.slow"),
            Given("upscale.downscaleIfNeeded=never", pixels=10**7),
        )
    ),
    Case(
        "HD_WITH_SEGMENTATION",
        Given("segmentation.prompt=a&segmentation.negativePrompt=b", headers=HD),
        "segmentation.negativePrompt segmentation.prompt",
        Given("segmentation.prompt=a&segmentation.negativePrompt=b"),
    ),
    Case(
        "HD_WITH_SEGMENTATION",
        Given("segmentation.negativePrompt=b", headers=HD),
        "segmentation.negativePrompt",
        Given(headers=HD),
    ),
    Case(
        "PRESET_CONFLICT",
        Given("virtualModel.model.preset.name=sam", f"imageFile {CUSTOM}"),
        CUSTOM,
        Given("virtualModel.scene.preset.name=beach", f"imageFile {CUSTOM}"),
    ),
    Case(
        "PRESET_CONFLICT",
        Given("virtualModel.scene.preset.name=beach", f"imageFile {SCENE}"),
        SCENE,
        Given("virtualModel.model.preset.name=sam", f"imageFile {SCENE}"),
    ),
    Case(
        "LAYER_CONFLICT",
        Given("layers.a.text.content=x", "imageFile layers.a.image.imageFile"),
        "layers.a.image",
        Given("layers.a.text.content=x", "imageFile layers.b.image.imageFile"),
    ),
    *(
        case(
            "PROMPT_MISSING",
            f"layers.a.image.{group}.{texts}",
            f"layers.a.image.{group}.prompt",
            f"layers.a.image.{group}.{texts}&layers.a.image.{group}.prompt=x",
        )
        for group, texts in (
            ("imageFromPrompt", "seed=1"),
            ("imageFromPrompt", "size=SQUARE_HD"),
            ("segmentation", "mode=keepSalientObject"),
            ("segmentation", "negativePrompt=x"),
        )
    ),
    *(
        case(
            "PROMPT_MISSING",
            f"{group}.{texts}",
            f"{group}.prompt",
            f"{group}.{texts}&{group}.prompt=x",
        )
        for group, texts in (
            ("segmentation", "mode=keepSalientObject"),
            ("segmentation", "negativePrompt=x"),
        )
    ),
    Case(
        "PROMPT_MISSING",
        Given("imageFromPrompt.seed=1"),
        "imageFromPrompt.prompt",
        Given("imageFromPrompt.seed=1&imageFromPrompt.prompt=x", ""),
    ),
)
