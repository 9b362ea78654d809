"""What each parameter needs beside it, so that the rules let it through and it acts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.domain.edit import Operation
from gateway.emulator import MODEL_HEADERS, Leaf
from gateway.emulator.kinds import Choice
from gateway.emulator.measures import ColourText
from tests.e2e.asks import Ask
from tests.support.pictures import png

__all__ = ["TEMPLATE", "acting", "documented"]

TEMPLATE = "0189aa4a-5f0c-4c5c-8b0e-2f6f5f0d7a11"
"""A template that the shared emulator's account owns."""

_KEPT = {"removeBackground": "false"}
_SMALL = {"outputSize": "16x16"}  # so that large generated pictures are not written and sent
_NIGHT = "a canary at night"
_SECOND = png(24, 24, ground="#E0E0E0", subject="#2050C0")
_NEW_SHADOWS = {"pr-ai-shadows-model-version": "2026-04-15"}


@dataclass(frozen=True, slots=True)
class _Need:
    """What stands beside the parameters whose name and text match."""

    name: str
    texts: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = r".*"

    def by(self, leaf: Leaf, value: str | bytes) -> bool:
        return bool(re.fullmatch(self.name, leaf.name) and re.fullmatch(self.text, str(value)))


_NEEDS = (
    _Need(r"imageFromPrompt\..*", {"imageFromPrompt.prompt": "a canary in a cup"}),
    _Need(r"segmentation\..*", {"segmentation.prompt": "the chair"}),
    _Need(r"maxWidth|maxHeight", {"outputSize": "originalImage"}),
    _Need(r"background\.scaling", files={"background.imageFile": _SECOND}),
    _Need(r"background\.(seed|negativePrompt)", {"background.prompt": "a canary in fog"}),
    _Need(r"background\.(expandPrompt|guidance\.).*", {"background.prompt": "a canary in fog"}),
    _Need(r"background\.negativePrompt", headers={"pr-ai-background-model-version": "2"}),
    _Need(r"background\.blur\..*", {"background.blur.mode": "gaussian", **_KEPT}),
    _Need(r"outline\..*", {"outline.color": "00FF00"}),
    _Need(r"shadow\.mode", headers=_NEW_SHADOWS, text=r"ai\.(preset-|auto-).*"),
    _Need(r"shadow\..*Override", {"shadow.mode": "ai.auto-with-overrides"}, headers=_NEW_SHADOWS),
    _Need(r"upscale\..*", {"upscale.mode": "ai.fast"}),
    _Need(r"beautify\..*", {"beautify.mode": "ai.food"}),
    _Need(r"expand\..*", {"expand.mode": "ai.auto", **_KEPT}),
    _Need(r"uncrop\..*", {"uncrop.mode": "ai.auto"}),
    *(
        _Need(rf"{name}\..*", {f"{name}.mode": "ai.auto", f"{name}.prompt": _NIGHT, **_KEPT})
        for name in ("editWithAI", "describeAnyChange")
    ),
    *(
        _Need(rf"{name}\..*", {f"{name}.mode": "ai.auto", **_SMALL})
        for name in ("flatLay", "ghostMannequin", "virtualModel")
    ),
    _Need(r"layers\..*", {"templateId": TEMPLATE, "outputSize": "96x90"}),
    _Need(
        r"layers\.{key}\.image\.imageFromPrompt\..*",
        {"layers.main.image.imageFromPrompt.prompt": "a canary in a cup"},
    ),
    _Need(
        r"layers\.{key}\.image\.segmentation\..*",
        {"layers.main.image.segmentation.prompt": "the chair"},
    ),
    _Need(
        r"layers\.{key}\.image\.(?!imageUrl|imageFromPrompt).*",
        files={"layers.main.image.imageFile": _SECOND},
    ),
    _Need(r"export\.format", {"background.color": "white"}),
)

# What is written where it is not what was read: one spelling a colour.
_COLOURS = {
    "#00FF00": "00FF00",
    "fff": "FFFFFF",
    "abcd": "AABBCCDD",
    "RebeccaPurple": "rebeccapurple",
}


def acting(operation: Operation, leaf: Leaf, value: str | bytes) -> Ask:
    """The parameter or model header with this value, among all that it needs to have an effect.

    Every case has a source picture of its own, so that no two of them are one edit.
    """
    ask = _sourced(operation, leaf, hashlib.sha256(f"{leaf.name}={value!r}".encode()).hexdigest())
    for need in _NEEDS:
        if need.by(leaf, value):
            ask = ask.also(need.texts, need.files, need.headers)
    if isinstance(value, bytes):
        return ask.also(files={leaf.example_name: value})
    if leaf in MODEL_HEADERS:
        return ask.also(headers={leaf.name: value})
    return ask.also({leaf.example_name: value})


def _sourced(operation: Operation, leaf: Leaf, case: str) -> Ask:
    """A call with nothing but its source: by URL where the parameter is one, else by its bytes."""
    picture = png(subject=f"#{case[:6]}", ground="white" if case[6] < "8" else "black")
    if operation is Operation.SEGMENT:
        return Ask(files={"image_file": picture}, operation=operation)
    if leaf.name.endswith("imageUrl"):
        return Ask({"imageUrl": f"https://pictures.invalid/{case}.png?signature=canary"})
    if leaf.name.startswith("imageFromPrompt."):
        return Ask()
    return Ask(files={"imageFile": picture})


def documented(operation: Operation, leaf: Leaf, text: str) -> tuple[str, str]:
    """Name and text as they go upstream."""
    if isinstance(leaf.kind, ColourText):
        text = _COLOURS.get(text, text)
        hashed = operation is Operation.SEGMENT and not text.strip("0123456789ABCDEF")
        return leaf.example_name, f"#{text}" if hashed else text
    if isinstance(leaf.kind, Choice):
        text = leaf.kind.same.get(text, text)
    return leaf.settles or leaf.example_name, text
