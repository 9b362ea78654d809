"""What the model says of its keys beyond their types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Discriminator, Tag

__all__ = [
    "BY_SHAPE",
    "MAPPING",
    "NOT_IN_FORCE",
    "RELOADED",
    "WORD",
    "NotInForce",
    "Reloaded",
    "Section",
    "Written",
    "spelled",
]


class Section(BaseModel):
    """A mapping of the configuration: values that never change, and no key that it does not know.

    Defaults are written as an operator would write them, and read like any other value.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True
    )


@dataclass(frozen=True, slots=True)
class Written:
    """Marks a type with the words in which the reference tells how a value of it is written."""

    how: str


def spelled(text: str) -> Any:  # noqa: ANN401 - what the field's own type reads from the text
    """Return a default as an operator would write it, for a field of another type than text."""
    return text


@dataclass(frozen=True, slots=True)
class NotInForce:
    """Marks a key whose feature has not landed: it is checked and kept, and changes nothing yet."""


NOT_IN_FORCE: Final = NotInForce()


@dataclass(frozen=True, slots=True)
class Reloaded:
    """Marks a key that a running gateway takes over from a changed file; all others need a restart."""


RELOADED: Final = Reloaded()

# A key that is one of some words or a mapping. The tags stand in the paths of pydantic's errors.
WORD: Final = Tag("<word>")
MAPPING: Final = Tag("<mapping>")
BY_SHAPE: Final = Discriminator(
    lambda value: WORD.tag if isinstance(value, str) else MAPPING.tag,
)
