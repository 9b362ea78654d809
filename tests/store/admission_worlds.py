"""Admission over every kind of Redis, and without one: replicas that share their limits, and a clock."""

from __future__ import annotations

from abc import ABC, abstractmethod

from gateway.ports import Admission
from gateway.store.solo import SoloAdmission
from tests.store.ledger_tools import NOON, LedgerWorld

__all__ = ["Redis", "Solo", "World"]


class World(ABC):
    """Replicas that share their limits, and a clock."""

    @abstractmethod
    async def replica(self) -> Admission: ...

    @abstractmethod
    async def pass_time(self, seconds: float) -> None: ...

    @abstractmethod
    async def tell(self) -> None:
        """Let all replicas have told all that they have to tell."""


class Solo(World):
    def __init__(self) -> None:
        self.now = NOON / 1e6
        self._only = SoloAdmission(wall=lambda: self.now)

    async def replica(self) -> Admission:
        return self._only

    async def pass_time(self, seconds: float) -> None:
        self.now += seconds

    async def tell(self) -> None:
        return


class Redis(World):
    def __init__(self, ledger: LedgerWorld) -> None:
        self._ledger = ledger

    async def replica(self) -> Admission:
        return (await self._ledger.replica()).admission

    async def pass_time(self, seconds: float) -> None:
        await self._ledger.pass_time(seconds)

    async def tell(self) -> None:
        await self._ledger.tell()
