"""Wake-ups of this process by flight."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field

__all__ = ["Bells"]

_MOST_UNHEARD = 1024


@dataclass(slots=True)
class _Bell:
    rung: asyncio.Event = field(default_factory=asyncio.Event)
    listeners: int = 0


class Bells:
    """Everybody who waits for a flight hears its ring.

    A ring that comes before anybody waits, as one that overtakes the answer to a join, is kept for the
    first who does. The latest thousand or so are; one that is forgotten costs a follower its wait.
    """

    def __init__(self) -> None:
        self._bells: dict[str, _Bell] = {}
        self._unheard: OrderedDict[str, None] = OrderedDict()

    def ring(self, flight: str) -> None:
        """Wake whoever waits for the flight, or else whoever comes first."""
        bell = self._bells.get(flight)
        if bell is not None:
            bell.rung.set()
            return
        self._unheard[flight] = None
        self._unheard.move_to_end(flight)
        if len(self._unheard) > _MOST_UNHEARD:
            self._unheard.popitem(last=False)

    async def heard(self, flight: str, wait: float) -> None:
        """Return when the flight's bell rings, or after `wait` seconds."""
        if flight in self._unheard:
            del self._unheard[flight]
            return
        bell = self._bells.setdefault(flight, _Bell())
        bell.listeners += 1
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await bell.rung.wait()
        finally:
            bell.listeners -= 1
            if bell.rung.is_set() or not bell.listeners:
                # Whoever waits from now on waits for the next ring.
                self._forget(flight, bell)

    def _forget(self, flight: str, bell: _Bell) -> None:
        if self._bells.get(flight) is bell:
            del self._bells[flight]

    def __len__(self) -> int:
        """The number of flights that are waited for."""
        return len(self._bells)
