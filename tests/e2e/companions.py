"""What each parameter needs beside it, so that the rules let it through and it acts."""

from __future__ import annotations

import hashlib
import re

from tests.e2e.asks import Ask
from tests.support.pictures import png

from gateway.domain.edit import Operation
from gateway.emulator import MODEL_HEADERS, Leaf
from gateway.emulator.kinds import Choice, File
from gateway.emulator.measures import ColourText

__all__ = ["TEMPLATE", "acting", "documented"]

TEMPLATE = "0189aa4a-5f0c-4c5c-8b0e-2f6f5f0d7a11"
"""A template that the shared emulator's account owns."""

_KEPT = {"removeBackground": "false"}
_SMALL = {"outputSize": "16x16"}  # so that large generated pictures are not written and sent
_SECOND = png(24, 24, ground="#E0E0E0", subject="#2050C0")
_TEXTS: tuple[tuple[str, dict[str, str]], ...] = (
    (r"imageFromPrompt\..*", {"imageFromPrompt.prompt": "a cup"}),
    (r"segmentation\..*", {"segmentation.prompt": "the chair"}),
    (r"maxWidth|maxHeight", {"outputSize": "originalImage"}),
    (r"background\.(seed|negativePrompt|expandPrompt.*|guidance\..*)", {"background.prompt": "fog"}),
    (r"background\.blur\..*", {"background.blur.mode": "gaussian", **_KEPT}),
    (r"outline\..*", {"outline.color": "00FF00"}),
    (r"shadow\..*Override", {"shadow.mode": "ai.auto-with-overrides"}),
    (r"upscale\..*", {"upscale.mode": "ai.fast"}),
    (r"beautify\..*", {"beautify.mode": "ai.food"}),
    (r"expand\..*", {"expand.mode": "ai.auto", **_KEPT}),
    (r"uncrop\..*", {"uncrop.mode": "ai.auto"}),
    (
        r"editWithAI\..*",
        {"editWithAI.mode": "ai.auto", "editWithAI.prompt": "at night", **_KEPT},
    ),
    (
        r"describeAnyChange\..*",
        {"describeAnyChange.mode": "ai.auto", "describeAnyChange.prompt": "at night", **_KEPT},
    ),
    (r"flatLay\..*", {"flatLay.mode": "ai.auto", **_SMALL}),
    (r"ghostMannequin\..*", {"ghostMannequin.mode": "ai.auto", **_SMALL}),
    (r"virtualModel\..*", {"virtualModel.mode": "ai.auto", **_SMALL}),
    (r"layers\..*", {"templateId": TEMPLATE, "outputSize": "96x90"}),
    (
        r"layers\.{key}\.image\.imageFromPrompt\..*",
        {"layers.main.image.imageFromPrompt.prompt": "a cup"},
    ),
    (
        r"layers\.{key}\.image\.segmentation\..*",
        {"layers.main.image.segmentation.prompt": "the chair"},
    ),
    (r"export\.format", {"background.color": "white"}),
)
_FILES = (
    (r"background\.scaling", {"background.imageFile": _SECOND}),
    (
        r"layers\.{key}\.image\.(?!imageUrl|imageFromPrompt).*",
        {"layers.main.image.imageFile": _SECOND},
    ),
)
_HEADERS: tuple[tuple[str, str, dict[str, str]], ...] = (
    (r"shadow\..*Override", r".*", {"pr-ai-shadows-model-version": "2026-04-15"}),
    (
        r"shadow\.mode",
        r"ai\.(preset-.*|auto-with-overrides)",
        {"pr-ai-shadows-model-version": "2026-04-15"},
    ),
    (r"background\.negativePrompt", r".*", {"pr-ai-background-model-version": "2"}),
)

# What is written where it is not what was read: one spelling a colour.
_COLOURS = {"#00FF00": "00FF00", "fff": "FFFFFF", "abcd": "AABBCCDD", "RebeccaPurple": "rebeccapurple"}


def acting(operation: Operation, leaf: Leaf, value: str | bytes) -> Ask:
    """The parameter or model header with this value, among all that it needs to have an effect.

    Every case has a source picture of its own, so that no two of them are one edit.
    """
    case = hashlib.sha256(f"{leaf.name}={value!r}".encode()).hexdigest()
    if operation is Operation.SEGMENT:
        ask = Ask({}, {"image_file": _source(case)}, operation=operation)
    elif leaf.name.endswith("imageUrl"):
        ask = Ask({"imageUrl": f"https://pictures.invalid/{case}.png"})
    elif leaf.name.startswith("imageFromPrompt."):
        ask = Ask()
    else:
        ask = Ask({}, {"imageFile": _source(case)})
    for pattern, texts in _TEXTS:
        if re.fullmatch(pattern, leaf.name):
            ask = ask.also(texts)
    for pattern, files in _FILES:
        if re.fullmatch(pattern, leaf.name):
            ask = ask.also(files=files)
    for pattern, texts_pattern, headers in _HEADERS:
        if re.fullmatch(pattern, leaf.name) and re.fullmatch(texts_pattern, str(value)):
            ask = ask.also(headers=headers)
    if isinstance(value, bytes):
        return ask.also(files={leaf.example_name: value})
    if leaf in MODEL_HEADERS:
        return ask.also(headers={leaf.name: value})
    return ask.also({leaf.example_name: value})


def documented(operation: Operation, leaf: Leaf, text: str) -> tuple[str, str]:
    """Name and text as they go upstream."""
    if isinstance(leaf.kind, ColourText):
        text = _COLOURS.get(text, text)
        hashed = operation is Operation.SEGMENT and not text.strip("0123456789ABCDEF")
        return leaf.example_name, f"#{text}" if hashed else text
    if isinstance(leaf.kind, Choice):
        text = leaf.kind.same.get(text, text)
    return leaf.settles or leaf.example_name, text


def _source(case: str) -> bytes:
    return png(subject=f"#{case[:6]}", ground="white" if case[6] < "8" else "black")
