"""The rules between parameters, as one table of data.

A row says *refuse* where the specification forbids a combination, or where it is known to end in a 400
or in a call that is paid for and does nothing; it says *warn* where the vendor or its users advise
against it. Rules see what was set, before any default. Sources: the vendor's published schema, and
behaviour that integrators report.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gateway.domain.edit import Operation
from gateway.domain.errors import Violation
from gateway.domain.facts import (
    Facts,
    Finder,
    all_of,
    any_of,
    is_one_of,
    more_than_one,
    unless_value,
    with_value,
    without,
)

__all__ = ["PIXELS_COUNT_WITH", "RULES", "SHADOW_MODEL", "Level", "Rule", "check_rules"]

SHADOW_MODEL: Final = "2026-04-15"
"""The shadow model that the newer modes and the overrides need."""

PIXELS_COUNT_WITH: Final = "upscale.mode"
"""Without this parameter no rule asks how large the picture is."""

_SHADOWS = "pr-ai-shadows-model-version"
_BACKGROUNDS = "pr-ai-background-model-version"
_HD = "pr-hd-background-removal"
_UPSCALE_PIXELS: Final = {"ai.fast": 1_000_000, "ai.slow": 262_144}
_PURE_CUTOUT: Final = frozenset(
    {"imageFile", "imageUrl", "colorSpace", "preserveMetadata", "removeBackground"}
    | {"segmentation.prompt", "segmentation.negativePrompt", "segmentation.mode"}
)


class Level(enum.StrEnum):
    """What happens to a call that a rule finds."""

    REFUSE = "refuse"
    WARN = "warn"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: a stable code, its level, what it finds, and why, in words."""

    code: str
    level: Level
    find: Finder
    why: str


def check_rules(facts: Facts) -> tuple[tuple[Violation, ...], tuple[Violation, ...]]:
    """Return everything for which the call is refused, and everything that is doubtful about it."""
    found: dict[Level, list[Violation]] = {level: [] for level in Level}
    for rule in _INDEX.asked(facts):
        found[rule.level] += [Violation(name, rule.code, rule.why) for name in rule.find(facts)]
    return tuple(found[Level.REFUSE]), tuple(found[Level.WARN])


