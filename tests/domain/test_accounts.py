"""Our books of an account against its word, whatever the lag, and whoever else spends."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.domain.accounts import (
    NO_BOOKS,
    AccountBooks,
    Poll,
    Rhythm,
    Standing,
    least_cost,
    plan_price,
    reconcile,
    seconds_left,
)
from gateway.domain.answer import AccountState
from gateway.domain.credits import BASIC, PLUS, Price
from gateway.domain.keys import PoolAccount

LAG = 120_000
IMAGES = st.integers(0, 60).map(lambda number: number * 200)


@dataclass
class Account:
    """An account as the upstream has it: what is left, and which charges its word does not show yet.

    `shown_at` is when each charge, ours or another's, comes into its word.
    """

    left: int
    hidden: list[tuple[int, int]] = field(default_factory=list)

    def charge(self, images: int, shown_at: int) -> None:
        self.left -= images
        self.hidden.append((shown_at, images))

    def word(self, now: int) -> AccountState:
        return AccountState(
            self.left + sum(images for at, images in self.hidden if at > now), 10**9, "plus"
        )


class Spending(RuleBasedStateMachine):
    """Calls that are held, charged and posted at any time; others who spend; and polls."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 10**12
        self.others = 0
        self.held: dict[int, tuple[int, bool]] = {}
        self.posts: list[tuple[int, int]] = []
        self.calls = 0

    @initialize(left=st.integers(10**6, 10**7), lag=st.integers(0, LAG))
    def begin(self, left: int, lag: int) -> None:
        self.account = Account(left)
        self.lag = lag
        self.books = reconcile(NO_BOOKS, self.asked()).books

    @rule(images=IMAGES)
    def call(self, images: int) -> None:
        self.calls += 1
        self.held[self.calls] = (images, False)

    @precondition(lambda self: any(not charged for _, charged in self.held.values()))
    @rule()
    def is_charged(self) -> None:
        name = next(name for name, (_, charged) in self.held.items() if not charged)
        images, _ = self.held[name]
        self.account.charge(images, self.now + self.lag)
        self.held[name] = (images, True)

    @precondition(lambda self: self.held)
    @rule()
    def is_settled(self) -> None:
        name = next(iter(self.held))
        images, charged = self.held.pop(name)
        if charged:
            self.posts.append((self.now, images))
            self.books = replace(self.books, since=self.books.since + images)

    @rule(images=IMAGES)
    def another_spends(self, images: int) -> None:
        self.account.charge(images, self.now + self.lag)
        self.others += images

    @rule(seconds=st.integers(0, 200))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds * 1000

    @rule()
    def poll(self) -> None:
        self.books = reconcile(self.books, self.asked()).books

    def asked(self) -> Poll:
        recent = sum(images for at, images in self.posts if at > self.now - LAG)
        held = sum(images for images, _ in self.held.values())
        return Poll(self.account.word(self.now), self.now, LAG, held, recent)

    @property
    def left(self) -> int:
        """What the account has left, once the calls under way are charged too or never are."""
        return self.account.left + sum(images for images, charged in self.held.values() if charged)

    @invariant()
    def nobody_else_is_blamed(self) -> None:
        assert 0 <= self.books.external <= self.others
        assert 0 == self.books.returned

    @invariant()
    def nothing_is_refused_that_is_there(self) -> None:
        assert self.books.available is not None
        assert self.left <= self.books.available - self.books.since

    @invariant()
    def no_more_is_spent_than_others_have_taken_unseen(self) -> None:
        assert self.books.available is not None
        assert self.books.available - self.books.since <= self.left + self.others

    @precondition(lambda self: not self.others)
    @invariant()
    def alone_the_books_are_exact(self) -> None:
        assert self.books.available is not None
        assert self.left == self.books.available - self.books.since
        assert 0 == self.books.drift

    def teardown(self) -> None:
        """When all is quiet, two polls after the lag know everything."""
        while self.held:
            self.is_settled()
        for _ in range(2):
            self.now += LAG + 1
            self.poll()
        assert self.others == self.books.external
        self.alone_the_books_are_exact()


TestSpending = Spending.TestCase


@given(presumed=st.integers(1, 10**6), others=st.integers(0, 10**6))
def test_what_was_presumed_and_not_charged_is_given_back_less_what_others_spent(
    presumed: int, others: int
) -> None:
    books = AccountBooks(10**7, 10**9, since=presumed)
    word = AccountState(10**7 - others, 10**9, "plus")
    for at in (LAG, 2 * LAG):
        books = reconcile(books, Poll(word, at, LAG)).books
    assert books.available is not None
    assert word.available_milli == books.available - books.since
    assert max(0, others - presumed) == books.external
    assert max(0, presumed - others) == books.returned


@pytest.mark.parametrize(
    ("headroom", "used", "seconds", "lasts"),
    [
        (1000, 100, 60.0, 600.0),
        (0, 100, 60.0, 0.0),
        (-1, 0, 0.0, 0.0),
        (1000, 0, 60.0, math.inf),
        (1000, 100, 0.0, math.inf),
    ],
)
def test_what_is_left_lasts_as_long_as_the_pace_goes_on(
    headroom: int, used: int, seconds: float, lasts: float
) -> None:
    assert lasts == seconds_left(headroom, used, seconds)


@pytest.mark.parametrize(
    ("plan", "price"),
    [("basic", BASIC), ("plus", PLUS), (" Plus ", PLUS), ("", BASIC), ("enterprise", BASIC)],
)
def test_a_plan_that_is_not_known_is_the_dearest(plan: str, price: Price) -> None:
    assert price == plan_price(plan)


@pytest.mark.parametrize(
    ("configured", "plan", "least"),
    [(None, "plus", 200), (None, "basic", 1000), (None, "", 1000), (Price(7, 9), "basic", 7)],
)
def test_the_cheapest_call_is_that_of_the_configured_price_else_of_the_plan(
    configured: Price | None, plan: str, least: int
) -> None:
    assert least == least_cost(PoolAccount("a", (), configured), plan)


OPEN = Standing(PoolAccount("a", (), None), AccountState(200, 0, "plus"))


def test_an_account_with_the_price_of_its_cheapest_call_is_open() -> None:
    assert not OPEN.is_closed


@pytest.mark.parametrize(
    "standing",
    [
        pytest.param(replace(OPEN, word=None), id="it never answered"),
        pytest.param(replace(OPEN, word=AccountState(200, 0, "basic")), id="it is dearer"),
        pytest.param(replace(OPEN, since=1), id="it was spent since"),
        pytest.param(replace(OPEN, held=1), id="it is held"),
        pytest.param(
            replace(OPEN, account=PoolAccount("a", (), None, reserve_milli=1)), id="it is reserved"
        ),
        pytest.param(replace(OPEN, is_exhausted=True), id="it answered 402"),
    ],
)
def test_an_account_without_the_price_of_its_cheapest_call_is_closed(standing: Standing) -> None:
    assert standing.is_closed


def test_the_shorter_intervals_follow_from_the_longest() -> None:
    assert Rhythm() == Rhythm.of(60.0, 120.0)
    assert (1.0, 0.05) == (Rhythm.of(3600.0, 1.0).look, Rhythm.of(0.1, 1.0).look)
