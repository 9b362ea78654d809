"""What is wrong with a configuration, in plain sentences that never repeat a value."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce

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


def nearest(name: str, known: Iterable[str], *, likeness: float = 0.6) -> str:
    """Return a hint at the known name most like `name`, or nothing when none is like it enough."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=likeness)
    return f"; did you mean {found[0]}?" if found else ""


def mistakes_of(error: ValidationError, known: Callable[[str], Iterable[str]]) -> Iterator[Mistake]:
    """Yield what the model found; `known` gives the names of the keys that a mapping may have."""
    for detail in error.errors(include_url=False, include_input=False):
        # `[key]` is pydantic's mark for the key, not the value, of a free mapping.
        steps = [s for s in detail["loc"] if s not in {WORD.tag, MAPPING.tag, "[key]"}]
        text = _text(detail)
        if detail["type"] == "extra_forbidden":
            text += nearest(str(steps[-1]), known(reduce(join, steps[:-1], "")))
        yield Mistake(reduce(join, steps, ""), text)


def _text(detail: ErrorDetails) -> str:
    template = _TEXTS.get(detail["type"])
    text = template.format_map(detail.get("ctx", {})) if template else detail["msg"]
    return f"{text}, or a mapping" if WORD.tag in detail["loc"] else text


_TEXTS: Mapping[str, str] = {
    "bool_type": "has to be true or false",
    "dict_type": "has to be a mapping",
    "extra_forbidden": "is no key of the configuration",
    "finite_number": "has to be a finite number",
    "float_type": "has to be a number",
    "greater_than": "has to be more than {gt:g}",
    "greater_than_equal": "has to be {ge:g} or more",
    "int_from_float": "has to be a whole number",
    "int_type": "has to be a whole number",
    "invalid_key": "is a key that is not text; quote it",
    "less_than_equal": "has to be {le:g} or less",
    "literal_error": "has to be {expected}",
    "missing": "is required",
    "model_type": "has to be a mapping",
    "recursion_loop": "contains itself",
    "string_type": "has to be text; quote what looks like something else",
    "tuple_type": "has to be a list",
    "value_error": "{error}",
}
"""By pydantic's type of error; the rest is said in pydantic's words, which repeat no value either."""