class _Index:
    """Which rules to ask: few of them have to do with any one call."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self._rules = rules
        self._always = {i for i, rule in enumerate(rules) if not rule.find.needs}
        self._by_need: dict[str, list[int]] = {}
        for i, rule in enumerate(rules):
            for name in rule.find.needs:
                self._by_need.setdefault(name, []).append(i)

    def asked(self, facts: Facts) -> Iterator[Rule]:
        """Yield, in their order, the rules that may find something."""
        asked = self._always.union(*(self._by_need.get(path, ()) for path in facts.paths))
        return (self._rules[i] for i in sorted(asked))


def _rules(level: Level, *rows: tuple[str, Finder, str]) -> tuple[Rule, ...]:
    return tuple(Rule(code, level, find, why) for code, find, why in rows)


def _source_missing(facts: Facts) -> list[str]:
    if facts.operation is Operation.SEGMENT:
        return [] if facts.has("image_file") else ["image_file"]
    sources = ("imageFile", "imageUrl", "imageFromPrompt.prompt", "templateId")
    return [] if facts.present(*sources) else ["imageFile"]


def _not_pure(facts: Facts) -> list[str]:
    if facts.value("colorSpace") != "original":
        return []
    fine = _PURE_CUTOUT | facts.silent
    wrong = [n for n in facts.names if n not in fine and not n.startswith("pr-")]
    wrong += is_one_of("removeBackground", "false")(facts)
    return [
        *wrong,
        *is_one_of("preserveMetadata", "exifSubset", "exifSubsetWithXmpCompatibility")(facts),
    ]


def _upscale_too_large(facts: Facts) -> list[str]:
    cap = _UPSCALE_PIXELS.get(facts.value(PIXELS_COUNT_WITH) or "")
    if cap is None or facts.pixels is None or facts.pixels <= cap:
        return []
    return ["upscale.mode"] if facts.value("upscale.downscaleIfNeeded") in {None, "never"} else []


def _mixed(facts: Facts) -> list[str]:
    return facts.urls if facts.images else []


def _layer_siblings(branches: tuple[str, str]) -> Finder:
    """Layers in which both branches are set."""

    def find(facts: Facts) -> list[str]:
        layers = {name.split(".")[1] for name in facts.present("layers.")}
        both = [
            layer
            for layer in sorted(layers)
            if all(facts.present(f"layers.{layer}.{branch}.") for branch in branches)
        ]
        return [f"layers.{layer}.{branches[1]}" for layer in both]

    return Finder(("layers.",), find)


def _prompt_missing(group: str) -> Finder:
    """Groups, in the edit and in its image layers, that are set without the prompt that they require."""

    def find(facts: Facts) -> list[str]:
        layers = {name.split(".")[1] for name in facts.present("layers.")}
        prefixes = ["", *(f"layers.{layer}.image." for layer in sorted(layers))]
        return [
            f"{prefix}{group}.prompt"
            for prefix in prefixes
            if facts.present(f"{prefix}{group}.") and not facts.has(f"{prefix}{group}.prompt")
        ]

    return Finder((f"{group}.", "layers."), find)


_BACKGROUND_IMAGE = ("background.imageUrl", "background.imageFile")
_SHADOW_OVERRIDES = (
    "shadow.directionOverride",
    "shadow.intensityOverride",
    "shadow.softnessOverride",
    "shadow.spreadOverride",
    "shadow.subjectPoseOverride",
)
_OLD_SHADOWS = ("ai.soft", "ai.hard", "ai.floating")
_NEW_SHADOWS = ("ai.preset-soft", "ai.preset-hard", "ai.auto-with-overrides")
_SWITCHED: Final = (
    ("background.blur", "mode"),
    ("beautify", "mode"),
    ("editWithAI", "mode"),
    ("describeAnyChange", "mode"),
    ("expand", "mode"),
    ("uncrop", "mode"),
    ("flatLay", "mode"),
    ("ghostMannequin", "mode"),
    ("virtualModel", "mode"),
)
"""Operations, and the parameter without which the others of the operation do nothing."""

_REFUSALS: Final = _rules(
    Level.REFUSE,
    ("SOURCE_MISSING", Finder((), _source_missing), "the call needs a picture to work on"),
    (
        "SOURCE_CONFLICT",
        more_than_one("imageFile", "imageUrl", "imageFromPrompt.prompt"),
        "give one source: imageFile, imageUrl or imageFromPrompt",
    ),
    ("MIXED_SOURCES", Finder((), _mixed), "bytes and URLs cannot be mixed in one call"),
    (
        "BACKGROUND_CONFLICT",
        more_than_one("background.prompt", *_BACKGROUND_IMAGE),
        "give one background: prompt, imageUrl or imageFile",
    ),
    (
        "NEEDS_CUTOUT",
        with_value(
            "removeBackground",
            "false",
            *_BACKGROUND_IMAGE,
            "background.guidance.",
            "ignorePaddingAndSnapOnCroppedSides",
        ),
        "cannot be given with removeBackground=false",
    ),
    (
        "BACKGROUND_SCALING",
        without(_BACKGROUND_IMAGE, "background.scaling"),
        "only with a background image",
    ),
    (
        "MAX_SIZE",
        unless_value("outputSize", ("originalImage", "croppedSubject"), "maxWidth", "maxHeight"),
        "only with outputSize originalImage or croppedSubject",
    ),
    (
        "SHADOW_OVERRIDES",
        unless_value("shadow.mode", ("ai.auto-with-overrides",), *_SHADOW_OVERRIDES),
        "only with shadow.mode ai.auto-with-overrides; it would be ignored and billed",
    ),
    (
        "SHADOW_MODEL",
        unless_value(_SHADOWS, (SHADOW_MODEL,), *_SHADOW_OVERRIDES),
        f"only with {_SHADOWS} {SHADOW_MODEL}; it would be ignored and billed",
    ),
    (
        "SHADOW_MODEL",
        all_of(
            is_one_of("shadow.mode", *_NEW_SHADOWS),
            unless_value(_SHADOWS, (SHADOW_MODEL,), "shadow.mode"),
        ),
        f"this mode needs {_SHADOWS} {SHADOW_MODEL}",
    ),
    (
        "SHADOW_MODEL",
        all_of(
            is_one_of("shadow.mode", *_OLD_SHADOWS),
            with_value(_SHADOWS, SHADOW_MODEL, "shadow.mode"),
        ),
        f"this mode does not go with {_SHADOWS} {SHADOW_MODEL}",
    ),
    (
        "COLOR_SPACE",
        Finder(("colorSpace",), _not_pure),
        "does not go with colorSpace=original, a pure cut-out to PNG",
    ),
    (
        "SUBJECT_MISMATCH",
        all_of(
            is_one_of("beautify.onSubjectMismatch", "error"),
            unless_value("beautify.mode", ("ai.food",), "beautify.onSubjectMismatch"),
        ),
        "error only with beautify.mode ai.food",
    ),
    (
        "UPSCALE_TOO_LARGE",
        Finder((PIXELS_COUNT_WITH,), _upscale_too_large),
        "takes at most 1,000,000 pixels (ai.fast) or 262,144 (ai.slow) without downscaleIfNeeded",
    ),
    (
        "HD_WITH_SEGMENTATION",
        all_of(any_of(_HD), any_of("segmentation.prompt", "segmentation.negativePrompt")),
        f"does not go with {_HD}",
    ),
    (
        "PRESET_CONFLICT",
        all_of(any_of("virtualModel.model.preset."), any_of("virtualModel.model.custom.")),
        "give a preset or a custom picture, not both",
    ),
    (
        "PRESET_CONFLICT",
        all_of(any_of("virtualModel.scene.preset."), any_of("virtualModel.scene.custom.")),
        "give a preset or a custom picture, not both",
    ),
    ("LAYER_CONFLICT", _layer_siblings(("text", "image")), "a layer is a text or a picture"),
    ("PROMPT_MISSING", _prompt_missing("imageFromPrompt"), "is required here"),
    ("PROMPT_MISSING", _prompt_missing("segmentation"), "is required here"),
)

_WARNINGS: Final = _rules(
    Level.WARN,
    (
        "IGNORED_WITHOUT_CUTOUT",
        with_value("removeBackground", "false", "referenceBox", "uncrop.", "background.prompt"),
        "is meant for calls that remove the background",
    ),
    (
        "FAILS_WITHOUT_CUTOUT",
        with_value("removeBackground", "false", "beautify.mode"),
        "Photoroom answers 500 when the background is kept",
    ),
    (
        "NEEDS_BACKGROUND_KEPT",
        unless_value("removeBackground", ("false",), "background.blur.", "editWithAI.mode"),
        "is meant for removeBackground=false; the background is removed unless that is said",
    ),
    (
        "SCALING_WITHOUT_IMAGE",
        without(("imageFile", "imageUrl"), "scaling"),
        "only acts on imageFile or imageUrl",
    ),
    (
        "NEEDS_BACKGROUND_PROMPT",
        without(
            ("background.prompt",),
            "background.seed",
            "background.negativePrompt",
            "background.expandPrompt.mode",
            "background.guidance.",
        ),
        "only acts with background.prompt",
    ),
    (
        "OLD_BACKGROUND_MODEL",
        unless_value(_BACKGROUNDS, ("2",), "background.negativePrompt"),
        f"only acts with {_BACKGROUNDS} 2",
    ),
    (
        "ALPHA_LOST",
        all_of(
            is_one_of("export.format", "jpeg"),
            unless_value("removeBackground", ("false",), "export.format"),
            without(
                ("background.color", "background.prompt", *_BACKGROUND_IMAGE, "templateId"),
                "export.format",
            ),
        ),
        "JPEG has no transparency: the cut-out comes back on a filled background",
    ),
    ("LAYERS_WITHOUT_TEMPLATE", without(("templateId",), "layers."), "only acts with templateId"),
    ("DEPRECATED", any_of("describeAnyChange."), "is deprecated: use editWithAI"),
    (
        "DEPRECATED",
        is_one_of("preserveMetadata", "exifSubset"),
        "is deprecated: use exifSubsetWithXmpCompatibility",
    ),
    *(
        (
            "OPERATION_OFF",
            without((f"{group}.{switch}",), f"{group}."),
            f"only acts with {group}.{switch}",
        )
        for group, switch in _SWITCHED
    ),
)

RULES: Final = _REFUSALS + _WARNINGS
"""Every rule, refusals first."""

_INDEX: Final = _Index(RULES)
