"""Settings from the environment: `GATEWAY_LISTEN__REST` is `listen.rest`, and wins over the file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.config.document import select
from gateway.config.mistakes import Mistake, nearest
from gateway.config.model import EMBEDDED
from gateway.config.schema import PREFIX, Key, keys

__all__ = ["Overlaid", "is_service_link", "overlay"]

_SERVICE_LINK = re.compile(
    r"GATEWAY(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?"
    r"|PORT(_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)?)"
)


def is_service_link(variable: str) -> bool:
    """Tell whether Kubernetes made the variable, for a Service named `gateway` or `gateway-...`."""
    return _SERVICE_LINK.fullmatch(variable) is not None


@dataclass(frozen=True, slots=True)
class Overlaid:
    """A document under the settings of the environment; `origins` tells which path came from where."""

    document: Any
    origins: Mapping[str, str]
    mistakes: tuple[Mistake, ...]


def overlay(document: object, environ: Mapping[str, str]) -> Overlaid:
    """Lay the settings of the environment over a document, which stays as it is."""
    settable = {key.variable: key for key in keys() if key.variable}
    found = {settable[name].path: name for name in sorted(environ) if name in settable}
    mistakes = (*_unknown(document, environ, settable), *_in_conflict(found))
    for key in (settable[name] for name in found.values()):
        document = _with(document, key.path.split("."), _value(key, environ[key.variable or ""]))
    return Overlaid(document, found, mistakes)


def _unknown(
    document: object, environ: Mapping[str, str], settable: Mapping[str, Key]
) -> Iterator[Mistake]:
    own = {value for _, value in select(document, "upstream.accounts[].keys[].secret_env")}
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in settable or name in own or is_service_link(name):
            continue
        # All of them begin alike.
        hint = nearest(name, settable, likeness=0.8)
        yield Mistake(name, f"is no variable of the gateway{hint}")


def _in_conflict(found: Mapping[str, str]) -> Iterator[Mistake]:
    for path, name in found.items():
        above = path.rpartition(".")[0]
        if above in found:
            yield Mistake(name, f"is set beside {found[above]}: only one of them may be")


def _value(key: Key, text: str) -> object:
    """Read flags and numbers; what is neither stays text, for the model to take or refuse."""
    if not key.typed:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _with(document: object, steps: Sequence[str], value: object) -> object:
    """Return the document with the value at a path; what is no mapping on the way is left as it is."""
    if not steps:
        return value
    if document is None or document == EMBEDDED:
        document = {}
    if not isinstance(document, dict):
        return document
    return {**document, steps[0]: _with(document.get(steps[0]), steps[1:], value)}
