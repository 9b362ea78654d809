"""Cases of the rules that warn."""

from __future__ import annotations

from tests.support.rule_cases import KEPT, TEMPLATE, URL, Case, Given, case

__all__ = ["WARNED"]

WARNED = (
    *(
        case("IGNORED_WITHOUT_CUTOUT", f"{KEPT}&{texts}", name, texts)
        for texts, name in (
            ("referenceBox=originalImage", "referenceBox"),
            ("uncrop.mode=ai.auto", "uncrop.mode"),
            ("background.prompt=a", "background.prompt"),
        )
    ),
    case(
        "FAILS_WITHOUT_CUTOUT",
        f"{KEPT}&beautify.mode=ai.auto",
        "beautify.mode",
        "beautify.mode=ai.auto",
    ),
    *(
        case("NEEDS_BACKGROUND_KEPT", texts, name, f"{KEPT}&{texts}")
        for texts, name in (
            ("background.blur.mode=bokeh", "background.blur.mode"),
            ("background.blur.radius=0.01", "background.blur.radius"),
            ("editWithAI.mode=ai.auto", "editWithAI.mode"),
        )
    ),
    Case(
        "SCALING_WITHOUT_IMAGE",
        Given(f"scaling=fit&templateId={TEMPLATE}", ""),
        "scaling",
        Given(f"scaling=fit&imageUrl={URL}", ""),
    ),
    Case(
        "SCALING_WITHOUT_IMAGE",
        Given("scaling=fit&imageFromPrompt.prompt=a", ""),
        "scaling",
        Given("scaling=fit"),
    ),
    *(
        case("NEEDS_BACKGROUND_PROMPT", texts, name, f"{texts}&background.prompt=a")
        for texts, name in (
            ("background.seed=1", "background.seed"),
            ("background.negativePrompt=a", "background.negativePrompt"),
            ("background.expandPrompt=auto", "background.expandPrompt.mode"),
            ("background.guidance.scale=1", "background.guidance.scale"),
        )
    ),
    Case(
        "OLD_BACKGROUND_MODEL",
        Given("background.negativePrompt=a", headers={"pr-ai-background-model-version": "3"}),
        "background.negativePrompt",
        Given("background.negativePrompt=a", headers={"pr-ai-background-model-version": "2"}),
    ),
    *(
        case("ALPHA_LOST", "export.format=jpg", "export.format", f"export.format=jpg&{texts}")
        for texts in ("background.color=red", "background.prompt=a", KEPT, f"templateId={TEMPLATE}")
    ),
    Case(
        "ALPHA_LOST",
        Given("export.format=jpeg"),
        "export.format",
        Given("export.format=jpeg", "imageFile background.imageFile"),
    ),
    case(
        "LAYERS_WITHOUT_TEMPLATE",
        "layers.a.text.content=x",
        "layers.a.text.content",
        f"layers.a.text.content=x&templateId={TEMPLATE}",
    ),
    case(
        "DEPRECATED",
        "describeAnyChange.mode=ai.auto",
        "describeAnyChange.mode",
        "editWithAI.mode=ai.auto",
    ),
    case("DEPRECATED", "preserveMetadata=exifSubset", "preserveMetadata", "preserveMetadata=xmp"),
    *(
        case("OPERATION_OFF", texts, texts.partition("=")[0], f"{texts}&{switch}")
        for texts, switch in (
            ("background.blur.radius=0.01", "background.blur.mode=bokeh"),
            ("beautify.seed=1", "beautify.mode=ai.auto"),
            ("editWithAI.prompt=a", "editWithAI.mode=ai.auto"),
            ("describeAnyChange.seed=1", "describeAnyChange.mode=ai.auto"),
            ("expand.seed=1", "expand.mode=ai.auto"),
            ("uncrop.seed=1", "uncrop.mode=ai.auto"),
            ("flatLay.size=SQUARE_HD", "flatLay.mode=ai.auto"),
            ("ghostMannequin.prompt=a", "ghostMannequin.mode=ai.auto"),
            ("virtualModel.model.preset.name=sam", "virtualModel.mode=ai.auto"),
        )
    ),
)
