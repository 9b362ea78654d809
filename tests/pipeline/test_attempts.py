"""What was not charged is tried again, with another key or once more; each call is settled once."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence

import pytest

from gateway.domain.errors import (
    GatewayError,
    KeyExhausted,
    KeyForbidden,
    KeyRejected,
    KeyThrottled,
    KeyTrouble,
    OutcomeUnknown,
    UpstreamBadAnswer,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamUnavailable,
    UpstreamUnreachable,
)
from gateway.domain.keys import NOTHING_SEEN, Seen, Verdict
from gateway.domain.retries import LONGEST_WAIT, RetryBudget
from gateway.ports import Settlement
from tests.pipeline.attempts import PICTURE, Counter, an_account
from tests.support.cancelling import CancelAt, cancelled_at

POSTED, VOIDED, PRESUMED = Settlement.POSTED, Settlement.VOIDED, Settlement.PRESUMED
SERVED = Seen(Verdict.SERVED)
ONE_KEY = (an_account("a", "k1"),)


def ends(**by_key: Sequence[Exception]) -> dict[str, list[Exception]]:
    return {key: list(errors) for key, errors in by_key.items()}


async def test_a_call_that_is_served_is_posted_and_shows_that_all_is_well() -> None:
    counter = Counter()
    assert PICTURE == await counter.pay()
    assert ["k1"] == counter.tried
    assert [("k1", POSTED, SERVED)] == counter.settled


TROUBLES = [
    (KeyRejected("x"), Verdict.REJECTED),
    (KeyExhausted("x"), Verdict.EXHAUSTED),
    (KeyThrottled("x", retry_after=7.0), Verdict.THROTTLED),
    (KeyForbidden("x"), Verdict.NOTHING),
    (KeyTrouble("taken away"), Verdict.NOTHING),
]


@pytest.mark.parametrize(("trouble", "verdict"), TROUBLES)
async def test_trouble_with_a_key_is_noted_and_another_one_is_asked_at_once(
    trouble: KeyTrouble, verdict: Verdict
) -> None:
    """Without a wait, and though no retry is left."""
    counter = Counter(ends(k1=[trouble]), budget=RetryBudget(earned_milli=0, saved_milli=0))
    assert PICTURE == await counter.pay()
    assert ["k1", "k2"] == counter.tried
    assert [verdict] == [seen.verdict for seen in counter.shown]
    assert [0.0] == counter.waits
    assert [("k2", POSTED)] == [settled[:2] for settled in counter.settled]
    assert counter.is_quiet


@pytest.mark.parametrize("kind", [KeyRejected, KeyExhausted, KeyThrottled, KeyTrouble])
async def test_all_keys_are_asked_and_each_once(kind: type[KeyTrouble]) -> None:
    trouble = [kind("x", retry_after=30.0)]
    counter = Counter(ends(k1=trouble, k2=trouble, k3=trouble))
    with pytest.raises(UpstreamUnavailable):
        await counter.pay()
    assert ["k1", "k2", "k3"] == counter.tried
    assert [VOIDED] == [settlement for _, settlement, _ in counter.settled]
    assert counter.is_quiet


async def test_keys_of_an_account_that_is_exhausted_are_not_asked_any_more() -> None:
    accounts = [an_account("a", "k1", "k2"), an_account("b", "k3")]
    counter = Counter(ends(k1=[KeyExhausted("x")]), accounts=accounts)
    assert PICTURE == await counter.pay()
    assert ["k1", "k3"] == counter.tried


@pytest.mark.parametrize(("said", "left_alone"), [(17.0, 18.0), (14_782.0, 14_783.0)])
async def test_a_throttled_key_is_left_alone_for_what_it_was_told_and_a_second(
    said: float, left_alone: float
) -> None:
    """The upstream says whole seconds, and cuts off the rest."""
    counter = Counter(ends(k1=[KeyThrottled("x", retry_after=said)]))
    await counter.pay()
    assert [Seen(Verdict.THROTTLED, left_alone)] == counter.shown


async def test_when_no_key_serves_the_soonest_return_is_told() -> None:
    waits = {"k1": 3_600.0, "k2": 20.0, "k3": 40.0}
    throttled = {key: [KeyThrottled("x", retry_after=wait)] for key, wait in waits.items()}
    counter = Counter(ends(**throttled))
    with pytest.raises(UpstreamUnavailable) as first:
        await counter.pay()
    counter.now += 10
    with pytest.raises(UpstreamUnavailable) as second:
        await counter.pay()
    assert [21.0, 11.0] == [caught.value.retry_after for caught in (first, second)]
    assert ["k1", "k2", "k3"] == counter.tried
    counter.now += 11
    assert PICTURE == await counter.pay()


async def test_no_return_is_told_when_nobody_knows_of_one_and_no_key_is_named() -> None:
    counter = Counter({key: [KeyRejected("x")] for key in ("k1", "k2", "k3")})
    with pytest.raises(UpstreamUnavailable) as caught:
        await counter.pay()
    assert caught.value.retry_after is None
    for key in counter.tried:
        assert key not in caught.value.message


async def test_without_a_choice_of_keys_a_key_is_asked_once() -> None:
    counter = Counter({"-": [KeyRejected("x")] * 9}, accounts=())
    with pytest.raises(UpstreamUnavailable):
        await counter.pay()
    assert 2 == len(counter.tried)


async def test_a_403_that_another_key_serves_is_blamed_on_the_first() -> None:
    counter = Counter(ends(k1=[KeyForbidden("x")]))
    assert PICTURE == await counter.pay()
    assert ["k1"] == counter.checked
    assert [NOTHING_SEEN] == counter.shown
    assert [("k2", POSTED, Seen(Verdict.SERVED, masks=("k1",)))] == counter.settled


async def test_a_call_that_two_keys_are_forbidden_is_not_tried_on_a_third() -> None:
    """And no key is blamed: it is the edit that is forbidden. It is never the caller's 403."""
    counter = Counter(ends(k1=[KeyForbidden("x")], k2=[KeyForbidden("x")]))
    with pytest.raises(UpstreamUnavailable):
        await counter.pay()
    assert ["k1", "k2"] == counter.tried == counter.checked
    assert [NOTHING_SEEN] == counter.shown
    assert [("k2", VOIDED, Seen(Verdict.REFUSED))] == counter.settled


