"""The scripts of flights once more, in Python: a pure function of record and call.

Held against the Lua by `tests/store/test_flights_twin.py`; the model check explores it. `Law` takes one
rule away at a time, to show that the explorer would notice.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.store.flight_calls import FlightRules

__all__ = ["Answer", "Board", "Law", "Leases", "Mine", "Phase", "Record", "Step"]


class Phase(enum.StrEnum):
    PREPARED = "prepared"
    SENT = "sent"
    FREE = "free"
    ENDED = "ended"


class Record(NamedTuple):
    """See flight.lua. A tuple, since the explorer hashes hundreds of thousands of them."""

    phase: Phase
    epoch: int
    token: str
    replica: str
    attempts: int = 0
    lease: int = 0
    timeout: int = 0
    sent_at: int = 0
    outcome: str = ""
    message: str = ""
    followers: frozenset[str] = frozenset()
    buyers: frozenset[tuple[str, str]] = frozenset()
    until: int = 0
    """When the record is forgotten."""

    @property
    def flying(self) -> bool:
        return self.phase in (Phase.PREPARED, Phase.SENT)

    @property
    def open_at(self) -> int:
        over = self.sent_at + self.timeout if self.phase is Phase.SENT else 0
        return max(self.lease, over)


class Mine(NamedTuple):
    """A lead as its replica knows it. `sent_at` is 0 until it is sent."""

    replica: str
    token: str
    epoch: int
    attempts: int
    timeout: int
    sent_at: int = 0


class Leases(enum.Enum):
    KEPT = enum.auto()
    IGNORED = enum.auto()
    ENDLESS = enum.auto()


@dataclass(frozen=True, slots=True)
class Law:
    """Which rules are in force. `sent`: the mark is written; `epochs`: a stranger's lead bars others."""

    sent: bool = True
    epochs: bool = True
    leases: Leases = Leases.KEPT


Answer = tuple[str | int, ...]


