"""When an unpaid attempt is made again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.retries import (
    FIRST_WAIT,
    LONGEST_WAIT,
    MOST_ATTEMPTS,
    RetryBudget,
    wait_before,
)


@given(st.integers(2, MOST_ATTEMPTS), st.floats(0, 1, exclude_max=True))
def test_a_wait_is_drawn_from_zero_to_a_bound_that_doubles(attempt: int, share: float) -> None:
    wait = wait_before(attempt, share, None)
    assert wait is not None
    assert 0 <= wait <= min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempt - 2))


@given(st.floats(0, LONGEST_WAIT), st.floats(0, 1, exclude_max=True))
def test_the_wait_that_the_upstream_asks_for_is_obeyed(asked: float, share: float) -> None:
    wait = wait_before(2, share, asked)
    assert wait is not None
    assert wait >= asked


@pytest.mark.parametrize(
    ("attempt", "asked"), [(MOST_ATTEMPTS + 1, None), (2, LONGEST_WAIT + 0.001), (2, 3600.0)]
)
def test_no_attempt_beyond_the_last_and_none_after_a_long_wait(
    attempt: int, asked: float | None
) -> None:
    assert wait_before(attempt, 0.5, asked) is None


@given(st.lists(st.booleans(), max_size=400))
def test_retries_are_a_tenth_of_the_calls_beyond_what_was_saved(steps: list[bool]) -> None:
    budget = RetryBudget()
    calls = retries = 0
    for is_call in steps:
        if is_call:
            calls += 1
            budget.earn()
        else:
            retries += budget.spend()
    assert 10 * retries <= 100 + calls


def test_a_used_up_budget_allows_a_retry_after_ten_calls() -> None:
    budget = RetryBudget(saved_milli=1000)
    assert budget.spend()
    for _ in range(9):
        budget.earn()
        assert not budget.spend()
    budget.earn()
    assert budget.spend()
