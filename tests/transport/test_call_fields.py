"""What every answer says of its call's id and of the limits that are left."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.calls import Balance, Call, Record
from gateway.domain.limits import BucketState, Rate
from gateway.transport.call_fields import BUDGET_LEFT, RATE_LIMIT, RATE_POLICY, call_fields
from tests.support.structured_fields import Member, parse_list

REQUESTS = BucketState(burst=600, window=6.0, left=598, full_in=0.02)
EDITS = BucketState(burst=60, window=6.0, left=0, full_in=6.0)


def said(**known: object) -> dict[str, str]:
    """The fields of a call of which so much is known, the id apart."""
    record = Record()
    for name, value in known.items():
        setattr(record, name, value)
    fields = dict(call_fields(Call(None, "edit", "rest", "id-1", record)))
    assert "id-1" == fields.pop("x-request-id")
    return fields


def of_one(bucket: BucketState) -> tuple[Member, Member]:
    """The state and the policy of a single bucket, read back."""
    fields = said(buckets={"edits": bucket})
    (state,), (policy,) = parse_list(fields[RATE_LIMIT]), parse_list(fields[RATE_POLICY])
    return state, policy


def test_of_a_call_that_is_nobody_s_the_id_alone_is_said() -> None:
    assert {} == said()


def test_rates_and_their_state_are_lists_of_structured_fields() -> None:
    fields = said(buckets={"requests": REQUESTS, "edits": EDITS})

    assert {
        "RateLimit": '"requests";r=598;t=1, "edits";r=0;t=1',
        "RateLimit-Policy": '"requests";q=600;w=6, "edits";q=60;w=6',
    } == fields
    assert [("requests", {"r": 598, "t": 1}), ("edits", {"r": 0, "t": 1})] == parse_list(
        fields[RATE_LIMIT]
    )
    assert [("requests", {"q": 600, "w": 6}), ("edits", {"q": 60, "w": 6})] == parse_list(
        fields[RATE_POLICY]
    )


@pytest.mark.parametrize(
    ("window", "told"), [(0.000001, 1), (0.6, 1), (1.0, 1), (6.000001, 7), (360_000.0, 360_000)]
)
def test_a_window_is_told_in_whole_seconds_rounded_up(window: float, told: int) -> None:
    _, policy = of_one(BucketState(burst=10, window=window, left=10, full_in=0.0))

    assert ("edits", {"q": 10, "w": told}) == policy


@pytest.mark.parametrize(
    ("left", "full_in", "told"),
    [
        (100, 0.0, 0),  # full
        (99, 3600.0, 3600),  # one is missing, and its hour begins
        (99, 0.25, 1),
        (98, 3600.5, 1),  # the first of two comes soon
        (0, 360_000.0, 3600),  # none is left: one comes in an hour, all in a hundred
        (0, 356_400.000001, 1),
        (0, 0.0, 1),  # what no bucket says by itself: never a wait below nothing
    ],
)
def test_the_time_that_is_told_is_that_of_the_next_call_not_of_all_of_them(
    left: int, full_in: float, told: int
) -> None:
    """Burst 100, one an hour."""
    state, _ = of_one(BucketState(burst=100, window=360_000.0, left=left, full_in=full_in))

    assert ("edits", {"r": left, "t": told}) == state


@given(
    interval=st.integers(1, 10**10),
    burst=st.integers(1, 10**5),
    taken=st.integers(0, 10**5),
    age=st.integers(0, 10**12),
)
def test_whoever_waits_the_time_that_is_told_finds_one_call_more(
    interval: int, burst: int, taken: int, age: int
) -> None:
    rate, start = Rate(interval, burst), 1_700_000_000_000_000
    full_at = start + min(taken, burst) * interval
    now = start + age
    before = rate.state(full_at, now)
    _, parameters = of_one(before)[0]
    after = rate.state(full_at, now + int(parameters["t"]) * 1_000_000)

    assert before.left == parameters["r"]
    assert min(burst, before.left + 1) <= after.left
    if before.left == 0:
        # No earlier than `Retry-After` of the refusal that a call would meet now, and no later.
        wait = rate.take(full_at, now).wait_us
        assert max(1, math.ceil(wait / 1e6)) == parameters["t"]


@pytest.mark.parametrize(
    ("spent", "told"), [(0, "10"), (1, "9.999"), (200, "9.8"), (10_000, "0"), (12_000, "0")]
)
def test_a_budget_is_told_in_credits(spent: int, told: str) -> None:
    balance = Balance(budget_milli=10_000, spent_milli=spent, period_end=0.0)

    assert {BUDGET_LEFT: told} == said(balance=balance)
