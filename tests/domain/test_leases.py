"""Leases of a bucket: whatever is drawn, used and given back, the rate is kept."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.leases import KEPT_US, LEASE_US, Ask, Lease, LeasedBucket, Pace, wanted
from gateway.domain.limits import Rate

NOW = 1_800_000_000_000_000
RATES = st.builds(Rate, st.sampled_from([1_000, 50_000, 120_000, 3_000_000]), st.integers(1, 8))
FEW = st.builds(Rate, st.sampled_from([50_000, 120_000]), st.integers(1, 4))
STEPS = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.sampled_from([0, 0, 600_000, 600_000, 1, KEPT_US]),  # passes before
        st.sampled_from([8, 2]),  # tokens asked for
        st.sampled_from([8, 0]),  # of these, waited for
        st.sampled_from([8, 0, 1]),  # of these, used
        st.sampled_from(["heard"] * 6 + ["lost", "never came", "twice"]),
    ),
    min_size=3,
    max_size=12,
)


def rate_is_kept(rate: Rate, used: list[tuple[int, int]]) -> bool:
    """Whether tokens, each with its time, keep to burst + t / interval in every time t."""
    return all(
        sum(tokens for _, tokens in used[first : last + 1])
        <= rate.burst + (used[last][0] - used[first][0]) // rate.interval_us
        for last in range(len(used))
        for first in range(last + 1)
    )


@settings(max_examples=1000, deadline=None)
@given(rate=FEW, steps=STEPS)
def test_used_tokens_keep_to_the_rate_by_the_times_at_which_they_were_drawn(
    rate: Rate, steps: list[tuple[str, int, int, int, int, str]]
) -> None:
    """Two replicas use what they like; answers get lost, asks are made twice or do not arrive."""
    bucket, now = LeasedBucket(), NOW
    numbers, told = dict.fromkeys("ab", 0), dict.fromkeys("ab", 0)
    used: list[tuple[int, int]] = []
    for replica, passed, tokens, waiting, use, fate in steps:
        now += passed
        numbers[replica] += 1
        ask = Ask(replica, numbers[replica], tokens, min(waiting, tokens), told[replica])
        told[replica] = 0
        if fate == "never came":
            continue
        bucket, drawn = bucket.draw(rate, now, ask)
        assert 0 <= drawn <= tokens
        if fate == "twice":
            assert (bucket, drawn) == bucket.draw(rate, now, ask)
        if fate != "lost":
            told[replica] = min(use, drawn)
            used.append((now, told[replica]))
    assert rate_is_kept(rate, used)


def test_what_comes_back_late_is_not_had_twice() -> None:
    """Both replicas drew spare tokens, and the bucket filled up again since. One now takes all there is,
    the other gives its spare ones back: they must not be had beside those that grew in their place."""
    rate = Rate(interval_us=10_000, burst=100)
    bucket, _ = LeasedBucket().draw(rate, NOW, Ask("a", 1, 2, 0, 0))
    bucket, _ = bucket.draw(rate, NOW, Ask("b", 1, 2, 0, 0))
    bucket, first = bucket.draw(rate, NOW + LEASE_US, Ask("b", 2, 100, 100, 2))
    bucket, second = bucket.draw(rate, NOW + LEASE_US, Ask("a", 2, 100, 100, 0))
    assert (98, 2) == (first, second)


def test_tokens_that_callers_waited_for_do_not_come_back() -> None:
    """They were not counted as spare, so others may have grown in their place."""
    rate = Rate(interval_us=10_000, burst=100)
    bucket, _ = LeasedBucket().draw(rate, NOW, Ask("a", 1, 50, 48, 0))
    bucket, first = bucket.draw(rate, NOW + 600_000, Ask("b", 1, 100, 100, 0))
    bucket, second = bucket.draw(rate, NOW + 600_000, Ask("a", 2, 100, 100, 0))
    assert (98, 2) == (first, second)


def test_a_lease_whose_use_redis_did_not_hear_of_does_not_come_back() -> None:
    """The ask that told of it did not arrive, and the next one tells of that ask."""
    rate = Rate(interval_us=60_000_000, burst=100)
    bucket, _ = LeasedBucket().draw(rate, NOW, Ask("a", 1, 100, 0, 0))
    _, drawn = bucket.draw(rate, NOW, Ask("a", 3, 100, 100, 0))
    assert 0 == drawn


def test_what_comes_back_too_late_is_gone() -> None:
    rate = Rate(interval_us=60_000_000, burst=100)
    bucket, _ = LeasedBucket().draw(rate, NOW, Ask("a", 1, 2, 0, 0))
    in_time, _ = bucket.draw(rate, NOW + KEPT_US - 1, Ask("a", 2, 0, 0, 0))
    late, _ = bucket.draw(rate, NOW + KEPT_US, Ask("a", 2, 0, 0, 0))
    assert 0 == in_time.full_at - (NOW + KEPT_US - 1)
    assert bucket.full_at == late.full_at


@given(
    burst=st.integers(50, 1000),
    spare=st.integers(0, 20),
    use=st.integers(0, 20),
    passed=st.integers(0, KEPT_US - 1),
)
def test_a_lease_given_back_in_time_cost_what_was_used(
    burst: int, spare: int, use: int, passed: int
) -> None:
    rate, use = Rate(60_000_000, burst), min(use, spare)
    bucket, drawn = LeasedBucket().draw(rate, NOW, Ask("a", 1, spare, 0, 0))
    assert spare == drawn
    after, _ = bucket.draw(rate, NOW + passed, Ask("a", 2, 0, 0, use))
    assert max(NOW + use * rate.interval_us, NOW + passed) == after.full_at


@given(rate=RATES, asks=st.lists(st.integers(1, 8), min_size=1, max_size=20))
def test_alone_and_at_once_a_replica_gets_the_whole_burst_and_no_more(
    rate: Rate, asks: list[int]
) -> None:
    bucket = LeasedBucket()
    drawn: list[int] = []
    for number, tokens in enumerate(asks, 1):
        used = drawn[-1] if drawn else 0
        bucket, got = bucket.draw(rate, NOW, Ask("a", number, tokens, 0, used))
        drawn.append(got)
    assert min(sum(asks), rate.burst) == sum(drawn)


@given(rate=RATES, number=st.integers(1, 5), passed=st.integers(0, KEPT_US - 1))
def test_an_ask_that_is_made_again_draws_nothing_and_an_older_one_gets_nothing(
    rate: Rate, number: int, passed: int
) -> None:
    bucket, drawn = LeasedBucket().draw(rate, NOW, Ask("a", number, 1, 1, 0))
    assert (bucket, drawn) == bucket.draw(rate, NOW + passed, Ask("a", number, 1, 1, 0))
    assert (bucket, 0) == bucket.draw(rate, NOW + passed, Ask("a", number - 1, 1, 1, 0))


def test_the_leases_of_replicas_that_are_gone_are_forgotten() -> None:
    rate = Rate(1_000, 100)
    bucket, _ = LeasedBucket().draw(rate, NOW, Ask("dead", 1, 2, 0, 0))
    bucket, _ = bucket.draw(rate, NOW + KEPT_US, Ask("alive", 1, 3, 1, 0))
    assert {"alive": Lease(1, 3, 2, NOW + KEPT_US)} == bucket.leases


@pytest.mark.parametrize("step", [-3_600_000_000, 3_600_000_000])
def test_a_clock_that_is_put_locks_nobody_out(step: int) -> None:
    rate = Rate(interval_us=1_000_000, burst=10)
    bucket, _ = LeasedBucket().draw(rate, NOW, Ask("a", 1, 10, 0, 0))
    for number in range(2, 4):
        bucket, _ = bucket.draw(rate, NOW + step, Ask("b", number, 1, 1, 0))
    assert rate.take(bucket.full_at, NOW + step).wait_us <= rate.interval_us


@pytest.mark.parametrize(
    ("burst", "waiting", "lately", "tokens"),
    [
        (1000, 1, 0, 1),
        (1000, 1, 7, 7),
        (1000, 1, 21, 20),
        (1000, 30, 21, 30),
        (49, 1, 500, 1),
        (49, 6, 500, 6),
        (99, 1, 500, 1),
        (100, 1, 500, 2),
        (1000, 0, 0, 0),
    ],
)
def test_a_replica_asks_for_what_it_needs_and_for_two_percent_at_most_beyond(
    burst: int, waiting: int, lately: int, tokens: int
) -> None:
    assert tokens == wanted(Rate(1, burst), waiting, lately)


@given(uses=st.lists(st.tuples(st.integers(0, 2 * LEASE_US), st.integers(0, 50)), max_size=30))
def test_what_went_lately_is_what_went_in_some_quarter_second_of_the_last_two_looks(
    uses: list[tuple[int, int]],
) -> None:
    pace, now, gone = Pace(since=NOW), NOW, 0
    for passed, used in uses:
        now += passed
        gone += used
        pace = pace.after(now, used)
        assert 0 <= pace.lately <= gone
        assert now - pace.since < LEASE_US


def test_a_pace_rises_and_falls() -> None:
    pace = Pace().after(NOW, 0)
    assert 0 == pace.lately
    for _ in range(5):
        pace = pace.after(NOW + 50_000, 10)
    assert 50 == pace.lately
    pace = pace.after(NOW + LEASE_US, 0)
    assert 50 == pace.lately, "the window before this one"
    pace = pace.after(NOW + 5 * LEASE_US, 8)
    assert 2 == pace.lately, "eight in a second"
    assert 0 == pace.after(NOW + 6 * LEASE_US, 0).lately