async def test_a_key_that_may_not_ask_for_its_account_either_does_not_count_as_forbidden() -> None:
    forbidden = [KeyForbidden("x")]
    counter = Counter(ends(k1=forbidden, k2=forbidden), dead=frozenset({"k1"}))
    assert PICTURE == await counter.pay()
    assert [Seen(Verdict.FORBIDDEN), NOTHING_SEEN] == counter.shown
    assert [("k3", POSTED, Seen(Verdict.SERVED, masks=("k2",)))] == counter.settled


async def test_a_403_and_other_trouble_are_counted_apart() -> None:
    counter = Counter(ends(k1=[KeyForbidden("x")], k2=[KeyRejected("x")]))
    assert PICTURE == await counter.pay()
    assert ["k1", "k2", "k3"] == counter.tried
    assert [("k3", POSTED, Seen(Verdict.SERVED, masks=("k1",)))] == counter.settled


ENDINGS: list[tuple[Exception, Settlement, Verdict]] = [
    (UpstreamRefused("x"), VOIDED, Verdict.NOTHING),
    (UpstreamUnavailable("x"), VOIDED, Verdict.NOTHING),
    (UpstreamBadAnswer("x"), POSTED, Verdict.NOTHING),
    (OutcomeUnknown("x"), PRESUMED, Verdict.FAILED),
    (ZeroDivisionError("ours"), PRESUMED, Verdict.NOTHING),
]


@pytest.mark.parametrize(("end", "settlement", "verdict"), ENDINGS)
@pytest.mark.parametrize("before", [[], [KeyRejected("x")]])
async def test_nothing_else_is_tried_again(
    end: Exception, settlement: Settlement, verdict: Verdict, before: list[Exception]
) -> None:
    """With the first key, or with the one after a trouble that cost nothing."""
    counter = Counter(ends(k1=before or [end], k2=[end]))
    with pytest.raises(type(end)):
        await counter.pay()
    last = "k2" if before else "k1"
    assert last == counter.tried[-1]
    assert 1 + len(before) == len(counter.tried)
    assert [(last, settlement, verdict)] == [(k, s, seen.verdict) for k, s, seen in counter.settled]
    assert counter.is_quiet


UNPAID = pytest.mark.parametrize(
    ("kind", "verdict"),
    [(UpstreamUnreachable, Verdict.NOTHING), (UpstreamFailed, Verdict.FAILED)],
)


@UNPAID
async def test_an_unpaid_attempt_is_made_again_up_to_three_in_all(
    kind: type[GatewayError], verdict: Verdict
) -> None:
    """Each bound of the wait is twice the one before; half of it is drawn here."""
    counter = Counter(ends(k1=[kind("1"), kind("2")]), accounts=ONE_KEY)
    assert PICTURE == await counter.pay()
    assert [0.1, 0.2] == counter.waits
    assert [verdict] * 2 == [seen.verdict for seen in counter.shown]
    assert [("k1", POSTED, SERVED)] == counter.settled

    counter = Counter(ends(k1=[kind("1"), kind("2"), kind("3")]), accounts=ONE_KEY)
    with pytest.raises(kind, match="3"):
        await counter.pay()
    assert ["k1"] * 3 == counter.tried
    assert [("k1", VOIDED, verdict)] == [(k, s, seen.verdict) for k, s, seen in counter.settled]
    assert counter.is_quiet


async def test_trouble_with_keys_takes_none_of_the_three_attempts() -> None:
    counter = Counter(
        ends(k1=[KeyRejected("x")], k2=[UpstreamFailed("1")], k3=[UpstreamFailed("2")])
    )
    assert PICTURE == await counter.pay()
    assert ["k1", "k2", "k3", "k2"] == counter.tried
    assert [0.0, 0.1, 0.2] == counter.waits


