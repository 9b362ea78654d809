"""What is bought upstream, and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from gateway.domain.answer import Answer
from gateway.domain.caching import CacheMode
from gateway.domain.edit import Edit, ImageRef
from gateway.domain.errors import Violation

__all__ = ["Draft", "Pictures", "Purchase", "Upstream"]

Pictures: TypeAlias = Mapping[ImageRef, bytes]
"""The bytes of the pictures that an edit names."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What a door read: the edit as far as it could be read, and all that is wrong with it so far.

    `pictures` may lack those that the caller named by content alone: they are kept blobs. `ignored` are
    the names of unknown parameters that were left out, as the tenant's settings ask. `mode` is what the
    caller wants of the cache; a result of more than `inline` bytes is to be kept as a blob too. Calls
    under one `idempotency_key` are one call.
    """

    edit: Edit
    pictures: Pictures = field(repr=False)
    violations: tuple[Violation, ...] = ()
    ignored: tuple[str, ...] = ()
    mode: CacheMode = CacheMode.DEFAULT
    inline: int | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Purchase:
    """One call to be bought upstream. `pictures` has the bytes of every image slot of `edit`.

    `digest` is the edit's content address.
    """

    edit: Edit
    pictures: Pictures = field(repr=False)
    sandbox: bool
    digest: str = ""


class Upstream(Protocol):
    """Where edits are bought."""

    async def buy(self, purchase: Purchase, key: str) -> Answer:
        """Buy one edit with the key of that fingerprint: at most one charge a call.

        Raises UpstreamRefused, KeyTrouble and the other UpstreamErrors; their `ending` says what the
        attempt cost.
        """
        ...
