"""An endpoint that has trouble is left alone, and so is an edit that brings it there; nobody else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.domain.edit import Operation
from gateway.domain.keys import NOTHING_SEEN, KeyGrant, Seen, Verdict
from gateway.ports import CallTraits, Claim
from gateway.store.ledger_calls import Attempt
from tests.store.keys_tools import KeyBench, a_claim, an_account, told

EDIT, SEGMENT = Operation.EDIT, Operation.SEGMENT
FAILED, SERVED = Seen(Verdict.FAILED), Seen(Verdict.SERVED)
GRANT = KeyGrant("a1", "a", 1_000)
PLENTY = (99, 60_000)


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[KeyBench]:
    with KeyBench.at(request.getfixturevalue("valkey")) as made:
        made.begin(an_account("a", PLENTY), an_account("b", PLENTY))
        yield made


def of(digest: str, operation: Operation = EDIT) -> Claim:
    """A call for that edit."""
    return a_claim(operation=operation, traits=CallTraits(digest=digest))


def call(bench: KeyBench, claim: Claim, seen: Seen, state: str = "voided") -> None:
    """Let a call be made and end so, whether it would be granted or not: it was granted before."""
    bench.settle(told(claim, state, GRANT, seen=seen))


def word(bench: KeyBench, claim: Claim) -> tuple[str, int | None]:
    """What a call hears: a word, and the wait if there is one."""
    said, more = bench.admit(claim)
    return said, None if isinstance(more, KeyGrant) else more


def take_down(bench: KeyBench, operation: Operation = EDIT) -> None:
    """Let three edits draw a 5xx."""
    for digest in ("x", "y", "z"):
        call(bench, of(digest, operation), FAILED)


def probe(bench: KeyBench) -> Claim:
    """Take the endpoint down, and let the one call go that finds out."""
    take_down(bench)
    bench.wait(5_000)
    claim = of("probe")
    assert ("granted", None) == word(bench, claim)
    return claim


def test_one_edit_takes_no_endpoint_down_however_often_it_fails(bench: KeyBench) -> None:
    for _ in range(9):
        call(bench, of("x"), FAILED)
    call(bench, of("y"), FAILED)
    assert ("granted", None) == word(bench, of("z"))


@pytest.mark.parametrize("state", ["voided", "presumed"])
def test_three_edits_in_trouble_within_a_minute_close_their_endpoint_for_all(
    bench: KeyBench, state: str
) -> None:
    """Answered with 500, or not at all. The other endpoint goes on."""
    for digest in ("x", "y", "z"):
        assert ("granted", None) == word(bench, of("other"))
        call(bench, of(digest), FAILED, state)
        bench.wait(1_000)
    assert ("trouble", 4_000) == word(bench, of("other"))
    assert ("granted", None) == word(bench, of("other", SEGMENT))


def test_three_edits_in_trouble_over_more_than_a_minute_close_nothing(bench: KeyBench) -> None:
    for digest in ("x", "y", "z"):
        call(bench, of(digest), FAILED)
        bench.wait(30_000)
    assert ("granted", None) == word(bench, of("other"))


def test_a_success_between_lets_the_count_begin_anew(bench: KeyBench) -> None:
    call(bench, of("x"), FAILED)
    call(bench, of("y"), FAILED)
    call(bench, of("other"), SERVED, "posted")
    call(bench, of("z"), FAILED)
    assert ("granted", None) == word(bench, of("other"))


def test_while_an_endpoint_is_down_one_call_at_a_time_finds_out(bench: KeyBench) -> None:
    claim = probe(bench)
    assert [("trouble", 250)] * 2 == [word(bench, of("other")) for _ in range(2)]
    assert ("granted", None) == word(bench, claim), "asked once more"


def test_its_success_opens_the_endpoint(bench: KeyBench) -> None:
    call(bench, probe(bench), SERVED, "posted")
    assert [("granted", None)] * 3 == [word(bench, of("other")) for _ in range(3)]


@pytest.mark.parametrize("state", ["voided", "presumed"])
def test_its_failure_closes_the_endpoint_for_as_long_again(bench: KeyBench, state: str) -> None:
    call(bench, probe(bench), FAILED, state)
    assert ("trouble", 5_000) == word(bench, of("other"))
    bench.wait(5_000)
    assert ("granted", None) == word(bench, of("other"))
    assert ("trouble", 250) == word(bench, of("other"))


def test_an_end_that_shows_nothing_lets_the_next_one_find_out(bench: KeyBench) -> None:
    """A 400 is nobody's: it tells neither that the endpoint is back nor that it is not."""
    call(bench, probe(bench), NOTHING_SEEN)
    assert ("granted", None) == word(bench, of("other"))
    assert ("trouble", 250) == word(bench, of("other"))