class Step(NamedTuple):
    """What a call leaves, answers, and whom it wakes."""

    record: Record | None
    answer: Answer
    woken: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Board:
    """The scripts, over a record that the caller keeps."""

    rules: FlightRules
    law: Law = field(default_factory=Law)

    def join(
        self, record: Record | None, now: int, *, replica: str, token: str, seen: int, timeout: int
    ) -> Step:
        def lead(attempts: int) -> Step:
            last = max(seen, record.epoch if record else 0)
            mine = Mine(replica, token, max(last + 1, now), attempts, timeout)
            followers = record.followers if record and record.flying else frozenset[str]()
            return Step(self._flown(mine, now, followers), ("lead", mine.epoch, attempts))

        if record is None:
            return lead(0)
        was_there = 0 <= seen < record.epoch
        if record.phase is Phase.FREE:
            return lead(record.attempts)
        if record.phase is Phase.ENDED:
            return self._hear_the_end(record, now, replica, token) if was_there else lead(0)
        if record.token == token:
            kept = self._kept(record._replace(lease=now + self.rules.lease), now)
            return Step(kept, ("lead", record.epoch, record.attempts))
        open_at = self._open_at(record)
        if now < open_at:
            wait = min(open_at - now, self.rules.longest_wait)
            if replica not in record.followers:
                record = self._kept(record._replace(followers=record.followers | {replica}), now)
            return Step(record, ("follow", record.epoch, wait))
        if record.phase is Phase.PREPARED:
            return lead(record.attempts)
        if record.attempts < self.rules.takeovers:
            return lead(record.attempts + 1)
        return Step(record, ("unknown", record.epoch)) if was_there else lead(0)

    def sent(self, record: Record | None, now: int, mine: Mine) -> Step:
        if record is not None:
            if _buys_alone(record, mine):
                return Step(record, (now,))
            if self._bars(record, mine):
                return Step(record, (0,))
            if record.phase is Phase.SENT:
                return Step(self._inherited(record, mine, now), (record.sent_at,))
        if self.law.sent:
            return Step(self._inherited(record, mine._replace(sent_at=now), now), (now,))
        return Step(self._inherited(record, mine, now), (now,))

    def renew(self, record: Record | None, now: int, mine: Mine) -> Step:
        if record is not None:
            if _buys_alone(record, mine):
                return Step(record, (1,))
            if self._bars(record, mine):
                return Step(record, (0,))
        return Step(self._inherited(record, mine, now), (1,))

    def complete(
        self, record: Record | None, now: int, mine: Mine, outcome: str, message: str
    ) -> Step:
        epoch = mine.epoch
        stored = outcome == "stored"
        if record is not None:
            if record.phase is Phase.ENDED:
                stands = record.outcome == "stored" or not stored
            else:
                stands = record.flying and record.token != mine.token and not stored
            if stands and record.epoch >= epoch:
                return Step(record, (1,))
            epoch = max(epoch, record.epoch)
        buyers = frozenset({(mine.replica, "")} if outcome == "unshared" else ())
        ended = Record(Phase.ENDED, epoch, mine.token, mine.replica, buyers=buyers)
        ended = ended._replace(outcome=outcome, message=message, until=now + self.rules.keep)
        return Step(ended, (1,), record.followers if record else frozenset())

    def fail(self, record: Record | None, now: int, mine: Mine) -> Step:
        if record is not None:
            if _buys_alone(record, mine):
                left = record.buyers - {(mine.replica, mine.token)}
                return Step(record._replace(buyers=left), (1,))
            if record.token != mine.token or not record.flying:
                return Step(record, (1,))
        epoch, attempts = (record.epoch, record.attempts) if record else (mine.epoch, mine.attempts)
        back = Record(Phase.FREE, epoch, mine.token, mine.replica, attempts)
        back = back._replace(until=now + self.rules.keep)
        return Step(back, (1,), record.followers if record else frozenset())

    def _hear_the_end(self, record: Record, now: int, replica: str, token: str) -> Step:
        buyer = dict(record.buyers).get(replica)
        if record.outcome == "unshared" and buyer in (None, token):
            bought = record._replace(
                buyers=record.buyers | {(replica, token)}, until=now + self.rules.keep
            )
            return Step(bought, ("alone", record.epoch, 0))
        return Step(record, ("ended", record.epoch, record.outcome, record.message))

    def _open_at(self, record: Record) -> int:
        if self.law.leases is Leases.ENDLESS:
            return record.open_at + 1_000_000_000
        if self.law.leases is Leases.IGNORED:
            return record.sent_at + record.timeout if record.phase is Phase.SENT else 0
        return record.open_at

    def _bars(self, record: Record, mine: Mine) -> bool:
        if not self.law.epochs:
            return False
        if record.token == mine.token:
            return not record.flying
        if record.phase is Phase.SENT:
            return True
        if mine.sent_at and record.phase is not Phase.ENDED:
            return False
        return record.epoch >= mine.epoch

    def _inherited(self, record: Record | None, mine: Mine, now: int) -> Record:
        """The record of `mine`, with what the one that does not bar it knew."""
        if record is None or record.phase is Phase.ENDED:
            return self._flown(mine, now, frozenset())
        mine = mine._replace(
            epoch=max(mine.epoch, record.epoch), attempts=max(mine.attempts, record.attempts)
        )
        if record.phase is Phase.SENT:
            mine = mine._replace(sent_at=record.sent_at)
        return self._flown(mine, now, record.followers)

    def _flown(self, mine: Mine, now: int, followers: frozenset[str]) -> Record:
        phase = Phase.SENT if mine.sent_at else Phase.PREPARED
        record = Record(phase, mine.epoch, mine.token, mine.replica, mine.attempts)
        record = record._replace(
            lease=now + self.rules.lease,
            timeout=mine.timeout,
            sent_at=mine.sent_at,
            followers=followers,
        )
        return self._kept(record, now)

    def _kept(self, record: Record, now: int) -> Record:
        return record._replace(until=max(record.open_at, now) + self.rules.keep)


def _buys_alone(record: Record, mine: Mine) -> bool:
    return record.phase is Phase.ENDED and (mine.replica, mine.token) in record.buyers