@UNPAID
async def test_a_short_wait_that_is_asked_for_is_kept_and_a_long_one_is_not_waited_for(
    kind: type[GatewayError], verdict: Verdict
) -> None:
    del verdict
    counter = Counter(ends(k1=[kind("x", retry_after=2.0)]), accounts=ONE_KEY)
    assert PICTURE == await counter.pay()
    assert [2.0] == counter.waits

    counter = Counter(ends(k1=[kind("x", retry_after=LONGEST_WAIT + 1)]), accounts=ONE_KEY)
    with pytest.raises(kind):
        await counter.pay()
    assert (["k1"], []) == (counter.tried, counter.waits)


@UNPAID
async def test_a_used_up_budget_ends_the_retries(
    kind: type[GatewayError], verdict: Verdict
) -> None:
    del verdict
    budget = RetryBudget(earned_milli=0, saved_milli=1_000)
    counter = Counter(ends(k1=[kind("1"), kind("2")]), accounts=ONE_KEY, budget=budget)
    with pytest.raises(kind, match="2"):
        await counter.pay()
    assert 2 == len(counter.tried)


async def test_retries_are_a_tenth_of_the_calls_and_what_was_saved() -> None:
    failing = [UpstreamFailed("x") for _ in range(200)]
    accounts = (an_account("a", "k1", calls=1_000),)
    counter = Counter(ends(k1=failing), accounts=accounts)
    for _ in range(100):
        with pytest.raises(UpstreamFailed):
            await counter.pay()
    assert 100 + 10 + 9 == len(counter.tried), "the first call cannot save more than is saved"


async def test_what_the_upstream_has_said_of_the_call_is_told_when_it_cannot_be_tried_again() -> (
    None
):
    """Not that no key was free for another attempt: the call was sent."""
    counter = Counter(ends(k1=[UpstreamFailed("said")]), accounts=(an_account("a", "k1", calls=1),))
    with pytest.raises(UpstreamFailed, match="said"):
        await counter.pay()
    assert [("k1", VOIDED)] == [settled[:2] for settled in counter.settled]
    assert counter.is_quiet


async def test_a_key_that_is_removed_between_its_grant_and_its_call_costs_nobody_anything() -> None:
    counter = Counter(ends(k1=[KeyTrouble("taken away")]))
    counter.pool.replace((an_account("a", "k1", "k2"),))
    paying = asyncio.ensure_future(counter.pay())
    while not counter.tried:  # noqa: ASYNC110 - it is a few turns of the loop
        await asyncio.sleep(0)
    counter.pool.replace((an_account("a", "k2"),))
    assert PICTURE == await paying
    assert ["k1", "k2"] == counter.tried
    assert [("k2", POSTED, SERVED)] == counter.settled


COURSES: dict[str, Callable[[], Counter]] = {
    "served at once": Counter,
    "served by the third key": lambda: Counter(
        ends(k1=[KeyRejected("x")], k2=[KeyThrottled("x", retry_after=5.0)])
    ),
    "served after a 403": lambda: Counter(ends(k1=[KeyForbidden("x")])),
    "served after two 500": lambda: Counter(ends(k1=[UpstreamFailed("x"), UpstreamFailed("x")])),
    "forbidden twice": lambda: Counter(ends(k1=[KeyForbidden("x")], k2=[KeyForbidden("x")])),
    "refused": lambda: Counter(ends(k1=[UpstreamRefused("x")])),
    "cut": lambda: Counter(ends(k1=[OutcomeUnknown("x")])),
    "no key": lambda: Counter({key: [KeyRejected("x")] for key in ("k1", "k2", "k3")}),
}


@pytest.mark.parametrize("course", COURSES)
async def test_a_call_that_is_cancelled_at_any_moment_is_settled_once_and_voided_if_not_charged(
    course: str,
) -> None:
    fates = set()
    for number in itertools.count(1):
        counter, when = COURSES[course](), CancelAt(number)
        paying = asyncio.get_running_loop().create_task(cancelled_at(when, counter.pay()))
        await asyncio.wait([paying])
        assert counter.is_quiet
        if not when.reached:
            assert 1 == len(counter.settled)
            break
        assert paying.cancelled()
        became = [settlement for _, settlement, _ in counter.settled]
        if not became:
            assert [] == counter.tried
        else:
            assert [PRESUMED if counter.calling else VOIDED] == became
        fates.add((bool(became), counter.calling))
    assert {(False, False), (True, False), (True, True)} == fates


async def test_what_a_cancelled_attempt_has_shown_is_told_though_no_other_follows() -> None:
    """Cancelled in the pause before the next key: the first is not asked by others meanwhile."""
    counter = Counter(ends(k1=[KeyRejected("x")]))
    paying = asyncio.ensure_future(counter.pay())
    while not counter.waits:  # noqa: ASYNC110 - it is a few turns of the loop
        await asyncio.sleep(0)
    paying.cancel()
    await asyncio.wait([paying])
    assert [("k1", VOIDED, Verdict.REJECTED)] == [(k, s, v.verdict) for k, s, v in counter.settled]
