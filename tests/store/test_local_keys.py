"""What a replica's own memory does otherwise than the scripts: it is alone, and has a part of each bound."""

from __future__ import annotations

import pytest

from gateway.domain.keys import KeyGrant, PoolAccount, Seen, Verdict
from gateway.domain.periods import Period
from gateway.ports import CallTraits, Hold
from gateway.store.local_keys import LocalKeys
from gateway.store.pool import Pool
from tests.store.keys_choosers import ByMemory
from tests.store.keys_tools import a_claim, an_account

PLENTY = (20, 60_000)


def memory(*accounts: PoolAccount, share: float = 1.0) -> ByMemory:
    made = ByMemory()
    made.pool.replace(accounts)
    made.keys.share = lambda: share
    return made


def granted(keys: ByMemory, most: int = 50) -> int:
    """How many calls are granted at once."""
    return sum(keys.grant(a_claim()) is not None for _ in range(most))


@pytest.mark.parametrize(
    ("account", "whole", "part"),
    [
        (an_account("a", (20, 60_000)), 20, 8),
        (an_account("a", (50, 60_000, 10)), 10, 4),
        (an_account("a", PLENTY, PLENTY, calls=12), 12, 4),
        (an_account("a", (2, 60_000)), 2, 1),
    ],
)
def test_of_each_bound_its_share_is_granted_and_one_call_at_least(
    account: PoolAccount, whole: int, part: int
) -> None:
    assert whole == granted(memory(account))
    assert part == granted(memory(account, share=0.4))


def test_an_account_that_answered_402_is_asked_again_after_a_minute() -> None:
    """Nobody polls it while nobody can be told what it said."""
    keys = memory(an_account("a", PLENTY, PLENTY))
    claim = a_claim()
    keys.grant(claim)
    keys.end(claim, Seen(Verdict.EXHAUSTED))
    assert (None, 60.0) == (keys.grant(a_claim()), keys.wait)
    keys.pass_time(60.0)
    assert keys.grant(a_claim()) is not None


def test_a_key_that_serves_is_no_longer_taken_for_refused() -> None:
    """An operator has resumed it meanwhile, and Redis has granted it."""
    keys = memory(an_account("a", PLENTY))
    first, later = a_claim(), a_claim()
    keys.grant(first)
    keys.grant(later)
    keys.end(first, Seen(Verdict.REJECTED))
    assert keys.grant(a_claim()) is None
    keys.end(later, Seen(Verdict.SERVED))
    assert "a1" == keys.grant(a_claim())


def test_what_redis_said_to_be_off_is_off_while_it_is_silent() -> None:
    keys = memory(an_account("a", PLENTY), an_account("b", PLENTY))
    keys.pool.off = frozenset({"a1"})
    assert ["b1", "b1"] == [keys.grant(a_claim()) for _ in range(2)]


def test_calls_that_redis_has_granted_tell_of_their_keys_too() -> None:
    """It hears of all holds of its replica, not only of its own."""
    keys = LocalKeys(Pool([an_account("a", PLENTY)]), lambda: 0.0)
    claim = a_claim()
    what = (claim.id, claim.tenant.id, claim.operation, claim.cost_milli, claim.seconds)
    grant = KeyGrant("a1", "a", 1_000)
    hold = Hold(*what, Period(0, 1), CallTraits(), grant)
    keys.judge(hold, Seen(Verdict.THROTTLED, 5.0))
    assert {("a1", "live"): 5.0} == keys.closed


def test_nothing_is_kept_of_calls_that_count_no_more() -> None:
    keys = memory(an_account("a", PLENTY, calls=90), an_account("b", PLENTY))
    for _ in range(240):
        claim = a_claim()
        keys.grant(claim)
        keys.end(claim)
        keys.pass_time(360.0)
    assert all(len(log) <= 1 for log in keys.keys.calls.values())
    assert not any(keys.keys.open.values())
