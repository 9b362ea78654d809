"""More calls than keys may serve, for as long as a test likes."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.replicas.calling import OK, Replica
from tests.replicas.edits import segment_number
from tests.replicas.pool_worlds import WINDOW, Pool
from tests.replicas.replicas import DOORS

__all__ = ["Saturation", "usable"]

_PAUSE: Final = 0.1
"""Seconds after which a caller that was refused asks again: sooner than it is told."""

_AT_EACH_DOOR: Final = 2


@dataclass(slots=True)
class Saturation:
    """Callers at every door of every replica that ask again and again."""

    pool: Pool
    outcomes: Counter[str] = field(default_factory=Counter)
    refused_at: list[float] = field(default_factory=list)

    async def run(self, seconds: float) -> None:
        """Ask for so long; return when all calls have been answered."""
        end = time.monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            for replica in self.pool.f.replicas:
                for door in DOORS * _AT_EACH_DOOR:
                    group.create_task(self._work(replica, door, end))

    async def _work(self, replica: Replica, door: str, end: float) -> None:
        while time.monotonic() < end:
            ask = segment_number(next(self.pool.numbers), self.pool.picture)
            answer = await replica.ask(door, ask)
            self.outcomes[answer.outcome] += 1
            if answer.outcome != OK:
                self.refused_at.append(time.time())
                assert answer.wait is not None
                assert answer.wait <= WINDOW + 1
                await asyncio.sleep(_PAUSE)


def usable(times: Sequence[float], most: int) -> int:
    """How many of the calls at these seconds, in order, fit under so many in any window."""
    window: deque[float] = deque()
    calls = 0
    for at in times:
        while window and window[0] <= at - WINDOW:
            window.popleft()
        if len(window) < most:
            window.append(at)
            calls += 1
    return calls
