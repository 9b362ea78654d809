"""The YAML text of a configuration: parsed, with keys that stand twice; and found by path."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from gateway.config.mistakes import ConfigError, Mistake, join

__all__ = ["read_document", "select"]

_QUOTED = re.compile(r"""(['"])(.*?)\1""", re.DOTALL)


def read_document(text: str) -> tuple[Any, tuple[Mistake, ...]]:
    """Return the value of the one YAML document in `text`, and its keys that stand twice.

    Nothing at all is an empty mapping. Raises ConfigError when it is not YAML.
    """
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return {}, ()
        mistakes = tuple(_repeated(node, "", set()))
        return loader.construct_document(node), mistakes
    except yaml.YAMLError as error:
        raise ConfigError([Mistake("", f"is not YAML{_where(error)}")]) from None
    except (ValueError, KeyError, AttributeError):  # what PyYAML leaves to its constructors
        raise ConfigError([Mistake("", "has a date, a number or a tag that cannot be")]) from None
    except RecursionError:
        raise ConfigError([Mistake("", "is nested too deeply")]) from None


def _where(error: yaml.YAMLError) -> str:
    """Tell where the parser stopped and why, without words of the line: one may be a secret."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return ""
    mark = error.problem_mark
    problem = _QUOTED.sub(_unless_a_word, error.problem or "")
    return f": line {mark.line + 1}, column {mark.column + 1}: {problem}"


def _unless_a_word(quoted: re.Match[str]) -> str:
    """Keep a single character, and a token such as `<stream end>`: those are the parser's own."""
    return quoted[0] if len(quoted[2]) < 2 or quoted[2].startswith("<") else "'...'"


def _repeated(node: yaml.Node, path: str, seen: set[int]) -> Iterator[Mistake]:
    # An anchor may be used again, even inside itself.
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, member in enumerate(node.value):
            yield from _repeated(member, join(path, index), seen)
    elif isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            where, line = join(path, key.value), key.start_mark.line + 1
            if key.value in lines:
                yield Mistake(where, f"stands twice: lines {lines[key.value]} and {line}")
            lines[key.value] = line
            yield from _repeated(value, where, seen)


def select(node: object, pattern: str, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield path and value of all that `pattern` fits, whatever else is wrong with the document.

    A step is a key or `*` for every key, with `[]` behind it for every member of the list there.
    """
    if not pattern:
        yield path, node
        return
    step, _, rest = pattern.partition(".")
    name, listed = step.removesuffix("[]"), step.endswith("[]")
    if not isinstance(node, dict):
        return
    for key in [name] if name != "*" else [key for key in node if isinstance(key, str)]:
        value, where = node.get(key), join(path, key)
        if listed:
            members = enumerate(value) if isinstance(value, list) else ()
            for index, member in members:
                yield from select(member, rest, join(where, index))
        elif key in node:
            yield from select(value, rest, where)
