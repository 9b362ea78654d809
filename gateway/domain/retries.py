"""When an unpaid attempt is made again: arithmetic without a clock.

Full jitter after Marc Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015): the wait
is drawn evenly from zero to a bound that doubles. The budget keeps retries a tenth of the calls, so that
an upstream in trouble is not asked three times as often.
"""

from __future__ import annotations

__all__ = ["FIRST_WAIT", "LONGEST_WAIT", "MOST_ATTEMPTS", "RetryBudget", "wait_before"]

MOST_ATTEMPTS = 3
"""Attempts of one purchase, the first one included."""

FIRST_WAIT = 0.2
"""Seconds that bound the first wait."""

LONGEST_WAIT = 5.0
"""Seconds that bound every wait. An upstream that asks for a longer one is not asked again."""


def wait_before(attempt: int, share: float, asked: float | None) -> float | None:
    """Return the seconds to wait before `attempt` (2, 3, ...); None when it should not be made.

    `share` is drawn evenly from [0, 1). `asked` is the wait that the upstream asks for; it is obeyed.
    """
    if attempt > MOST_ATTEMPTS or (asked is not None and asked > LONGEST_WAIT):
        return None
    bound = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (attempt - 2))
    return max(bound * share, asked or 0.0)


class RetryBudget:
    """A process's allowance of retries: each call earns a tenth of one, up to ten are saved.

    Amounts are thousandths of a retry.
    """

    def __init__(self, *, earned_milli: int = 100, saved_milli: int = 10_000) -> None:
        self._earned = earned_milli
        self._most = saved_milli
        self._left = saved_milli

    def earn(self) -> None:
        """Note a call."""
        self._left = min(self._most, self._left + self._earned)

    def spend(self) -> bool:
        """Take one retry; False when the budget is used up."""
        if self._left < 1000:
            return False
        self._left -= 1000
        return True
