"""What upstream accounts have left: our books against their word. Amounts are thousandths of an image.

An account shows a call late, by up to a lag that is configured. So its word bounds what it has left and
does not tell it: of what we spent within the lag, any part may be missing in that word, and of the calls
that are under way, any may be in it already. Our own books are exact while nobody else spends; they
stand as long as they lie within these bounds. A word that contradicts them closes what may be spent at
once, and is booked when the next one says so too.

`lua/polled.lua` does the same in Redis; both are held against each other by tests.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from gateway.domain.answer import AccountState
from gateway.domain.credits import BASIC, PLUS, Price
from gateway.domain.keys import PoolAccount

__all__ = [
    "NO_BOOKS",
    "AccountBooks",
    "Poll",
    "Polled",
    "Refill",
    "Rhythm",
    "Standing",
    "least_cost",
    "plan_price",
    "reconcile",
    "seconds_left",
]

_PLANS: Final = {"basic": BASIC, "plus": PLUS}

_REFILL_PERCENT: Final = 10
"""Percent of the subscription: a refill raises the account's word by more."""

_FULL_PERCENT: Final = 95
"""Percent of the subscription: a new period begins with as much, and with no more than all of it."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """When accounts are asked; seconds.

    Each is asked `every` so often, and as `soon` while little or nothing is left, or when it did not
    answer. A question is given up after `patience`. Each replica looks every `look` whether one is due.
    An account knows of a call after `lag` at the latest.
    """

    every: float = 60.0
    soon: float = 10.0
    look: float = 1.0
    patience: float = 5.0
    lag: float = 120.0

    @classmethod
    def of(cls, every: float, lag: float) -> Rhythm:
        """Return the rhythm whose shorter intervals follow from the longest."""
        return cls(every, soon=every / 6, look=min(1.0, max(0.05, every / 60)), lag=lag)


class Refill(enum.StrEnum):
    """What raised an account's word: a new period of its subscription, or images bought besides."""

    NONE = ""
    PERIOD = "period"
    TOP_UP = "top_up"


@dataclass(frozen=True, slots=True)
class AccountBooks:
    """Our books of one account. Times are milliseconds since the epoch.

    `available` and `subscription` are its last word; None: there was none yet. `since` is what that word
    lacked of our spending, and what was spent after it: `available - since` is left, open calls aside.
    `drift` is what the last word contradicted us by, above zero for missing images; it counts when the
    next one says so too. `external` was spent by others, `returned` was presumed to be spent and was not.
    At `exhausted` the account answered 402, None when it was let back since; `let_back` is when it last was.
    """

    available: int | None = None
    subscription: int = 0
    since: int = 0
    drift: int = 0
    external: int = 0
    returned: int = 0
    exhausted: int | None = None
    let_back: int | None = None


NO_BOOKS: Final = AccountBooks()


@dataclass(frozen=True, slots=True)
class Poll:
    """An account's word to a question that was asked at `asked`, and our side of it. Times as above.

    `held` is the price of the calls under way; `recent` what was spent from `lag` before the question up
    to now; `unseen` what books that were lost had spent and the word may lack. An exhausted account is
    let back for no less than `least`, the reserve aside.
    """

    word: AccountState
    asked: int
    lag: int
    held: int = 0
    recent: int = 0
    unseen: int = 0
    reserve: int = 0
    least: int = 0


class Polled(NamedTuple):
    """The books after a poll, what refilled the account, and what was booked: above zero for `external`."""

    books: AccountBooks
    refill: Refill = Refill.NONE
    booked: int = 0


def reconcile(books: AccountBooks, poll: Poll) -> Polled:
    """Take in the word of an account."""
    word = poll.word
    heard = replace(
        books, available=word.available_milli, subscription=word.subscription_milli, drift=0
    )
    refill, booked = Refill.NONE, 0
    if books.available is None:
        heard = replace(heard, since=poll.recent + poll.unseen)
    elif refill := _refill(books, books.available, word):
        # All of the rise is new; what the word lacked before, it may lack still.
        heard = replace(heard, since=max(-poll.held, min(books.since, poll.recent)))
    else:
        left = books.available - books.since + max(books.drift, 0)
        least, most = word.available_milli - poll.recent, word.available_milli + poll.held
        gap = max(left - most, 0) + min(left - least, 0)
        booked = _agreed(gap, books.drift)
        heard = replace(
            heard,
            since=word.available_milli - min(left - booked, most),
            drift=gap - booked,
            external=books.external + max(booked, 0),
            returned=books.returned - min(booked, 0),
        )
    if _is_let_back(books, heard, poll):
        heard = replace(heard, exhausted=None, let_back=poll.asked)
    return Polled(heard, refill, booked)


