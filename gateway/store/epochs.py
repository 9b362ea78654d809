"""Epochs: counters whose bump disowns every older entry of the cache at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from gateway.domain.edit import Operation
from gateway.ports import CacheKey

__all__ = ["EpochSource", "Epochs"]


@dataclass(frozen=True, slots=True)
class Epochs:
    """The epochs in force: the operator's, each tenant's, each operation's; 0 where none is named."""

    operator: int = 0
    tenants: Mapping[str, int] = field(default_factory=dict)
    operations: Mapping[Operation, int] = field(default_factory=dict)

    def of(self, key: CacheKey) -> tuple[int, int, int]:
        """Return the three epochs that an entry under `key` belongs to."""
        return (
            self.operator,
            self.tenants.get(key.tenant, 0),
            self.operations.get(key.operation, 0),
        )


EpochSource: TypeAlias = Callable[[], Epochs]
"""Tells the epochs in force now. It is asked for every look-up, so it must not wait."""
