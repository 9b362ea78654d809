"""`polled.lua` does to the books what the domain's arithmetic does, whatever happened before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from gateway.domain.accounts import NO_BOOKS, AccountBooks, Poll, Refill, least_cost, reconcile
from gateway.domain.answer import AccountState
from gateway.ports import Findings, Question
from tests.store.account_bench import AccountBench, account

RESERVE = 3_000
THRIFTY = account(reserve=RESERVE)
PRICES = (1_000, 200, 5_000)
SPENT = ("posted", "presumed")
MAY_BECOME = {
    "held": ("held", "sent", "posted", "presumed", "voided"),
    "sent": ("sent", "posted", "presumed", "voided"),
    "presumed": ("sent", "presumed", "posted", "voided"),
    "posted": ("posted",),
    "voided": ("voided",),
}
HOLDS = st.integers(0, 8)
AMOUNTS = st.integers(-5, 60).map(lambda number: number * 1_000)


@pytest.fixture(params=["valkey", "debian_redis"])
def bench(request: pytest.FixtureRequest) -> Iterator[AccountBench]:
    with AccountBench.at(request.getfixturevalue(request.param)) as made:
        yield made


@dataclass(slots=True)
class Twin:
    """The account's books, its holds by number, and when what they spent was posted."""

    lag: int
    books: AccountBooks = NO_BOOKS
    states: dict[int, str] = field(default_factory=dict)
    posts: dict[int, int] = field(default_factory=dict)
    polled: int = 0

    def tell(self, number: int, state: str, now: int) -> None:
        before = self.states.get(number, "")
        if before and state not in MAY_BECOME[before]:
            return
        self.states[number] = state
        images = PRICES[number % 3]
        if before not in SPENT and state in SPENT:
            self.posts[number] = now
            self.books = replace(self.books, since=self.books.since + images)
        elif before in SPENT and state not in SPENT and self.posts.pop(number, None) is not None:
            self.books = replace(self.books, since=self.books.since - images)

    def poll(self, word: AccountState | None, asked: int) -> Findings:
        self.posts = {n: at for n, at in self.posts.items() if at > asked - self.lag}
        if word is None or asked <= self.polled:
            return Findings(Refill.NONE, 0)
        self.polled = asked
        held = sum(PRICES[n % 3] for n, state in self.states.items() if state in ("held", "sent"))
        recent = sum(PRICES[n % 3] for n in self.posts)
        least = least_cost(THRIFTY, word.plan)
        poll = Poll(word, asked, self.lag, held, recent, reserve=RESERVE, least=least)
        self.books, refill, booked = reconcile(self.books, poll)
        return Findings(refill, booked)


class Accounts(RuleBasedStateMachine):
    """Holds, words of the account and 402s, on both sides."""

    bench: AccountBench

    def __init__(self) -> None:
        super().__init__()
        self.bench.lose_all()
        self.bench.open_books()
        self.twin = Twin(round(self.bench.rhythm.lag * 1000))
        self.refused = 0

    @rule(number=HOLDS, state=st.sampled_from(tuple(MAY_BECOME)))
    def tell(self, number: int, state: str) -> None:
        self.bench.tell(f"h{number}", state, PRICES[number % 3])
        self.twin.tell(number, state, self.bench.now)

    @rule(available=AMOUNTS, subscription=st.sampled_from([20_000, 20_000, 20_000, 40_000]))
    def poll(self, available: int, subscription: int) -> None:
        self._poll(AccountState(available, subscription, "plus"))

    @rule(by=st.sampled_from([-1_000, -200, 0, 200]))
    def poll_nearby(self, by: int) -> None:
        """What the books expect, and some more or less of it."""
        books = self.twin.books
        left = (books.available or 0) - books.since + by
        self._poll(AccountState(left, books.subscription, "basic"))

    def _poll(self, word: AccountState | None) -> None:
        assert self.twin.poll(word, self.bench.now) == self.bench.poll(word, which=THRIFTY)
        self.bench.now += 1

    @rule()
    def no_answer(self) -> None:
        self._poll(None)

    @rule(available=AMOUNTS)
    def late_answer(self, available: int) -> None:
        question = Question(THRIFTY, self.twin.polled - 1)
        word = AccountState(available, 20_000, "plus")
        if self.twin.polled:
            assert self.twin.poll(word, question.asked) == self.bench.note(question, word)

    @rule()
    def refuse(self) -> None:
        self.refused += 1
        self.bench.refuse(f"r{self.refused}")
        self.twin.books = replace(self.twin.books, exhausted=self.bench.now)

    @rule(seconds=st.sampled_from([1, 59, 120]))
    def time_passes(self, seconds: int) -> None:
        self.bench.now += seconds * 1000

    @invariant()
    def the_books_are_the_twin_s(self) -> None:
        number = self.bench.number
        assert self.twin.books == AccountBooks(
            available=number("available"),
            subscription=number("subscription") or 0,
            since=number("since") or 0,
            drift=number("drift") or 0,
            external=number("external") or 0,
            returned=number("returned") or 0,
            exhausted=number("exhausted"),
            let_back=number("let_back"),
        )
        assert len(self.twin.posts) == self.bench.posts()

    @invariant()
    def what_is_held_and_spent_is_that_of_the_holds(self) -> None:
        states = self.twin.states
        for name, words in (("held", ("held", "sent")), ("spent", SPENT)):
            total = sum(PRICES[n % 3] for n, state in states.items() if state in words)
            assert total == (self.bench.number(name) or 0)


@pytest.mark.parametrize("steps", [30])
def test_the_script_does_what_the_twin_does(bench: AccountBench, steps: int) -> None:
    machine = type("AccountsHere", (Accounts,), {"bench": bench})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=40, stateful_step_count=steps, deadline=None)
    )
