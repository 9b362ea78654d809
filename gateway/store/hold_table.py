"""A replica's own table of the holds that it was granted, and what Redis has heard of each.

What becomes of a hold is noted here first, at once; telling Redis comes after, again and again until it
has heard. Resolved holds stay for a quarter of an hour: if a failover takes Redis back, they are told
once more.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Final, TypeAlias

from gateway.domain.keys import NOTHING_SEEN, Seen
from gateway.domain.periods import Period
from gateway.ports import Hold
from gateway.store.books import Books, Mark, News

__all__ = ["HELD", "SENT", "Entry", "HoldTable", "Spent", "Stamp"]

HELD: Final = "held"
SENT: Final = "sent"

_KEPT: Final = 900.0
"""Seconds for which a resolved hold can be told again."""

_MOST: Final = 100_000
"""Entries: an outage of the state Redis must not fill the memory."""

BudgetName: TypeAlias = tuple[str, int]
"""Tenant and start of the period."""

Stamp: TypeAlias = tuple[int, int]
"""Era and count of an answer: they say which of two is the later."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A hold in a state, of which Redis has last heard `heard`. `at` is when it came into it.

    `seen` is what its last attempt has shown.
    """

    hold: Hold
    state: str
    heard: str
    at: float
    seen: Seen = NOTHING_SEEN

    @property
    def told(self) -> bool:
        """Whether Redis knows the state. A hold that was granted and not used, Redis lets lapse."""
        return self.state in {self.heard, HELD}

    @property
    def is_open(self) -> bool:
        """Whether the call may be under way."""
        return self.state in {HELD, SENT}


@dataclass(frozen=True, slots=True)
class Spent:
    """What a budget has spent in all generations of the books, and what was held of it besides."""

    period: Period
    settled: int
    held: int


@dataclass(slots=True)
class HoldTable:
    """The table, and what the replica knows of the books. `clock` is monotonic, in seconds.

    The first entries are forgotten first: of a plain dict, the first is found slowly once many before it
    are gone.
    """

    clock: Callable[[], float]
    books: Books = field(default_factory=Books)
    entries: dict[str, Entry] = field(default_factory=OrderedDict)
    untold: dict[str, None] = field(default_factory=OrderedDict)
    spent: dict[BudgetName, Spent] = field(default_factory=dict)
    full_at: dict[str, int] = field(default_factory=dict)
    lost_spent: dict[BudgetName, Spent] = field(default_factory=dict)
    lost_full_at: dict[str, int] = field(default_factory=dict)
    stamps: dict[BudgetName | str, Stamp] = field(default_factory=dict)
    losses: int = 0

    def note(self, hold: Hold, state: str, *, heard: str = "", seen: Seen = NOTHING_SEEN) -> None:
        """Note that a hold is in a state now. One that is resolved stays as it is."""
        known = self.entries.get(hold.id)
        if known is not None:
            if not known.is_open or known.state == state:
                return
            hold, heard = known.hold, heard or known.heard
        entry = Entry(hold, state, heard, self.clock(), seen)
        self.entries[hold.id] = entry
        if entry.told:
            self.untold.pop(hold.id, None)
        else:
            self.untold[hold.id] = None
        if len(self.entries) > _MOST:
            self._forget(next(iter(self.entries)))

    def regrant(self, hold: Hold) -> None:
        """Note that a hold has got another key."""
        entry = self.entries.get(hold.id)
        if entry is not None:
            self.entries[hold.id] = replace(entry, hold=hold)

    def is_open(self, hold_id: str) -> bool:
        """Whether the replica has such a hold that is not resolved."""
        entry = self.entries.get(hold_id)
        return entry is not None and entry.is_open

    def hear(self, hold_id: str, state: str) -> None:
        """Note that Redis has heard of a state. The hold may be in a later one by now."""
        entry = self.entries.get(hold_id)
        if entry is None:
            return
        entry = self.entries[hold_id] = replace(entry, heard=state)
        if entry.told:
            self.untold.pop(hold_id, None)

    def next_untold(self, most: int) -> list[Entry]:
        """Return the oldest entries that Redis is to be told of."""
        return [self.entries[hold_id] for hold_id in islice(self.untold, most)]

    def learn(self, tenant: str, spent: Spent, at: Stamp) -> None:
        """Note what a budget has spent, by the answer `at`. Answers may come in any order."""
        name = (tenant, spent.period.start)
        if self._is_latest(name, at):
            self.spent[name] = spent

    def learn_rate(self, tenant: str, full_at: int, at: Stamp) -> None:
        """Note when the bucket of an edit rate is full again, by the answer `at`."""
        if self._is_latest(tenant, at):
            self.full_at[tenant] = full_at

    def read(self, mark: Mark, gen: str, seq: int) -> News:
        """Learn from an answer whether Redis has lost anything, and be ready to tell it again."""
        news = self.books.read(mark, gen, seq)
        if news in {News.LOST, News.NEW}:
            self._keep_what_was_lost()
        if news is News.NEW:
            self._tell_again(one for one in self.entries.values() if one.is_open)
        elif news is News.TAKEN_BACK:
            self._tell_again(self.entries.values())
        self.losses += news in {News.NEW, News.TAKEN_BACK}
        return news

    def written_back(self, spent: Iterable[BudgetName], full_at: Iterable[str]) -> None:
        """Note that the new generation has these: should it be lost too, they are written back again."""
        for name in self.lost_spent.keys() & spent:
            self.spent.setdefault(name, self.lost_spent.pop(name))
        for tenant in self.lost_full_at.keys() & full_at:
            self.full_at.setdefault(tenant, self.lost_full_at.pop(tenant))

    def prune(self) -> None:
        """Forget what need not be told again any more."""
        old = self.clock() - _KEPT
        gone = []
        for hold_id, entry in self.entries.items():
            if entry.at > old:
                break  # one that changed late holds up those behind it, no longer than it is kept
            if not entry.is_open and entry.told:
                gone.append(hold_id)
        for hold_id in gone:
            self._forget(hold_id)

    def _tell_again(self, entries: Iterable[Entry]) -> None:
        for entry in list(entries):
            # What an attempt has shown minutes ago is no news of its key any more.
            again = self.entries[entry.hold.id] = replace(entry, heard="", seen=NOTHING_SEEN)
            if not again.told:
                self.untold[entry.hold.id] = None

    def _keep_what_was_lost(self) -> None:
        """Set aside what the last generation had spent: it is written back into the new one."""
        for name, spent in self.spent.items():
            known = self.lost_spent.get(name)
            if known is None or known.settled < spent.settled:
                self.lost_spent[name] = spent
        for tenant, full_at in self.full_at.items():
            self.lost_full_at[tenant] = max(full_at, self.lost_full_at.get(tenant, 0))
        self.spent.clear()
        self.full_at.clear()
        self.stamps.clear()

    def _is_latest(self, name: BudgetName | str, at: Stamp) -> bool:
        if at < self.stamps.get(name, at):
            return False
        self.stamps[name] = at
        return True

    def _forget(self, hold_id: str) -> None:
        del self.entries[hold_id]
        self.untold.pop(hold_id, None)
