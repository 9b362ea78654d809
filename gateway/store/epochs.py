"""Marks: when administrators last purged what, and which credentials they revoked.

A mark is a time in milliseconds by the state Redis, and all marks are different. The epoch of an edit's
results is the highest mark of a purge that reaches them, 0 for none. It is part of the name under which
they are stored, so a purge disowns every older result at once, wherever it lies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.domain.caching import Purge, Reach
from gateway.domain.edit import Operation

__all__ = ["ALL", "VERSION", "Marks", "field_of", "revocation_of"]

VERSION = "version"
"""The field beside the marks that holds the latest of them."""

ALL = Reach.ALL.value
_DIGEST = f"{Reach.DIGEST}:"


def field_of(purge: Purge) -> str:
    """Name of the field that holds the mark of such a purge."""
    return ALL if purge.reach is Reach.ALL else f"{purge.reach}:{purge.name}"


def revocation_of(credential_sha256: bytes) -> str:
    """Name of the field that holds the mark of a revoked credential."""
    return f"deny:{credential_sha256.hex()}"


@dataclass(frozen=True, slots=True)
class Marks:
    """All marks by their fields."""

    of: Mapping[str, int] = field(default_factory=dict)

    def epoch(self, scope: str, operation: Operation, digest: str) -> int:
        """Return the highest mark of those purges that reach the edit."""
        mark = self.of.get
        return max(
            mark(ALL, 0),
            mark(f"scope:{scope}", 0),
            mark(f"operation:{operation.value}", 0),
            mark(f"digest:{digest}", 0),
        )

    def denies(self, credential_sha256: bytes) -> bool:
        """Whether the credential is revoked."""
        return revocation_of(credential_sha256) in self.of

    def joined(self, others: Mapping[str, int], *, oldest: int = 0) -> Marks:
        """Return the higher mark of each field, without those of digests that have no more meaning.

        These are marks up to `oldest`, before which no result was stored that is still kept, and those
        that the mark of all covers.
        """
        marks = {
            name: max(self.of.get(name, 0), others.get(name, 0))
            for name in self.of.keys() | others.keys()
        }
        oldest = max(oldest, marks.get(ALL, 0))
        return Marks(
            {
                name: mark
                for name, mark in marks.items()
                if mark > oldest or not name.startswith(_DIGEST)
            }
        )

    def above(self, others: Mapping[str, int]) -> dict[str, int]:
        """Return the marks that are higher here than there."""
        return {name: mark for name, mark in self.of.items() if mark > others.get(name, 0)}
