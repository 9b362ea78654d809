"""Rates: what a bucket lets through, and what it says of itself."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.limits import BucketState, Rate

NOW = 1_800_000_000_000_000
RATES = st.builds(Rate, st.integers(1, 10**10), st.integers(1, 10**5))
SMALL = st.builds(Rate, st.integers(1, 50), st.integers(1, 8))
TIMES = st.integers(NOW, NOW + 10**12)


@given(
    rate=SMALL,
    takes=st.lists(st.tuples(st.integers(0, 120), st.integers(1, 9)), max_size=40),
)
def test_no_time_lets_more_through_than_burst_and_what_grows_in_it(
    rate: Rate, takes: list[tuple[int, int]]
) -> None:
    full_at, now = 0, NOW
    let: list[tuple[int, int]] = []
    for passed, tokens in takes:
        now += passed
        taken = rate.take(full_at, now, tokens)
        full_at = taken.full_at
        if not taken.wait_us:
            let.append((now, tokens))
    for first, (start, _) in enumerate(let):
        through = 0
        for end, tokens in let[first:]:
            through += tokens
            assert through <= rate.burst + (end - start) // rate.interval_us


@given(rate=RATES, gone=st.integers(0, 10**5), now=TIMES, tokens=st.integers(1, 10**5))
def test_what_is_refused_can_be_had_after_the_wait_and_not_before(
    rate: Rate, gone: int, now: int, tokens: int
) -> None:
    gone, tokens = min(gone, rate.burst), min(tokens, rate.burst)
    full_at = now + gone * rate.interval_us
    taken = rate.take(full_at, now, tokens)
    if taken.wait_us:
        assert full_at == taken.full_at, "a refusal takes nothing"
        assert 0 < rate.take(full_at, now + taken.wait_us - 1, tokens).wait_us
        assert 0 == rate.take(full_at, now + taken.wait_us, tokens).wait_us
    else:
        assert gone + tokens <= rate.burst
        assert taken.full_at == now + (gone + tokens) * rate.interval_us


@given(rate=RATES, missing=st.integers(0, 10**15), now=TIMES)
def test_what_is_said_to_be_left_can_be_taken_and_no_more(
    rate: Rate, missing: int, now: int
) -> None:
    full_at = now + min(missing, rate.depth_us)
    state = rate.state(full_at, now)
    assert (rate.burst, rate.depth_us / 1e6) == (state.burst, state.window)
    assert 0 == rate.take(full_at, now, state.left).wait_us
    assert 0 < rate.take(full_at, now, state.left + 1).wait_us


@given(rate=RATES, ago=st.integers(0, 10**15), now=TIMES)
def test_a_bucket_is_full_when_it_has_filled(rate: Rate, ago: int, now: int) -> None:
    full = BucketState(rate.burst, rate.depth_us / 1e6, rate.burst, 0.0)
    assert full == rate.state(now - ago, now)


@given(before=RATES, rate=RATES, now=TIMES, tokens=st.integers(1, 10**5))
def test_after_a_change_of_rate_nobody_waits_longer_than_the_new_one_takes(
    before: Rate, rate: Rate, now: int, tokens: int
) -> None:
    """A bucket that was emptied at one token an hour must not lock its owner out for days."""
    emptied = before.take(0, now, before.burst).full_at
    tokens = min(tokens, rate.burst)
    assert 0 <= rate.state(emptied, now).left <= rate.burst
    refused = rate.take(emptied, now, tokens)
    assert refused.wait_us <= tokens * rate.interval_us
    if refused.wait_us:
        assert 0 == rate.take(refused.full_at, now + refused.wait_us, tokens).wait_us


@given(
    per_minute=st.floats(1e-6, 1e6, allow_nan=False),
    burst=st.integers(1, 10**6),
)
def test_a_rate_a_minute_is_never_exceeded(per_minute: float, burst: int) -> None:
    rate = Rate.of(per_minute=per_minute, burst=burst)
    assert burst == rate.burst
    assert Fraction(60_000_000, rate.interval_us) <= Fraction(per_minute) * Fraction(1 + 1e-9)
    assert rate.interval_us - 1 <= 60_000_000 / per_minute


@given(rate=RATES, replicas=st.integers(1, 200), part=st.floats(0.01, 1))
def test_shares_side_by_side_stay_within_the_rate_but_for_whole_tokens(
    rate: Rate, replicas: int, part: float
) -> None:
    share = rate.share(part / replicas)
    assert replicas * share.burst <= max(replicas, rate.burst * (1 + 1e-9))
    assert replicas * rate.interval_us <= share.interval_us * (1 + 1e-9)


def test_the_whole_is_a_share_too() -> None:
    assert Rate(7, 3) == Rate(7, 3).share(1.0)


@pytest.mark.parametrize(("interval", "burst"), [(0, 1), (1, 0), (-1, 1)])
def test_a_rate_has_an_interval_and_a_burst(interval: int, burst: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        Rate(interval, burst)


def test_a_bucket_by_hand() -> None:
    """Sixty a minute, two at once."""
    rate = Rate.of(per_minute=60, burst=2)
    assert Rate(1_000_000, 2) == rate
    one = rate.take(0, NOW)
    two = rate.take(one.full_at, NOW)
    three = rate.take(two.full_at, NOW)
    assert (0, 0, 1_000_000) == (one.wait_us, two.wait_us, three.wait_us)
    assert BucketState(burst=2, window=2.0, left=0, full_in=2.0) == rate.state(two.full_at, NOW)
    later = NOW + 1_500_000
    assert BucketState(burst=2, window=2.0, left=1, full_in=0.5) == rate.state(two.full_at, later)