def test_its_death_before_it_was_sent_lets_the_next_one_find_out(bench: KeyBench) -> None:
    probe(bench)
    bench.wait(9_999)
    assert ("trouble", 250) == word(bench, of("other"))
    bench.wait(1)
    assert ("granted", None) == word(bench, of("other"))


def test_its_death_after_it_was_sent_lets_the_next_one_find_out(bench: KeyBench) -> None:
    """Once nobody waits for it any more. A trouble of its own keeps the endpoint closed meanwhile."""
    claim = probe(bench)
    call(bench, claim, NOTHING_SEEN, "sent")
    for _ in range(3):
        bench.wait(20_000)
        for digest in ("x", "y", "z"):
            call(bench, of(digest), FAILED)
    bench.wait(9_999)
    assert ("trouble", 250) == word(bench, of("other"))
    bench.wait(1)
    assert ("granted", None) == word(bench, of("other"))
    assert "presumed" == bench.twin.books.lines[claim.id].state


def test_a_call_from_before_that_fails_late_lets_no_second_one_go(bench: KeyBench) -> None:
    straggler = of("late")
    assert ("granted", None) == word(bench, straggler)
    probe(bench)
    call(bench, straggler, FAILED)
    bench.wait(5_000)
    assert ("trouble", 250) == word(bench, of("other"))


def test_a_call_that_gets_no_key_does_not_find_out(bench: KeyBench) -> None:
    """Else nobody would, for as long as its call might have taken."""
    bench.begin(an_account("a", (1, 1_000)))
    take_down(bench)
    bench.wait(5_000)
    assert ("granted", None) == word(bench, of("w", SEGMENT))
    assert ("no key", 1_020) == word(bench, of("other"))
    bench.wait(1_020)
    assert ("granted", None) == word(bench, of("another"))


def test_with_another_key_it_is_still_the_one_that_finds_out(bench: KeyBench) -> None:
    claim = probe(bench)
    grant = bench.twin.books.lines[claim.id].grant
    second = Attempt(2, Seen(Verdict.REJECTED), frozenset({grant.key}))
    assert "granted" == bench.admit(claim, second)[0]
    assert ("trouble", 250) == word(bench, of("other"))


def test_the_wait_for_an_endpoint_is_also_that_for_a_key(bench: KeyBench) -> None:
    bench.begin(an_account("a", (1, 60_000)))
    assert ("granted", None) == word(bench, of("w"))
    take_down(bench)
    assert ("trouble", 61_200) == word(bench, of("other"))


def test_an_edit_that_drew_two_5xx_is_refused_for_a_minute_and_no_other(bench: KeyBench) -> None:
    call(bench, of("x"), FAILED)
    assert ("granted", None) == word(bench, of("x")), "one may be chance"
    bench.wait(40_000)
    call(bench, of("x"), FAILED)
    assert ("trouble", 60_000) == word(bench, of("x"))
    assert ("granted", None) == word(bench, of("y"))
    bench.wait(59_999)
    assert ("trouble", 1) == word(bench, of("x"))
    bench.wait(1)
    assert ("granted", None) == word(bench, of("x"))


def test_two_5xx_more_than_a_minute_apart_are_two_accidents(bench: KeyBench) -> None:
    for _ in range(3):
        call(bench, of("x"), FAILED)
        bench.wait(60_000)
    assert ("granted", None) == word(bench, of("x"))


def test_a_purchase_that_goes_on_has_bounds_of_its_own(bench: KeyBench) -> None:
    """It is allowed three attempts: that its edit has just drawn its second 5xx does not end it."""
    claim = of("x")
    for attempt in (1, 2, 3):
        seen = FAILED if attempt > 1 else NOTHING_SEEN
        assert "granted" == bench.admit(claim, Attempt(attempt, seen))[0]
    assert ("trouble", 60_000) == word(bench, of("x"))


def test_an_edit_that_two_keys_were_forbidden_is_refused_for_a_minute_and_no_other(
    bench: KeyBench,
) -> None:
    call(bench, of("x"), Seen(Verdict.REFUSED))
    assert ("trouble", 60_000) == word(bench, of("x"))
    assert ("granted", None) == word(bench, of("y"))
    bench.wait(60_000)
    assert ("granted", None) == word(bench, of("x"))


def test_edits_that_are_forbidden_take_no_endpoint_down(bench: KeyBench) -> None:
    for digest in ("x", "y", "z"):
        call(bench, of(digest), Seen(Verdict.REFUSED))
    assert ("granted", None) == word(bench, of("other"))
