"""What an account has left decides whether its keys are used; what its calls cost is held, then spent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.domain.credits import BASIC
from gateway.domain.edit import Operation
from gateway.domain.keys import NOTHING_SEEN, KeyGrant, Seen, Verdict
from gateway.ports import CallTraits, Claim
from gateway.store.ledger_calls import Attempt
from tests.store.keys_tools import KeyBench, a_claim, an_account, told

PLENTY = (99, 60_000)
SANDBOX = CallTraits(sandbox=True)
PRICE = 1_000


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[KeyBench]:
    with KeyBench.at(request.getfixturevalue("valkey")) as made:
        made.begin(an_account("a", PLENTY, PLENTY), gated=True)
        yield made


def grant(bench: KeyBench, claim: Claim | None = None) -> KeyGrant | None:
    """The key that a call gets, if it gets one."""
    _, said = bench.admit(claim or a_claim())
    return said if isinstance(said, KeyGrant) else None


def images(bench: KeyBench, account: str = "a") -> tuple[int, int]:
    """What is held of an account, and what was spent there."""
    picture = bench.picture()
    return picture.held.get(account, 0), picture.since.get(account, 0)


def test_an_account_that_was_not_asked_yet_is_not_used(bench: KeyBench) -> None:
    assert ("no key", None) == bench.admit(a_claim())
    bench.hear_of("a", 5 * PRICE)
    assert grant(bench)


def test_sandbox_calls_cost_nothing_and_are_not_held_up(bench: KeyBench) -> None:
    assert KeyGrant("a1", "a", 0) == grant(bench, a_claim(traits=SANDBOX))
    assert (0, 0) == images(bench)


def test_no_more_is_granted_than_an_account_has_left_whatever_is_under_way(bench: KeyBench) -> None:
    bench.hear_of("a", 3 * PRICE)
    claims = [a_claim() for _ in range(3)]
    assert all(grant(bench, claim) for claim in claims)
    assert grant(bench) is None
    bench.lapse(claims[0])
    assert grant(bench)
    assert (3 * PRICE, 0) == images(bench)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("sent", (PRICE, 0)),
        ("posted", (0, PRICE)),
        ("presumed", (0, PRICE)),
        ("voided", (0, 0)),
    ],
)
def test_what_a_call_costs_an_account_stands_where_its_hold_has_come(
    bench: KeyBench, state: str, expected: tuple[int, int]
) -> None:
    bench.hear_of("a", 3 * PRICE)
    claim = a_claim()
    held = grant(bench, claim)
    assert held
    bench.settle(told(claim, state, held))
    assert expected == images(bench)
    assert (3 if state == "voided" else 2) == sum(grant(bench) is not None for _ in range(4))


def test_a_late_word_gives_back_what_was_presumed(bench: KeyBench) -> None:
    bench.hear_of("a", PRICE)
    claim = a_claim()
    held = grant(bench, claim)
    assert held
    bench.settle(told(claim, "sent", held))
    bench.wait(70_000)
    bench.settle()
    assert (0, PRICE) == images(bench), "swept: nobody waited for it any more"
    bench.settle(told(claim, "voided", held))
    assert (0, 0) == images(bench)


def test_a_hold_that_lapses_gives_its_place_and_its_price_back(bench: KeyBench) -> None:
    bench.begin(an_account("a", (9, 60_000, 1)), gated=True)
    bench.hear_of("a", PRICE)
    assert grant(bench)
    assert grant(bench) is None
    bench.wait(10_000)
    assert grant(bench)
    assert (PRICE, 0) == images(bench)


def test_the_reserve_is_never_spent(bench: KeyBench) -> None:
    bench.begin(an_account("a", PLENTY, reserve=2 * PRICE), gated=True)
    bench.hear_of("a", 3 * PRICE)
    assert [True, False] == [grant(bench) is not None for _ in range(2)]


def test_a_call_needs_its_own_price(bench: KeyBench) -> None:
    bench.begin(an_account("a", PLENTY, price=BASIC), gated=True)
    bench.hear_of("a", 6_999)
    assert KeyGrant("a1", "a", 5_000) == grant(bench)
    assert grant(bench) is None
    assert KeyGrant("a1", "a", 1_000) == grant(bench, a_claim(operation=Operation.SEGMENT))
    assert grant(bench, a_claim(operation=Operation.SEGMENT)) is None


def test_keys_are_compared_by_calls_left_not_by_images(bench: KeyBench) -> None:
    """An image buys fewer calls on a dear plan."""
    bench.begin(an_account("dear", PLENTY, price=BASIC), an_account("cheap", PLENTY), gated=True)
    bench.hear_of("dear", 20_000)
    bench.hear_of("cheap", 5_000)
    assert KeyGrant("cheap1", "cheap", 1_000) == grant(bench)


def test_an_exhausted_account_is_used_again_once_it_says_that_it_has_images(
    bench: KeyBench,
) -> None:
    bench.hear_of("a", 9 * PRICE)
    claim = a_claim()
    held = grant(bench, claim)
    assert held
    bench.settle(told(claim, "voided", held, seen=Seen(Verdict.EXHAUSTED)))
    bench.wait(86_400_000)
    assert ("no key", None) == bench.admit(a_claim())
    bench.hear_of("a", 9 * PRICE)
    assert grant(bench)


def test_where_nobody_asks_accounts_all_of_them_are_used(bench: KeyBench) -> None:
    bench.begin(an_account("a", PLENTY), gated=False)
    assert KeyGrant("a1", "a", PRICE) == grant(bench)


def test_another_attempt_moves_the_price_to_the_other_account(bench: KeyBench) -> None:
    bench.begin(an_account("a", PLENTY), an_account("b", PLENTY, price=BASIC), gated=True)
    bench.hear_of("a", 10 * PRICE)
    bench.hear_of("b", 10 * PRICE)
    claim = a_claim()
    assert KeyGrant("a1", "a", 1_000) == grant(bench, claim)
    second = Attempt(2, Seen(Verdict.REJECTED), frozenset({"a1"}))
    assert ("granted", KeyGrant("b1", "b", 5_000)) == bench.admit(claim, second)
    assert [(0, 0), (5_000, 0)] == [images(bench, name) for name in "ab"]


def test_without_another_key_nothing_is_held_any_more(bench: KeyBench) -> None:
    """The hold itself stays until it is settled, and what was shown is not judged again then."""
    bench.hear_of("a", 10 * PRICE)
    claim = a_claim()
    held = grant(bench, claim)
    assert held
    failed = Seen(Verdict.FAILED)
    second = Attempt(2, failed, frozenset({"a1", "a2"}))
    assert ("no key", None) == bench.admit(claim, second)
    assert (0, 0) == images(bench)
    bench.settle(told(claim, "voided", held, seen=failed))
    assert (1, bench.now) == bench.picture().books.bad[claim.traits.digest]


def test_a_claim_that_lapsed_and_is_made_again_is_one_call(bench: KeyBench) -> None:
    bench.begin(an_account("a", (2, 60_000)))
    claim = a_claim()
    assert grant(bench, claim)
    bench.wait(10_000)
    assert grant(bench, claim)
    assert [True, False] == [grant(bench) is not None for _ in range(2)]


@pytest.mark.parametrize("verdict", [Verdict.REJECTED, Verdict.SERVED])
def test_a_key_that_an_operator_drains_stays_so_whatever_its_last_calls_show(
    bench: KeyBench, verdict: Verdict
) -> None:
    bench.begin(an_account("a", PLENTY))
    claim = a_claim()
    held = grant(bench, claim)
    assert held
    bench.drain("a1")
    bench.settle(told(claim, "voided", held, seen=Seen(verdict)))
    assert {"a1": "drained"} == bench.picture().books.off
    assert grant(bench) is None
    bench.resume("a1")
    assert grant(bench)


ACCOUNTS = (an_account("a", PLENTY), an_account("b", PLENTY), an_account("c", PLENTY))


def test_an_account_that_has_served_a_template_comes_first(bench: KeyBench) -> None:
    """However many calls the others have left; for calls of that template alone."""
    bench.begin(*ACCOUNTS)
    ours, other = CallTraits(template="ours"), CallTraits(template="other")
    claim = a_claim(traits=ours)
    assert "granted" == bench.admit(claim, Attempt(1, tried=frozenset({"a1", "b1"})))[0]
    bench.settle(told(claim, "posted", KeyGrant("c1", "c", PRICE), seen=Seen(Verdict.SERVED)))
    for traits, expected in ((ours, "c"), (ours, "c"), (other, "a"), (CallTraits(), "b")):
        got = grant(bench, a_claim(traits=traits))
        assert got
        assert expected == got.account


def test_an_account_that_knows_a_template_is_no_better_than_others_when_it_cannot_serve(
    bench: KeyBench,
) -> None:
    bench.begin(an_account("a", (1, 60_000)), an_account("b", PLENTY))
    ours = CallTraits(template="ours")
    claim = a_claim(traits=ours)
    assert "granted" == bench.admit(claim, Attempt(1, tried=frozenset({"b1"})))[0]
    bench.settle(told(claim, "posted", KeyGrant("a1", "a", PRICE), seen=Seen(Verdict.SERVED)))
    assert KeyGrant("b1", "b", PRICE) == grant(bench, a_claim(traits=ours))


@pytest.mark.parametrize("state", ["posted", "presumed", "voided"])
def test_a_key_that_a_replica_took_by_itself_is_the_one_that_is_charged_and_blamed(
    bench: KeyBench, state: str
) -> None:
    """Redis had granted another one, and could not say so."""
    bench.begin(*ACCOUNTS, gated=True)
    for name in "abc":
        bench.hear_of(name, 10 * PRICE)
    claim = a_claim()
    assert KeyGrant("a1", "a", PRICE) == grant(bench, claim)
    taken = KeyGrant("b1", "b", PRICE)
    bench.settle(told(claim, state, taken, seen=Seen(Verdict.REJECTED)))
    assert [(0, 0), (0, 0 if state == "voided" else PRICE)] == [images(bench, n) for n in "ab"]
    assert {"b1": "rejected"} == bench.picture().books.off
    assert {} == bench.picture().places


def test_what_an_earlier_attempt_has_shown_is_not_blamed_on_the_key_of_a_later_one(
    bench: KeyBench,
) -> None:
    """The replica gave up while it waited to hear of another key, which was granted."""
    bench.begin(*ACCOUNTS)
    claim, seen = a_claim(), Seen(Verdict.THROTTLED, 60.0)
    first = grant(bench, claim)
    assert first == KeyGrant("a1", "a", PRICE)
    assert "granted" == bench.admit(claim, Attempt(2, seen, frozenset({"a1"})))[0]
    bench.settle(told(claim, "voided", first, seen=seen))
    assert {("a1", False)} == bench.picture().books.cool.keys()
    assert {} == bench.picture().places


def test_a_verdict_that_is_told_again_after_the_hold_was_settled_counts_once(
    bench: KeyBench,
) -> None:
    bench.begin(*ACCOUNTS)
    claim, failed = a_claim(), Seen(Verdict.FAILED)
    held = grant(bench, claim)
    assert held
    for seen in (failed, failed, NOTHING_SEEN):
        bench.settle(told(claim, "presumed", held, seen=seen))
        bench.wait(10)
    assert {claim.traits.digest: (1, bench.now - 30)} == bench.picture().books.bad
