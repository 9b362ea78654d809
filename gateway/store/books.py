"""What a replica knows of the state of the ledger in Redis: whether anything of it was lost.

Every script of the ledger answers with the generation of the books and the replica's own count of calls
that they have taken in. A count that is not above what was known when the call was made says that a
failover took the books back. The count is each replica's own: another's calls would hide that. Another
generation, or none, says that Redis was emptied.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Books", "Mark", "News"]


class News(enum.Enum):
    """What an answer says of the books."""

    NONE = "none"
    STALE = "stale"
    """It may be from before a loss that is known by now: what it says counts no more."""
    TAKEN_BACK = "taken back"
    NEW = "new"
    LOST = "lost"


class Mark(NamedTuple):
    """What was known when a call was made. `era` rises with each generation and each loss."""

    era: int
    seq: int


@dataclass(slots=True)
class Books:
    """The generation, and the highest count that was answered in it."""

    gen: str = ""
    seq: int = 0
    era: int = 0

    def mark(self) -> Mark:
        """Return what is known now; take it before each call."""
        return Mark(self.era, self.seq)

    def read(self, mark: Mark, gen: str, seq: int) -> News:
        """Learn from an answer to a call that was made at `mark`. Answers may come in any order."""
        if mark.era != self.era:
            return News.STALE
        if not gen:
            return News.LOST
        if gen != self.gen:
            first = not self.gen
            self.gen, self.seq = gen, seq
            self.era += 1
            return News.NONE if first else News.NEW
        if seq <= mark.seq:
            self.seq = seq
            self.era += 1
            return News.TAKEN_BACK
        self.seq = max(self.seq, seq)
        return News.NONE
