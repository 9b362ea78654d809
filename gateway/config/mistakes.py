"""What is wrong with a configuration, in plain sentences that never repeat a value."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gateway.config.marks import MAPPING, WORD

__all__ = ["ConfigError", "Mistake", "join", "mistakes_of", "nearest"]


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One thing that is wrong: where (`upstream.accounts[0].id`, empty for the whole), and what."""

    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.path or 'configuration'}: {self.text}"


class ConfigError(Exception):
    """A configuration that the gateway cannot start with; `mistakes` are all that were found."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(map(str, self.mistakes)))


def join(path: str, step: str | int) -> str:
    """Return the path of a member: `a` and `b` are `a.b`, `a` and 0 are `a[0]`."""
    if isinstance(step, int):
        return f"{path}[{step}]"
    return f"{path}.{step}" if path else step


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a sentence with the known name most like `name`, or nothing when none is like it."""
    found = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {found[0]}?" if found else ""


def mistakes_of(
    error: ValidationError, known: Callable[[str], Iterable[str]]
) -> Iterator[Mistake]:
    """Yield what the model found; `known` gives the names of the keys that a mapping may have."""
    for detail in error.errors(include_url=False, include_input=False):
        path = ""
        for step in detail["loc"][:-1]:
            path = _inner(path, step)
        last = detail["loc"][-1] if detail["loc"] else ""
        whole = _inner(path, last) if detail["loc"] else ""
        yield Mistake(whole, _text(detail, lambda where=path: known(where)))


def _inner(path: str, step: str | int) -> str:
    # `[key]` is pydantic's mark for a key, not a value, of a free mapping.
    return path if step in {WORD.tag, MAPPING.tag, "[key]"} else join(path, step)
