"""Requests to try the rules between parameters on.

They are read by the drop-in side of the codec, so that names and spellings are real.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.domain.edit import Operation
from gateway.domain.facts import Facts
from gateway.domain.rules import Level, check_rules
from tests.support.doors import accepted, read_wire

__all__ = ["HD", "KEPT", "NEW_SHADOWS", "TEMPLATE", "URL", "Case", "Given", "case"]

NEW_SHADOWS = {"pr-ai-shadows-model-version": "2026-04-15"}
HD = {"pr-hd-background-removal": "auto"}
URL = "https://pictures.invalid/a.jpg"
TEMPLATE = "0189aa4a-5f0c-4c5c-8b0e-2f6f5f0d7a11"
KEPT = "removeBackground=false"


@dataclass(frozen=True, slots=True)
class Given:
    """One request: texts in a query's spelling, slots with a picture, model headers."""

    texts: str = ""
    files: str = "imageFile"
    headers: dict[str, str] = field(default_factory=dict)
    pixels: int | None = None
    operation: Operation = Operation.EDIT

    def facts(self) -> Facts:
        pairs = [pair.partition("=") for pair in self.texts.split("&") if pair]
        draft = read_wire(
            [(name, text) for name, _, text in pairs],
            dict.fromkeys(self.files.split(), b"picture"),
            self.headers,
            operation=self.operation,
        )
        return Facts(accepted(draft), self.pixels)

    def found(self, level: Level, code: str) -> list[str]:
        """The fields at fault by the rules of that code, each once."""
        violations = check_rules(self.facts())[level is Level.WARN]
        return sorted({v.field for v in violations if v.code == code})


@dataclass(frozen=True, slots=True)
class Case:
    """A request that the rule finds, the fields it names, and a near one that it lets pass."""

    code: str
    wrong: Given
    fields: str
    right: Given


def case(
    code: str, wrong: str, fields: str, right: str, headers: dict[str, str] | None = None
) -> Case:
    return Case(
        code, Given(wrong, headers=headers or {}), fields, Given(right, headers=headers or {})
    )
