"""The periods of budgets: calendar months of a time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo
from itertools import pairwise

__all__ = ["Period", "months_around"]


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` to before `end`, in milliseconds since the epoch. The start names it."""

    start: int
    end: int


def months_around(now: float, zone: tzinfo) -> tuple[Period, Period, Period]:
    """Return the month of `now` (seconds since the epoch) with the ones before and after it.

    So whoever has another clock, but one that is right to the month, finds its own among them.
    """
    today = datetime.fromtimestamp(now, zone)
    first = [_month(today.year, today.month + shift, zone) for shift in (-1, 0, 1, 2, 3)]
    # Where the clock is put back over the first midnight, it shows the old month again: that is over.
    begun = int(now * 1000 >= first[2])
    before, this, after = (Period(start, end) for start, end in pairwise(first[begun : begun + 4]))
    return before, this, after


def _month(year: int, month: int, zone: tzinfo) -> int:
    """Return when a month begins; months go on past December and before January."""
    years, index = divmod(month - 1, 12)
    return int(datetime(year + years, index + 1, 1, tzinfo=zone).timestamp() * 1000)
