"""A replica's table of its holds: what Redis is to be told, in which order, and for how long."""

from __future__ import annotations

import pytest

from gateway.domain.edit import Operation
from gateway.domain.periods import Period
from gateway.ports import Hold
from gateway.store.books import News
from gateway.store.hold_table import HELD, SENT, HoldTable, Spent
from tests.store.tiers import ManualClock

MONTH = Period(1_000, 2_000)
KEPT = 900.0
MOST = 100_000


def a_hold(name: str = "h1") -> Hold:
    return Hold(name, "shop", Operation.EDIT, 1_000, 60.0, MONTH)


def a_table() -> HoldTable:
    """A table that knows generation g1, at count 1."""
    table = HoldTable(ManualClock())
    read(table, "g1", 1)
    return table


def read(table: HoldTable, gen: str, seq: int) -> News:
    return table.read(table.books.mark(), gen, seq)


def told(table: HoldTable) -> list[tuple[str, str]]:
    """What is to be told, in order."""
    return [(entry.hold.id, entry.state) for entry in table.next_untold(99)]


def test_what_becomes_of_a_hold_is_to_be_told_until_it_is_heard() -> None:
    table = a_table()
    table.note(a_hold(), HELD, heard=HELD)
    assert ([], True) == (told(table), table.is_open("h1"))
    for state, is_open in ((SENT, True), ("posted", False)):
        table.note(a_hold(), state)
        assert ([("h1", state)], is_open) == (told(table), table.is_open("h1"))
        table.hear("h1", state)
        assert [] == told(table)


def test_a_hold_that_is_granted_and_not_used_is_not_told() -> None:
    """Redis lets it lapse; and one that was granted on trust it does not know."""
    table = a_table()
    table.note(a_hold(), HELD)
    assert [] == told(table)


@pytest.mark.parametrize("later", [HELD, SENT, "posted", "voided", "presumed"])
@pytest.mark.parametrize("state", ["posted", "voided", "presumed"])
def test_the_first_outcome_stands(state: str, later: str) -> None:
    table = a_table()
    table.note(a_hold(), state)
    table.note(a_hold(), later)
    assert [("h1", state)] == told(table)


def test_an_answer_about_an_older_state_leaves_the_newer_to_be_told() -> None:
    table = a_table()
    table.note(a_hold(), SENT)
    table.note(a_hold(), "posted")
    table.hear("h1", SENT)
    assert [("h1", "posted")] == told(table)
    table.hear("h2", SENT)
    assert [("h1", "posted")] == told(table), "of a hold that is forgotten, nothing is learnt"


def test_the_oldest_is_told_first() -> None:
    table = a_table()
    for name in ("h1", "h2", "h3"):
        table.note(a_hold(name), SENT)
    table.note(a_hold("h1"), "posted")
    assert [("h1", "posted"), ("h2", SENT)] == told(table)[:2]
    assert 2 == len(table.next_untold(2))


def test_what_is_resolved_and_heard_is_forgotten_after_a_quarter_of_an_hour() -> None:
    clock = ManualClock()
    table = HoldTable(clock)
    for name, state in (("heard", "posted"), ("unheard", "posted"), ("open", SENT)):
        table.note(a_hold(name), state)
    table.hear("heard", "posted")
    table.hear("open", SENT)
    clock.now += KEPT - 1
    table.prune()
    assert {"heard", "unheard", "open"} == table.entries.keys()
    clock.now += 1
    table.prune()
    assert {"unheard", "open"} == table.entries.keys()


def test_an_outage_does_not_fill_the_memory() -> None:
    table = a_table()
    for number in range(MOST + 5):
        table.note(a_hold(f"h{number}"), SENT)
    assert (MOST, MOST) == (len(table.entries), len(table.untold))
    assert ("h5", SENT) == told(table)[0], "the oldest is given up"


def test_after_a_failover_all_that_redis_had_heard_is_told_again() -> None:
    table = a_table()
    states = {"h1": HELD, "h2": SENT, "h3": "posted", "h4": "voided", "h5": "presumed"}
    for name, state in states.items():
        table.note(a_hold(name), state, heard=state)
    assert News.TAKEN_BACK is read(table, "g1", 1)
    assert [(name, state) for name, state in states.items() if state != HELD] == told(table)
    assert 1 == table.losses


def test_new_books_are_told_of_what_is_open_and_of_what_the_old_had_not_heard() -> None:
    """What the old ones had heard is in what they had spent."""
    table = a_table()
    for name, state in (("h1", HELD), ("h2", SENT), ("h3", "posted")):
        table.note(a_hold(name), state, heard=state)
    table.note(a_hold("h4"), "posted")
    assert News.NEW is read(table, "g2", 1)
    assert {("h2", SENT), ("h4", "posted")} == set(told(table))
    assert 1 == table.losses


def test_the_later_answer_says_what_is_spent() -> None:
    table = a_table()
    name = ("shop", MONTH.start)
    table.learn("shop", Spent(MONTH, 500, 0), (1, 8))
    table.learn("shop", Spent(MONTH, 400, 0), (1, 7))
    table.learn_rate("shop", 50, (1, 8))
    table.learn_rate("shop", 40, (1, 7))
    assert (500, 50) == (table.spent[name].settled, table.full_at["shop"])
    table.learn("shop", Spent(MONTH, 300, 0), (1, 9))
    table.learn_rate("shop", 30, (1, 9))
    assert (300, 30) == (table.spent[name].settled, table.full_at["shop"]), "it may also sink"
    table.learn("shop", Spent(MONTH, 200, 0), (2, 1))
    assert 200 == table.spent[name].settled, "of a later era, though the count began anew"


@pytest.mark.parametrize("news", [[("", 0), ("g2", 1)], [("g2", 1)], [("", 0), ("", 0), ("g2", 1)]])
def test_what_lost_books_had_spent_is_set_aside_until_it_is_written_back(
    news: list[tuple[str, int]],
) -> None:
    table = a_table()
    name = ("shop", MONTH.start)
    table.learn("shop", Spent(MONTH, 500, 100), (1, 2))
    table.learn_rate("shop", 50, (1, 2))
    for gen, seq in news:
        read(table, gen, seq)
    assert (500, {"shop": 50}) == (table.lost_spent[name].settled, table.lost_full_at)
    assert ({}, {}) == (table.spent, table.full_at)
    table.written_back([name], ["shop"])
    assert ({}, {}) == (table.lost_spent, table.lost_full_at)
    read(table, "g3", 1)
    assert (500, {"shop": 50}) == (table.lost_spent[name].settled, table.lost_full_at)


def test_of_two_losses_in_a_row_the_most_that_was_spent_is_set_aside() -> None:
    table = a_table()
    name = ("shop", MONTH.start)
    table.learn("shop", Spent(MONTH, 500, 0), (1, 2))
    read(table, "g2", 1)
    table.learn("shop", Spent(MONTH, 200, 0), (2, 2))
    table.learn_rate("shop", 20, (2, 2))
    read(table, "g3", 1)
    assert (500, 20) == (table.lost_spent[name].settled, table.lost_full_at["shop"])
    table.written_back([name, ("other", 1)], ["shop", "other"])
    assert ({}, {}) == (table.lost_spent, table.lost_full_at)


def test_what_a_newer_answer_said_is_not_overwritten_by_what_was_written_back() -> None:
    table = a_table()
    name = ("shop", MONTH.start)
    table.learn("shop", Spent(MONTH, 500, 0), (1, 2))
    read(table, "g2", 1)
    table.learn("shop", Spent(MONTH, 700, 0), (2, 2))
    table.written_back([name], [])
    assert 700 == table.spent[name].settled
