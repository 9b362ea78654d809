"""Which key a call gets and what its attempts change: by the scripts, and by a replica's own memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import pytest

from gateway.domain.edit import Operation
from gateway.domain.keys import NO_KEY, NOTHING_SEEN, PoolAccount, Seen, Verdict
from gateway.domain.tenant import Tenant
from gateway.ports import CallTraits
from tests.store.keys_choosers import ByMemory, ByScripts, Chooser
from tests.store.keys_tools import KeyBench, a_claim, an_account

EDIT, SEGMENT = Operation.EDIT, Operation.SEGMENT
NONE: frozenset[str] = frozenset()
SANDBOX = CallTraits(sandbox=True)
PLENTY = (20, 60_000)
POOL = (an_account("a", PLENTY, PLENTY, PLENTY), an_account("b", PLENTY))
ALL = {"a1", "a2", "a3", "b1"}


class Open(Protocol):
    def __call__(self, *accounts: PoolAccount) -> Chooser: ...


@pytest.fixture(params=["scripts", "memory"])
def chooser(request: pytest.FixtureRequest) -> Iterator[Open]:
    if request.param == "memory":

        def remember(*accounts: PoolAccount) -> Chooser:
            memory = ByMemory()
            memory.pool.replace(accounts)
            return memory

        yield remember
        return
    with KeyBench.at(request.getfixturevalue("valkey")) as bench:

        def begin(*accounts: PoolAccount) -> Chooser:
            bench.begin(*accounts, gated=True)
            for account in accounts:
                bench.hear_of(account.id, 1_000_000)
            return ByScripts(bench)

        yield begin


def show(keys: Chooser, key: str, seen: Seen, **claimed: Operation | CallTraits) -> None:
    """Let a call go with that key, and show it."""
    claim = a_claim(**claimed)  # type: ignore[arg-type]  # of the keyword's own type
    assert key == keys.grant(claim, frozenset(ALL - {key}))
    keys.end(claim, seen)


def usable(keys: Chooser, **claimed: Operation | CallTraits) -> set[str]:
    """The keys that a call may get."""
    found = set()
    for key in ALL:
        claim = a_claim(**claimed)  # type: ignore[arg-type]  # of the keyword's own type
        if keys.grant(claim, frozenset(ALL - {key})):
            keys.end(claim)
            found.add(key)
    return found


THROTTLED = Seen(Verdict.THROTTLED, 14_783.0)
SHOWN: dict[str, tuple[CallTraits, Seen, set[str], set[str], set[str], float | None]] = {
    # what the call to a1 was and showed; who serves live edits, live segments and sandbox edits then; for
    # how many seconds, None: for good
    "401": (CallTraits(), Seen(Verdict.REJECTED), {"a1"}, {"a1"}, {"a1"}, None),
    "403 of the account call too": (
        *(CallTraits(), Seen(Verdict.FORBIDDEN)),
        *({"a1"}, {"a1"}, {"a1"}, None),
    ),
    "403 of what another key served": (
        *(CallTraits(), Seen(Verdict.SERVED, masks=("a3", "b1"))),
        *({"a3", "b1"}, set(), {"a3", "b1"}, 3600.0),
    ),
    "429 of seconds": (
        *(CallTraits(), Seen(Verdict.THROTTLED, 6.0)),
        *({"a1"}, {"a1"}, set(), 6.0),
    ),
    "429 of hours": (CallTraits(), THROTTLED, {"a1"}, {"a1"}, set(), 14_783.0),
    "429 of the sandbox": (SANDBOX, THROTTLED, set(), set(), {"a1"}, 14_783.0),
    "402 of the sandbox": (SANDBOX, Seen(Verdict.EXHAUSTED), set(), set(), set(), None),
    "500": (CallTraits(), Seen(Verdict.FAILED), set(), set(), set(), None),
    "200": (CallTraits(), Seen(Verdict.SERVED), set(), set(), set(), None),
    "two 403": (CallTraits(), Seen(Verdict.REFUSED), set(), set(), set(), None),
    "nothing": (CallTraits(), NOTHING_SEEN, set(), set(), set(), None),
}


@pytest.mark.parametrize("what", SHOWN)
def test_what_a_call_shows_closes_these_keys_for_these_calls_and_no_others(
    chooser: Open, what: str
) -> None:
    traits, seen, edits, segments, sandbox, seconds = SHOWN[what]
    keys = chooser(*POOL)
    show(keys, "a1", seen, traits=traits)
    for _ in range(2):
        assert ALL - edits == usable(keys)
        assert ALL - segments == usable(keys, operation=SEGMENT)
        assert ALL - sandbox == usable(keys, traits=SANDBOX)
        keys.pass_time(0.9 * (seconds or 1e6))
    if seconds is not None:
        keys.pass_time(seconds)
        assert (
            ALL == usable(keys) == usable(keys, operation=SEGMENT) == usable(keys, traits=SANDBOX)
        )


def test_a_402_closes_all_keys_of_its_account_for_what_costs(chooser: Open) -> None:
    keys = chooser(*POOL)
    show(keys, "a1", Seen(Verdict.EXHAUSTED))
    assert {"b1"} == usable(keys) == usable(keys, operation=SEGMENT)
    assert ALL == usable(keys, traits=SANDBOX)


@pytest.mark.parametrize(
    ("apart", "at_once", "after_the_first"),
    [(1.0, {"b1"}, {"b1"}), (1.001, {"a3", "b1"}, {"a1", "a3", "b1"})],
)
def test_two_keys_throttled_within_a_second_close_their_account(
    chooser: Open, apart: float, at_once: set[str], after_the_first: set[str]
) -> None:
    """For as long as the second one was told to wait, and for sandbox calls apart."""
    for traits, other in ((CallTraits(), SANDBOX), (SANDBOX, CallTraits())):
        keys = chooser(*POOL)
        show(keys, "a1", Seen(Verdict.THROTTLED, 30.0), traits=traits)
        keys.pass_time(apart)
        show(keys, "a2", Seen(Verdict.THROTTLED, 60.0), traits=traits)
        assert at_once == usable(keys, traits=traits)
        assert ALL == usable(keys, traits=other)
        keys.pass_time(59.9)
        assert after_the_first == usable(keys, traits=traits)
        keys.pass_time(0.2)
        assert ALL == usable(keys, traits=traits)


def test_the_wait_for_an_account_that_cools_is_told(chooser: Open) -> None:
    keys = chooser(an_account("a", PLENTY, PLENTY, PLENTY))
    for key in ("a1", "a2"):
        claim = a_claim()
        assert key == keys.grant(claim, frozenset({"a1", "a2"} - {key}))
        keys.end(claim, Seen(Verdict.THROTTLED, 30.0))
    assert (None, 30.0) == (keys.grant(a_claim()), keys.wait)
    keys.pass_time(30.0)
    assert keys.grant(a_claim()) is not None


def test_one_key_throttled_twice_does_not_speak_for_its_account(chooser: Open) -> None:
    keys = chooser(*POOL)
    calls = [a_claim(), a_claim()]
    assert ["a1", "a1"] == [keys.grant(call, frozenset(ALL - {"a1"})) for call in calls]
    for call in calls:
        keys.end(call, Seen(Verdict.THROTTLED, 30.0))
    assert ALL - {"a1"} == usable(keys)


def test_keys_of_two_accounts_throttled_together_speak_for_neither(chooser: Open) -> None:
    keys = chooser(*POOL)
    show(keys, "a1", Seen(Verdict.THROTTLED, 30.0))
    show(keys, "b1", Seen(Verdict.THROTTLED, 30.0))
    assert {"a2", "a3"} == usable(keys)


def test_a_shorter_wait_does_not_end_a_longer_one(chooser: Open) -> None:
    """The rate of a minute says seconds while the quota of the day says hours."""
    keys = chooser(*POOL)
    calls = [a_claim(), a_claim()]
    assert ["a1", "a1"] == [keys.grant(call, frozenset(ALL - {"a1"})) for call in calls]
    keys.end(calls[0], THROTTLED)
    keys.end(calls[1], Seen(Verdict.THROTTLED, 6.0))
    keys.pass_time(7.0)
    assert ALL - {"a1"} == usable(keys)


def test_a_key_gets_no_more_calls_in_its_window_than_its_rate(chooser: Open) -> None:
    """In a fiftieth more than the window: calls arrive at the upstream not just as they were admitted."""
    keys = chooser(an_account("a", (2, 6_000)))
    assert ["a1", "a1", None] == [keys.grant(a_claim()) for _ in range(3)]
    keys.pass_time(3.0)
    assert keys.grant(a_claim()) is None
    assert 3.12 == pytest.approx(keys.wait)
    keys.pass_time(3.119)
    assert keys.grant(a_claim()) is None
    keys.pass_time(0.001)
    assert ["a1", "a1", None] == [keys.grant(a_claim()) for _ in range(3)]


def test_a_window_slides(chooser: Open) -> None:
    keys = chooser(an_account("a", (2, 6_000)))
    got = []
    for _ in range(6):
        got.append(keys.grant(a_claim()))
        keys.pass_time(2.05)
    assert ["a1", "a1", None, "a1", "a1", None] == got


def test_an_attempt_that_came_to_nothing_counts_under_the_rate(chooser: Open) -> None:
    """Nobody knows whether the upstream has counted it."""
    keys = chooser(an_account("a", (1, 6_000)))
    claim = a_claim()
    assert "a1" == keys.grant(claim)
    keys.end(claim)
    assert keys.grant(a_claim()) is None


def test_keys_that_share_the_rate_of_an_account_stay_under_it_together(chooser: Open) -> None:
    keys = chooser(an_account("a", PLENTY, PLENTY, calls=3))
    assert 3 == sum(keys.grant(a_claim()) is not None for _ in range(5))
    assert 61.2 == pytest.approx(keys.wait)
    keys.pass_time(61.2)
    assert keys.grant(a_claim()) is not None


def test_a_key_has_no_more_calls_under_way_than_places(chooser: Open) -> None:
    keys = chooser(an_account("a", (9, 60_000, 2)))
    first = a_claim()
    assert "a1" == keys.grant(first)
    assert ["a1", None] == [keys.grant(a_claim()) for _ in range(2)]
    assert 0.25 == keys.wait, "nobody knows when a call ends: when to look again"
    keys.end(first)
    assert "a1" == keys.grant(a_claim())


def test_the_key_with_most_calls_left_is_taken(chooser: Open) -> None:
    keys = chooser(an_account("a", (2, 60_000), (3, 60_000)), an_account("b", (9, 60_000, 1)))
    assert ["a2", "a1", "a2", "b1", "a1", "a2", None] == [keys.grant(a_claim()) for _ in range(7)]


def test_of_keys_with_as_many_calls_left_the_least_loaded_one_is_taken(chooser: Open) -> None:
    keys = chooser(an_account("a", PLENTY, PLENTY))
    ended = a_claim()
    assert "a1" == keys.grant(a_claim())
    assert "a2" == keys.grant(ended)
    keys.end(ended)
    assert "a2" == keys.grant(a_claim())


def test_of_equal_keys_the_first_of_the_configuration_is_taken(chooser: Open) -> None:
    assert "b1" == chooser(an_account("b", PLENTY), an_account("a", PLENTY)).grant(a_claim())


def test_another_attempt_takes_another_key_than_those_tried(chooser: Open) -> None:
    keys = chooser(*POOL)
    claim = a_claim()
    assert "a1" == keys.grant(claim)
    assert "b1" == keys.again(claim, NOTHING_SEEN, frozenset({"a1", "a2", "a3"}))
    assert keys.grant(a_claim(), frozenset(ALL)) is None


def test_another_attempt_gives_the_first_key_back(chooser: Open) -> None:
    keys = chooser(an_account("a", (9, 60_000, 1), (9, 60_000, 1)))
    claim = a_claim()
    assert "a1" == keys.grant(claim)
    assert "a2" == keys.again(claim, NOTHING_SEEN, frozenset({"a1"}))
    assert ["a1", None] == [keys.grant(a_claim()) for _ in range(2)]
    keys.end(claim)
    assert "a2" == keys.grant(a_claim())


def test_another_attempt_may_take_the_same_key_where_it_is_not_at_fault(chooser: Open) -> None:
    keys = chooser(an_account("a", PLENTY))
    claim = a_claim()
    assert ["a1", "a1"] == [keys.grant(claim), keys.again(claim, Seen(Verdict.FAILED))]


def test_the_first_return_is_told_of_keys_that_were_tried_too(chooser: Open) -> None:
    """Each of them has just been throttled: the caller may come back when the first one may."""
    keys = chooser(an_account("a", PLENTY), an_account("b", PLENTY))
    claim = a_claim()
    assert "a1" == keys.grant(claim)
    assert "b1" == keys.again(claim, Seen(Verdict.THROTTLED, 14_783.0), frozenset({"a1"}))
    keys.end(claim, Seen(Verdict.THROTTLED, 6.0))
    assert keys.grant(a_claim(), frozenset({"a1", "b1"})) is None
    assert 6.0 == keys.wait
    keys.pass_time(6.0)
    assert "b1" == keys.grant(a_claim())


def test_a_wait_is_that_of_all_that_keeps_a_key(chooser: Open) -> None:
    """Not of what ends first: who comes back then would be sent away again."""
    keys = chooser(an_account("a", (1, 60_000)))
    claim = a_claim()
    assert "a1" == keys.grant(claim)
    keys.end(claim, Seen(Verdict.THROTTLED, 6.0))
    assert keys.grant(a_claim()) is None
    assert 61.2 == pytest.approx(keys.wait)


def test_no_return_is_told_where_nobody_knows_of_one(chooser: Open) -> None:
    keys = chooser(an_account("a", PLENTY), an_account("b", PLENTY))
    for key in ("a1", "b1"):
        claim = a_claim()
        assert key == keys.grant(claim, frozenset({"a1", "b1"} - {key}))
        keys.end(claim, Seen(Verdict.REJECTED))
    assert keys.grant(a_claim()) is None
    assert keys.wait is None


def test_a_tenant_gets_keys_of_its_accounts_alone(chooser: Open) -> None:
    shared = an_account("a", (1, 60_000))
    dedicated = an_account("b", (1, 60_000), tenants=frozenset({"one", "picky"}))
    keys = chooser(shared, dedicated)
    one, other = Tenant("one"), Tenant("other")
    picky, lost = Tenant("picky", accounts=frozenset("b")), Tenant("lost", accounts=frozenset("b"))
    assert keys.grant(a_claim(tenant=lost)) is None
    assert ["b1", None] == [keys.grant(a_claim(tenant=picky)) for _ in range(2)]
    assert ["a1", None] == [keys.grant(a_claim(tenant=who)) for who in (other, one)]


def test_without_a_pool_nobody_chooses(chooser: Open) -> None:
    claim = a_claim()
    keys = chooser()
    assert NO_KEY.key == keys.grant(claim)
    keys.end(claim, Seen(Verdict.REJECTED))
    assert NO_KEY.key == keys.grant(a_claim())
