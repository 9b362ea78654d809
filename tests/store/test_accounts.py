"""The scripts of the book of accounts: who asks, when, and what an account's word does to the books."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from gateway.domain.accounts import Refill
from gateway.domain.answer import AccountState
from gateway.ports import Findings, Question
from tests.store.account_bench import START, AccountBench, account, word

NOTHING = Findings(Refill.NONE, 0)
SECOND = 1000
MINUTE = 60 * SECOND


@pytest.fixture(params=["valkey", "debian_redis"])
def bench(request: pytest.FixtureRequest) -> Iterator[AccountBench]:
    with AccountBench.at(request.getfixturevalue(request.param)) as made:
        yield made


def asks(bench: AccountBench, replica: str = "one") -> bool:
    """Whether the replica is to ask the account now; if so, it gets no answer."""
    questions = bench.look(account(), replica=replica).questions
    bench.command("DEL", "poll@plus")
    return bool(questions)


def test_an_account_that_was_never_asked_is_asked_by_one_replica(bench: AccountBench) -> None:
    one = bench.look(account(), account("other"), replica="one")
    two = bench.look(account(), account("other"), replica="two")

    assert [("plus", START), ("other", START)] == [(q.account.id, q.asked) for q in one.questions]
    assert (START / 1000, ()) == (two.at, two.questions)
    assert [True, True] == [one.is_asked for one in two.standings]
    assert [None, None] == [one.word for one in two.standings]


def test_the_other_replicas_hear_what_one_was_told(bench: AccountBench) -> None:
    [question] = bench.look(account()).questions
    bench.now += SECOND
    assert NOTHING == bench.note(question, word(998_800, plan="basic"))
    bench.tell("open", "sent", 1000)
    bench.tell("done", "posted", 200)

    known = bench.standing()
    assert (word(998_800, plan="basic"), False, False) == (
        known.word,
        known.is_asked,
        known.is_closed,
    )
    assert (START / 1000, 1000, 200) == (known.polled_at, known.held, known.since)
    assert (997_600, 997_600) == (known.left, known.headroom)


def test_a_question_that_nobody_answered_is_asked_by_another_replica(bench: AccountBench) -> None:
    assert bench.look(account(), replica="one").questions
    bench.now += round((bench.rhythm.soon + 1) * 1000)
    # The lease lives by the server's own clock.
    bench.command("DEL", "poll@plus")
    assert bench.look(account(), replica="two").questions


def test_a_question_is_held_for_as_long_as_it_may_take(bench: AccountBench) -> None:
    bench.look(account())
    life = int(bench.command("PTTL", "poll@plus"))
    assert bench.rhythm.patience * 1000 < life <= (bench.rhythm.patience + 2) * 1000


def test_a_replica_does_not_give_back_what_another_one_asks(bench: AccountBench) -> None:
    [question] = bench.look(account(), replica="one").questions
    bench.command("DEL", "poll@plus")
    bench.now += 10 * SECOND
    assert bench.look(account(), replica="two").questions
    bench.note(question, None, replica="one")
    assert bench.look(account(), replica="three").standings[0].is_asked


@pytest.mark.parametrize(
    ("said", "pause"),
    [
        pytest.param(word(1_000_000), 60, id="plenty"),
        pytest.param(word(50_000), 60, id="a twentieth"),
        pytest.param(word(49_999), 10, id="less"),
        pytest.param(word(-1), 10, id="overdrawn"),
        pytest.param(None, 10, id="no answer"),
    ],
)
def test_an_account_is_asked_again_after(
    bench: AccountBench, said: AccountState | None, pause: int
) -> None:
    bench.note(bench.look(account()).questions[0], said)
    bench.now += pause * SECOND - 1
    assert not asks(bench)
    bench.now += 1
    assert asks(bench)


def test_what_is_held_and_reserved_counts_as_gone_when_it_is_asked_again(
    bench: AccountBench,
) -> None:
    thrifty = account(reserve=20_000)
    bench.note(bench.look(thrifty).questions[0], word(80_000))
    bench.tell("open", "sent", 10_001)
    bench.now += 10 * SECOND
    assert bench.look(thrifty).questions


def test_a_402_is_asked_about_at_once_and_then_soon(bench: AccountBench) -> None:
    bench.note(bench.look(account()).questions[0], word(1_000_000))
    bench.now += SECOND
    bench.refuse("first")
    bench.note(bench.look(account()).questions[0], word(0))
    bench.now += 10 * SECOND - 1
    assert not asks(bench)
    bench.now += 1
    assert asks(bench)


def test_a_402_that_comes_while_the_account_is_asked_is_asked_about_again(
    bench: AccountBench,
) -> None:
    [question] = bench.look(account()).questions
    bench.now += 1
    bench.refuse("first")
    bench.note(question, word(1_000_000))
    assert bench.standing().is_exhausted
    assert bench.standing().is_closed
    bench.command("DEL", "poll@plus")
    bench.now += 1
    bench.note(bench.look(account()).questions[0], word(1_000_000))
    assert not bench.standing().is_exhausted


def test_books_that_were_lost_are_asked_for_at_once(bench: AccountBench) -> None:
    bench.note(bench.look(account()).questions[0], word(1_000_000))
    assert not asks(bench)
    bench.lose_all()
    assert asks(bench)


def test_a_word_that_comes_late_is_passed_over(bench: AccountBench) -> None:
    early = Question(account(), bench.now)
    bench.now += MINUTE
    bench.poll(word(500_000))
    assert NOTHING == bench.note(early, word(900_000))
    assert word(500_000) == bench.standing().word


# What a poll does to the books.


def test_a_charge_that_the_account_does_not_show_yet_is_not_spent_twice(
    bench: AccountBench,
) -> None:
    bench.poll(word(10_000))
    bench.now += SECOND
    bench.tell("one", "posted", 4_000)
    bench.now += SECOND
    bench.poll(word(10_000))
    assert 6_000 == bench.standing().left
    bench.now += MINUTE
    bench.poll(word(6_000))
    assert (6_000, 0) == (bench.standing().left, bench.standing().since)


def test_a_charge_of_a_call_under_way_is_not_taken_for_another_s(bench: AccountBench) -> None:
    bench.poll(word(10_000))
    bench.tell("one", "sent", 4_000)
    for _ in range(3):
        bench.now += SECOND
        assert NOTHING == bench.poll(word(6_000))
    assert 6_000 == bench.standing().left
    bench.tell("one", "posted", 4_000)
    assert 6_000 == bench.standing().left


@pytest.mark.parametrize("late", [0, 3 * MINUTE])
def test_a_call_that_was_presumed_and_was_not_charged_is_given_back_once(
    bench: AccountBench, late: int
) -> None:
    """By its outcome, or by two polls after the lag; the outcome that comes after these changes nothing."""
    bench.poll(word(10_000))
    bench.now += 1
    bench.tell("one", "presumed", 4_000)
    assert (6_000, 4_000) == (bench.standing().left, bench.number("spent"))
    bench.now += late
    if late:
        assert NOTHING == bench.poll(word(10_000))
        assert 6_000 == bench.standing().left
        bench.now += SECOND
        assert Findings(Refill.NONE, -4_000) == bench.poll(word(10_000))
        assert 4_000 == bench.standing().returned
    bench.tell("one", "voided", 4_000)
    assert (10_000, 0) == (bench.standing().left, bench.number("spent"))
    bench.now += SECOND
    assert NOTHING == bench.poll(word(10_000))
    assert 10_000 == bench.standing().left


def test_what_others_spend_closes_at_once_and_is_booked_by_the_second_word(
    bench: AccountBench,
) -> None:
    bench.poll(word(100_000))
    bench.now += MINUTE
    assert NOTHING == bench.poll(word(90_000))
    assert (90_000, 0) == (bench.standing().left, bench.standing().external)
    bench.now += MINUTE
    assert Findings(Refill.NONE, 10_000) == bench.poll(word(85_000))
    bench.now += MINUTE
    assert Findings(Refill.NONE, 5_000) == bench.poll(word(85_000))
    bench.now += MINUTE
    assert NOTHING == bench.poll(word(85_000))
    assert (85_000, 15_000) == (bench.standing().left, bench.standing().external)


def test_what_was_told_too_late_is_not_booked_as_another_s(bench: AccountBench) -> None:
    """A replica that could not be heard has spent, and tells of it after the first poll."""
    bench.poll(word(100_000))
    bench.now += MINUTE
    bench.poll(word(90_000))
    bench.tell("late", "posted", 10_000)
    bench.now += MINUTE
    assert NOTHING == bench.poll(word(90_000))
    assert (90_000, 0) == (bench.standing().left, bench.standing().external)


@pytest.mark.parametrize(
    ("before", "after", "refill"),
    [
        pytest.param(word(50_000), word(1_000_000), Refill.PERIOD, id="full"),
        pytest.param(word(50_000), word(950_000), Refill.PERIOD, id="about full"),
        pytest.param(word(50_000), word(949_999), Refill.TOP_UP, id="not quite full"),
        pytest.param(word(50_000), word(1_000_001), Refill.TOP_UP, id="more than full"),
        pytest.param(word(50_000), word(150_001), Refill.TOP_UP, id="more than a tenth"),
        pytest.param(word(50_000), word(150_000), Refill.NONE, id="a tenth"),
        pytest.param(word(950_000), word(1_000_000), Refill.NONE, id="full, and no rise"),
        pytest.param(
            word(50_000), word(50_000, 2_000_000), Refill.PERIOD, id="another subscription"
        ),
        pytest.param(word(90_000), word(20_000, 20_000), Refill.PERIOD, id="a smaller one"),
        pytest.param(word(0, 0), word(1, 0), Refill.TOP_UP, id="no subscription"),
    ],
)
def test_a_refill_is_told_from_what_was_missed(
    bench: AccountBench, before: AccountState, after: AccountState, refill: Refill
) -> None:
    """It books nothing, and what it brings is there at once."""
    bench.poll(before)
    bench.now += MINUTE
    assert Findings(refill, 0) == bench.poll(after)
    known = bench.standing()
    assert (0, 0) == (known.external, known.returned)
    if refill:
        assert after.available_milli == known.left
        assert (refill, bench.now / 1000) == (known.refill, known.refilled_at)


def test_a_refill_keeps_what_the_word_does_not_show_yet(bench: AccountBench) -> None:
    bench.poll(word(100_000))
    bench.now += SECOND
    bench.tell("one", "posted", 30_000)
    bench.now += SECOND
    assert Refill.TOP_UP == bench.poll(word(300_000)).refill
    assert 270_000 == bench.standing().left
    bench.now += 3 * MINUTE
    assert NOTHING == bench.poll(word(270_000))
    assert 270_000 == bench.standing().left


def test_first_words_are_taken_with_care_while_something_was_spent_lately(
    bench: AccountBench,
) -> None:
    bench.tell("one", "posted", 30_000)
    bench.poll(word(100_000))
    assert 70_000 == bench.standing().left


def test_what_a_replica_knows_of_books_that_were_lost_is_not_there_to_be_spent(
    bench: AccountBench,
) -> None:
    """It counts for the first word alone; where the account shows it already, it is given back."""
    bench.tell("one", "posted", 10_000)
    bench.note(Question(account(), bench.now, unseen=20_000), word(100_000))
    assert 70_000 == bench.standing().left
    bench.now += 3 * MINUTE
    bench.note(Question(account(), bench.now, unseen=20_000), word(70_000))
    assert (70_000, 0) == (bench.standing().left, bench.standing().external)


def test_what_is_older_than_the_lag_is_forgotten_whether_the_account_answers_or_not(
    bench: AccountBench,
) -> None:
    for answer in (word(100_000), None):
        bench.tell(f"before {answer}".replace(" ", "-"), "posted", 1_000)
        bench.now += round(bench.rhythm.lag * 1000)
        bench.poll(answer)
        assert 0 == bench.posts()


# A 402, and how an account comes back.


def exhausted(bench: AccountBench) -> None:
    bench.poll(word(100_000))
    bench.now += SECOND
    bench.refuse("first")
    bench.now += SECOND


def test_an_account_that_shows_images_is_let_back(bench: AccountBench) -> None:
    exhausted(bench)
    bench.poll(word(0))
    assert bench.standing().is_exhausted
    bench.now += SECOND
    bench.poll(word(199))
    assert bench.standing().is_exhausted
    bench.now += SECOND
    bench.poll(word(200_000))
    assert not bench.standing().is_exhausted


def test_a_reserve_lets_nobody_back(bench: AccountBench) -> None:
    exhausted(bench)
    thrifty = account(reserve=100_000)
    bench.note(Question(thrifty, bench.now), word(100_199))
    assert bench.standing().is_exhausted


@pytest.mark.parametrize(
    ("said", "wait", "is_let_back"),
    [
        pytest.param(word(100_000), SECOND, False, id="at once"),
        pytest.param(word(100_001), SECOND, True, id="it shows more"),
        pytest.param(word(100_000), 120 * SECOND - 1, False, id="within the lag"),
        pytest.param(word(100_000), 120 * SECOND, True, id="after the lag"),
    ],
)
def test_an_account_that_shows_what_it_has_no_more_is_believed_once(
    bench: AccountBench,
    said: AccountState,
    wait: int,
    is_let_back: bool,  # noqa: FBT001 - a column of the table
) -> None:
    exhausted(bench)
    bench.poll(word(100_000))
    assert not bench.standing().is_exhausted
    bench.refuse("again")
    bench.now += wait
    bench.poll(said)
    assert is_let_back is not bench.standing().is_exhausted


# How long it lasts.


def test_the_pace_is_that_of_the_last_hour_and_of_everybody(bench: AccountBench) -> None:
    bench.poll(word(1_000_000))
    assert (0, 0.0, math.inf) == pace(bench)
    for minute in range(1, 121):
        bench.now += MINUTE
        bench.tell(f"h{minute}", "posted", 1_000)
        bench.poll(word(1_000_000 - minute * 1_000))
    assert (60_000 - 1_000, 3600 - 60) == pace(bench)[:2]
    bench.now += MINUTE
    bench.poll(word(870_000))
    bench.now += MINUTE
    bench.poll(word(870_000))
    used, used_for, lasts = pace(bench)
    assert (57_000 + 10_000, 3600 - 60) == (used, used_for)
    assert 870_000 / used * used_for == pytest.approx(lasts)


def pace(bench: AccountBench) -> tuple[int, float, float]:
    known = bench.standing()
    return known.used, known.used_for, known.lasts
