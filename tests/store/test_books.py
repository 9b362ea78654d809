"""A replica notices by the answers alone that the books were lost or taken back, in whatever order they come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from gateway.store.books import Books, Mark, News

CALLS = 3


@dataclass(slots=True)
class World:
    """A replica and its books. A call is made, carried out, answered; at some moment the books are hit.

    A failover takes the connections with it: what was asked before it is answered before it or never.
    """

    books: Books = field(default_factory=Books)
    gen: str = "g1"
    count: int = 0
    made: dict[int, Mark] = field(default_factory=dict)
    answers: dict[int, tuple[str, int]] = field(default_factory=dict)
    cut: set[int] = field(default_factory=set)
    news: list[News] = field(default_factory=list)
    missed: bool = False
    """Whether something that the replica had an answer to was lost, and it has not noticed yet."""

    def step(self, event: str) -> None:
        kind, number = event[:-1], int(event[-1])
        if number in self.cut and kind in ("run", "answer"):
            return
        match kind:
            case "make":
                self.made[number] = self.books.mark()
            case "run":
                self.count += 1
                self.answers[number] = (self.gen, self.count)
            case "answer":
                self.say(self.books.read(self.made.pop(number), *self.answers[number]))
            case "back":
                self.cut = set(self.made)
                self.missed = self.count - number < self.books.seq
                self.count = max(0, self.count - number)
            case "empty":
                self.missed, self.gen, self.count = True, "", 0
            case _:
                self.missed, self.gen, self.count = True, "g2", 0

    def say(self, news: News) -> None:
        self.news.append(news)
        if news in (News.TAKEN_BACK, News.NEW, News.LOST):
            self.missed = False

    def call(self) -> News:
        """One more call, by itself."""
        self.step("make9")
        self.step("run9")
        self.step("answer9")
        return self.news[-1]


def interleavings(*others: str) -> Iterator[list[str]]:
    """Every order of the steps of three calls, the first made before the second, and of `others`."""
    chains = [[f"{kind}{n}" for kind in ("make", "run", "answer")] for n in range(CALLS)]
    chains += [[other] for other in others]

    def merge(done: list[str], left: tuple[int, ...]) -> Iterator[list[str]]:
        if all(at == len(chain) for at, chain in zip(left, chains, strict=True)):
            yield done
        for i, chain in enumerate(chains):
            if left[i] == len(chain) or (0 < i < CALLS and left[i] == 0 and not left[i - 1]):
                continue
            yield from merge([*done, chain[left[i]]], (*left[:i], left[i] + 1, *left[i + 1 :]))

    return merge([], (0,) * len(chains))


def after_a_first_answer() -> World:
    world = World()
    for _ in range(3):
        assert News.NONE is world.call()
    assert ("g1", 3) == (world.books.gen, world.books.seq)
    world.news.clear()
    return world


def test_while_nothing_is_lost_there_is_no_news() -> None:
    for steps in interleavings():
        world = after_a_first_answer()
        for step in steps:
            world.step(step)
        assert {News.NONE} == set(world.news), steps
        assert ("g1", 6) == (world.books.gen, world.books.seq)


def test_the_first_generation_that_is_seen_is_no_news_whatever_the_order() -> None:
    for steps in interleavings():
        world = World()
        for step in steps:
            world.step(step)
        assert {News.NONE, News.STALE} >= set(world.news), steps
        assert [News.NONE, News.NONE] == [world.call(), world.call()]


def test_books_that_are_opened_while_a_replica_starts_are_not_lost_by_a_late_answer() -> None:
    """Else what they have spent by then would be written into them once more."""
    for steps in interleavings("new0"):
        world = World(gen="")
        for step in steps:
            world.step(step)
            assert not (world.books.gen and world.news[-1:] == [News.LOST]), steps
        world.call()
        assert ("g2", News.NONE) == (world.books.gen, world.call())


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_failover_is_noticed_by_the_first_call_after_it_at_the_latest(depth: int) -> None:
    for steps in interleavings(f"back{depth}"):
        world = after_a_first_answer()
        for step in steps:
            world.step(step)
        world.call()
        assert not world.missed, steps
        assert world.news.count(News.TAKEN_BACK) <= 1, "it is told again once"
        assert {News.NONE, News.STALE, News.TAKEN_BACK} >= set(world.news)
        assert News.NONE is world.call()


@pytest.mark.parametrize("loss", ["empty0", "new0"])
def test_emptied_books_are_noticed_whatever_the_order(loss: str) -> None:
    """Whether another replica has opened new ones already or not."""
    for steps in interleavings(loss):
        world = after_a_first_answer()
        for step in steps:
            world.step(step)
        world.call()
        assert not world.missed, steps
        if loss == "empty0":
            assert {News.LOST, News.NONE} >= set(world.news), "lost until somebody opens new ones"
            assert "g1" == world.books.gen
            continue
        assert 1 == world.news.count(News.NEW), "once"
        assert {News.NONE, News.STALE, News.NEW} >= set(world.news)
        assert "g2" == world.books.gen
        assert News.NONE is world.call()


def test_an_empty_answer_from_before_the_new_books_does_not_lose_those() -> None:
    """Else what the new generation has spent would be written into it a second time."""
    for steps in interleavings("empty0", "new0"):
        if steps.index("new0") < steps.index("empty0"):
            continue
        world = after_a_first_answer()
        for step in steps:
            world.step(step)
        world.call()
        assert "g2" == world.books.gen
        assert not any(
            earlier is News.NEW and later is News.LOST for earlier, later in pairwise(world.news)
        ), steps
        assert News.NONE is world.call()
