"""A board of flights in memory, for several replicas of one test, that can be made to fail."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from gateway.ports import BoardUnavailable, Ended, Follow, Hold, Joined, Lead

__all__ = ["SharedBoard"]


@dataclass
class _Record:
    lead: Lead
    sent: bool = False
    outcome: str = ""
    message: str = ""


@dataclass
class SharedBoard:
    """Implements FlightBoard for any number of `Flights`. `down`: every question fails."""

    down: bool = False
    records: dict[str, _Record] = field(default_factory=dict)
    epochs: dict[str, int] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def flying(self) -> list[str]:
        """Flights that have a leader and no ending."""
        return [flight for flight, record in self.records.items() if not record.outcome]

    async def join(self, flight: str, *, timeout: float, seen: int, token: str) -> Joined:  # noqa: ASYNC109 - the port's
        del timeout
        await self._answer(f"join {seen}")
        record = self.records.get(flight)
        if record is not None and record.lead.token == token and not record.outcome:
            return record.lead
        if record is not None and not record.outcome:
            return Follow(flight, record.lead.epoch, 60.0)
        if record is not None and 0 <= seen < record.lead.epoch:
            return Ended(flight, record.lead.epoch, record.outcome, record.message)
        self.epochs[flight] = self.epochs.get(flight, 0) + 1
        lead = Lead(flight, self.epochs[flight], token)
        self.records[flight] = _Record(lead)
        return lead

    async def sent(self, lead: Lead, hold: Hold | None = None) -> bool:
        del hold
        await self._answer("sent")
        record = self.records.get(lead.flight)
        if record is None or record.lead.token != lead.token:
            return False
        record.sent = True
        return True

    async def complete(self, lead: Lead, outcome: str, message: str = "") -> None:
        await self._answer(f"complete {outcome}")
        record = self.records[lead.flight]
        record.outcome, record.message = outcome, message
        self._change()

    async def release(self, lead: Lead) -> None:
        await self._answer("release")
        record = self.records.get(lead.flight)
        if record is not None and record.lead.token == lead.token:
            del self.records[lead.flight]
        self._change()

    async def woken(self, flight: str, wait: float) -> None:
        del flight, wait
        await self.changed.wait()

    def depose(self, flight: str) -> None:
        """Let another, in another place, lead the flight."""
        self.epochs[flight] = self.epochs.get(flight, 0) + 1
        self.records[flight] = _Record(Lead(flight, self.epochs[flight], "another"))

    async def heard(self, question: str, times: int) -> None:
        """Wait until a question has been asked that often."""
        while self.said.count(question) < times:
            await self.asked.wait()

    async def _answer(self, question: str) -> None:
        await asyncio.sleep(0)
        if self.down:
            raise BoardUnavailable
        self.said.append(question)
        self.asked.set()
        self.asked = asyncio.Event()

    def _change(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()