def _agreed(one: int, other: int) -> int:
    """Return what two contradictions have in common."""
    if one > 0 and other > 0:
        return min(one, other)
    return max(one, other) if one < 0 and other < 0 else 0


def _refill(books: AccountBooks, before: int, word: AccountState) -> Refill:
    """Compare two words of an account: between them it never rises by itself."""
    said, whole = word.available_milli, word.subscription_milli
    if whole != books.subscription:
        return Refill.PERIOD
    rise = said - before
    if rise <= 0 or rise * 100 <= whole * _REFILL_PERCENT:
        return Refill.NONE
    is_full = whole * _FULL_PERCENT <= said * 100 <= whole * 100
    return Refill.PERIOD if is_full else Refill.TOP_UP


def _is_let_back(before: AccountBooks, after: AccountBooks, poll: Poll) -> bool:
    """Whether the word shows images for a call, and that it knows of the 402.

    An account may show images that it has no more, for as long as the lag. It is believed once; when it
    answers 402 again, it has to show more than before, or the lag has to pass.
    """
    if before.exhausted is None or after.available is None or poll.asked <= before.exhausted:
        return False
    if after.available - after.since - poll.held - poll.reserve < poll.least:
        return False
    shows_more = before.available is not None and after.available > before.available
    was_believed = before.let_back is not None and poll.asked - before.let_back < poll.lag
    return shows_more or not was_believed or poll.asked - before.exhausted >= poll.lag


def seconds_left(headroom: int, used: int, seconds: float) -> float:
    """Return how long `headroom` lasts at the pace of `used` in so many seconds; infinity without one."""
    if headroom <= 0:
        return 0.0
    if used <= 0 or seconds <= 0:
        return math.inf
    return headroom * seconds / used


def plan_price(plan: str) -> Price:
    """Return the price of a plan by the account's own word; the dearest for one that is not known."""
    return _PLANS.get(plan.strip().lower(), BASIC)


def least_cost(account: PoolAccount, plan: str) -> int:
    """Return what the cheapest call costs an account that names its plan so."""
    price = account.price or plan_price(plan)
    return min(price.edit_milli, price.segment_milli)


@dataclass(frozen=True, slots=True)
class Standing:
    """How an account stands.

    `word` is its last one, None before the first, said to a question of `polled_at` (seconds since the
    epoch). `since`, `external` and `returned` are those of `AccountBooks`; `held` is the price of its
    open calls; `used` was spent, by whomever, in the last `used_for` seconds. `refill` is the last one,
    of `refilled_at`. `is_exhausted`: it has answered 402 and was not let back. `is_asked`: a replica is
    asking it now.
    """

    account: PoolAccount
    word: AccountState | None = None
    polled_at: float = 0.0
    since: int = 0
    held: int = 0
    external: int = 0
    returned: int = 0
    refill: Refill = Refill.NONE
    refilled_at: float = 0.0
    used: int = 0
    used_for: float = 0.0
    is_exhausted: bool = False
    is_asked: bool = False

    @property
    def left(self) -> int:
        """What is left when all open calls are paid; nothing before the first word."""
        return self.word.available_milli - self.since - self.held if self.word else 0

    @property
    def headroom(self) -> int:
        """What may be spent: never the reserve."""
        return self.left - self.account.reserve_milli

    @property
    def is_closed(self) -> bool:
        """Whether it may not serve the cheapest call."""
        if self.word is None or self.is_exhausted:
            return True
        return self.headroom < least_cost(self.account, self.word.plan)

    @property
    def lasts(self) -> float:
        """Seconds until nothing may be spent, at the pace of the last hour."""
        return seconds_left(self.headroom, self.used, self.used_for)
