"""What can be set, read off the model: for the reference, for the environment, for hints."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from gateway.config.marks import NOT_IN_FORCE, RELOADED, Section, Written
from gateway.config.mistakes import join
from gateway.config.model import Config

__all__ = ["PREFIX", "Key", "keys", "known_under", "not_in_force"]

PREFIX = "GATEWAY_"
"""What the name of every environment variable of the gateway starts with."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the configuration.

    `path` has `[]` for each list on the way. `how` tells how a value is written. `default` is as an
    operator would write it, None where the key is required. `reloaded` marks what a running gateway
    takes over; what is inside is not marked again. `variable` is the environment variable that sets it:
    scalars outside lists have one. `typed` says that its text is read as JSON there.
    """

    path: str
    description: str
    how: str
    default: Any
    required: bool
    in_force: bool
    reloaded: bool
    variable: str | None
    typed: bool


@dataclass(frozen=True, slots=True)
class _Shape:
    """What an annotation allows: in words, and the section that a mapping, or a member of a list, is."""

    how: str
    section: type[Section] | None = None
    scalar: bool = True
    listed: bool = False
    typed: bool = False


@cache
def keys() -> tuple[Key, ...]:
    """Return every key, each section's after the section itself, in the order of the model."""
    return tuple(_walk(Config, "", in_force=True))


def known_under(path: str) -> list[str]:
    """Return the names of the keys in the mapping at `path`, which may have indices."""
    pattern = re.sub(r"\[\d+\]", "[]", path)
    parted = (key.path.rpartition(".") for key in keys())
    return [name for above, _, name in parted if above == pattern]


def not_in_force(config: Config) -> tuple[str, ...]:
    """Return the paths of the keys that were set although their feature has not landed."""
    return tuple(_idle(config, ""))


def _idle(section: Section, path: str) -> Iterator[str]:
    for name, field in type(section).model_fields.items():
        where, value = join(path, name), getattr(section, name)
        if name not in section.model_fields_set:
            continue
        if NOT_IN_FORCE in field.metadata:
            yield where
        elif isinstance(value, Section):
            yield from _idle(value, where)
        elif isinstance(value, tuple):
            for index, member in enumerate(value):
                if isinstance(member, Section):
                    yield from _idle(member, join(where, index))


def _walk(section: type[Section], prefix: str, *, in_force: bool) -> Iterator[Key]:
    for name, field in section.model_fields.items():
        shape = _shape(Annotated[field.annotation, *field.metadata, None])
        path = join(prefix, name)
        here = in_force and NOT_IN_FORCE not in field.metadata
        settable = shape.scalar and "[]" not in prefix
        yield Key(
            path=path,
            description=field.description or "",
            how=shape.how,
            default=None if field.is_required() else field.default,
            required=field.is_required(),
            in_force=here,
            reloaded=RELOADED in field.metadata,
            variable=PREFIX + path.upper().replace(".", "__") if settable else None,
            typed=shape.typed,
        )
        if shape.section:
            inner = f"{path}[]" if shape.listed else path
            yield from _walk(shape.section, inner, in_force=here)


def _shape(annotation: Any) -> _Shape:  # noqa: ANN401 - any annotation
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inner = _shape(arguments[0])
        written = [mark.how for mark in arguments[1:] if isinstance(mark, Written)]
        return replace(inner, how=written[0]) if written else inner
    if origin in {Union, types.UnionType}:
        members = [_shape(member) for member in arguments if member is not types.NoneType]
        how = ", or a ".join(member.how for member in members)
        sections = [member.section for member in members if member.section]
        return _Shape(
            how,
            section=next(iter(sections), None),
            scalar=any(member.scalar for member in members),
            listed=any(member.listed for member in members),
            typed=any(member.typed for member in members),
        )
    if origin is tuple:
        member = _shape(arguments[0])
        return _Shape(f"list: {member.how}", member.section, scalar=False, listed=True)
    if origin is dict:
        return _Shape("mapping", scalar=False)
    if origin is Literal:
        return _Shape(", ".join(f"`{word}`" for word in arguments))
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return _Shape("mapping", annotation, scalar=False)
    return _Shape("text", typed=annotation in {bool, int, float})
