"""Attempts that cost nothing are made again, and no others."""

from __future__ import annotations

import pytest

from gateway.domain.answer import Answer
from gateway.domain.errors import (
    GatewayError,
    OutcomeUnknown,
    UpstreamBadAnswer,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamUnavailable,
    UpstreamUnreachable,
)
from gateway.domain.retries import LONGEST_WAIT, RetryBudget
from gateway.ports import Purchase
from gateway.upstream.retries import RetryingUpstream
from tests.upstream.purchases import by_url

ANSWER = Answer(b"picture", "image/png")


class Scripted:
    """An Upstream that ends each purchase as the script says."""

    def __init__(self, *ends: GatewayError | Answer) -> None:
        self.ends = list(ends)
        self.bought = 0

    async def buy(self, purchase: Purchase) -> Answer:
        del purchase
        self.bought += 1
        end = self.ends.pop(0)
        if isinstance(end, Answer):
            return end
        raise end


def retrying(
    inner: Scripted, budget: RetryBudget | None = None
) -> tuple[RetryingUpstream, list[float]]:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    upstream = RetryingUpstream(inner, budget or RetryBudget(), sleep=sleep, draw=lambda: 0.5)
    return upstream, waits


@pytest.mark.parametrize("kind", [UpstreamUnreachable, UpstreamFailed])
async def test_an_unpaid_attempt_is_made_again_up_to_three_in_all(kind: type[GatewayError]) -> None:
    inner = Scripted(kind("no"), kind("no"), ANSWER)
    upstream, waits = retrying(inner)
    assert ANSWER == await upstream.buy(by_url())
    assert [0.1, 0.2] == waits

    inner = Scripted(kind("1"), kind("2"), kind("3"))
    upstream, waits = retrying(inner)
    with pytest.raises(kind, match="3"):
        await upstream.buy(by_url())
    assert (3, 2) == (inner.bought, len(waits))


@pytest.mark.parametrize(
    "kind", [OutcomeUnknown, UpstreamBadAnswer, UpstreamRefused, UpstreamUnavailable]
)
async def test_nothing_else_is_made_again(kind: type[GatewayError]) -> None:
    inner = Scripted(kind("no"))
    upstream, waits = retrying(inner)
    with pytest.raises(kind):
        await upstream.buy(by_url())
    assert (1, []) == (inner.bought, waits)


async def test_a_short_wait_that_is_asked_for_is_kept_and_a_long_one_is_not_waited_for() -> None:
    upstream, waits = retrying(Scripted(UpstreamFailed("no", retry_after=2.0), ANSWER))
    await upstream.buy(by_url())
    assert [2.0] == waits

    inner = Scripted(UpstreamFailed("no", retry_after=LONGEST_WAIT + 1))
    upstream, waits = retrying(inner)
    with pytest.raises(UpstreamFailed):
        await upstream.buy(by_url())
    assert (1, []) == (inner.bought, waits)


async def test_a_used_up_budget_ends_the_retries() -> None:
    inner = Scripted(UpstreamFailed("1"), UpstreamFailed("2"))
    upstream, _ = retrying(inner, RetryBudget(earned_milli=0, saved_milli=1000))
    with pytest.raises(UpstreamFailed, match="2"):
        await upstream.buy(by_url())
    assert 2 == inner.bought
