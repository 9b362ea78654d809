"""Which results are read from the cache, which are kept, and for how long.

A result is reusable unless the edit generates something that has no seed: two purchases of it give two
pictures, and who asks twice may want two. Everything else is bought once.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from gateway.domain.answer import Answer
from gateway.domain.edit import Edit, Kind

__all__ = [
    "UNSUPPORTED_LIFE",
    "CacheMode",
    "Lives",
    "Purge",
    "Reach",
    "is_merged",
    "is_read",
    "life",
]

UNSUPPORTED_LIFE = 3600.0
"""Seconds for which a result is kept of which the upstream ignored parameters: it may learn them."""

_UNSUPPORTED = "pr-unsupported-attributes"


class CacheMode(enum.StrEnum):
    """What the caller wants of the cache. The values are those of the header `Gateway-Cache`.

    `DEFAULT` reads and keeps what is reusable. `REFRESH` does not read, and keeps. `BYPASS` does
    neither. `REUSE` reads and keeps even what has no seed. `ONLY_IF_CACHED` reads, and buys nothing.
    """

    DEFAULT = "default"
    REFRESH = "refresh"
    BYPASS = "bypass"
    REUSE = "reuse"
    ONLY_IF_CACHED = "only-if-cached"


@dataclass(frozen=True, slots=True)
class Lives:
    """Seconds for which results are kept: in general, with a template or layers, keyed by a URL's text.

    `refusal` is the life of a 400 that is certain to repeat.
    """

    general: float
    template: float
    url: float
    refusal: float = 300.0


class Reach(enum.StrEnum):
    """Which stored results a purge disowns: all, those of a scope or an operation, those of one edit."""

    ALL = "all"
    SCOPE = "scope"
    OPERATION = "operation"
    DIGEST = "digest"


@dataclass(frozen=True, slots=True)
class Purge:
    """Disowns every result that is stored now and within reach.

    `name` is the scope, the operation's value or the edit's digest; empty for `Reach.ALL`.
    """

    reach: Reach
    name: str = ""


def is_read(edit: Edit, mode: CacheMode) -> bool:
    """Whether a stored result may answer the call."""
    if mode in {CacheMode.REFRESH, CacheMode.BYPASS}:
        return False
    return mode is not CacheMode.DEFAULT or not edit.unseeded


def is_merged(edit: Edit, mode: CacheMode) -> bool:
    """Whether equal calls in flight become one. Who asks for a picture without a seed wants one of its own."""
    if mode is CacheMode.BYPASS:
        return False
    return mode is CacheMode.REUSE or not edit.unseeded


def life(edit: Edit, answer: Answer, mode: CacheMode, lives: Lives) -> float | None:
    """Return for how many seconds a bought result is kept; None when it is not.

    The shortest life that applies counts.
    """
    if mode is CacheMode.BYPASS or (mode is CacheMode.DEFAULT and edit.unseeded):
        return None
    seconds = [lives.general]
    if edit.uses_template:
        seconds.append(lives.template)
    if any(p.kind is Kind.URL for p in edit.parameters):
        seconds.append(lives.url)
    if answer.header(_UNSUPPORTED) is not None:
        seconds.append(UNSUPPORTED_LIFE)
    return min(seconds)
