"""Attempts that cost nothing are made again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from gateway.domain.answer import Answer
from gateway.domain.errors import UpstreamFailed, UpstreamUnreachable
from gateway.domain.retries import RetryBudget, wait_before
from gateway.ports import Purchase, Upstream

__all__ = ["RetryingUpstream"]


class RetryingUpstream:
    """Implements `Upstream` over another one: what was not sent, or drew a 500, is bought again.

    Neither is charged. Nothing else is repeated: an unknown outcome may have been paid for, and a
    refusal would come again. `draw` gives shares of the longest wait, evenly from [0, 1).
    """

    def __init__(
        self,
        inner: Upstream,
        budget: RetryBudget,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._inner = inner
        self._budget = budget
        self._sleep = sleep
        self._draw = draw

    async def buy(self, purchase: Purchase) -> Answer:
        """Buy with at most three attempts, as the budget allows. Raises as the inner one does."""
        self._budget.earn()
        attempt = 1
        while True:
            try:
                return await self._inner.buy(purchase)
            except (UpstreamUnreachable, UpstreamFailed) as error:
                attempt += 1
                wait = wait_before(attempt, self._draw(), error.retry_after)
                if wait is None or not self._budget.spend():
                    raise
            await self._sleep(wait)
