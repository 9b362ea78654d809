"""What becomes of a hold, however the call that it was for ends."""

from __future__ import annotations

import pytest

from gateway.domain.caching import CacheMode
from gateway.domain.errors import (
    GatewayError,
    OutcomeUnknown,
    RequestCost,
    StateUnavailable,
    TenantRate,
    UpstreamBadAnswer,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamUnavailable,
    UpstreamUnreachable,
)
from gateway.ports import HoldLost, Settlement
from tests.pipeline.recording import Steps, a_call, an_edit

ENDINGS: tuple[tuple[type[GatewayError], Settlement], ...] = (
    (UpstreamRefused, Settlement.VOIDED),
    (UpstreamUnreachable, Settlement.VOIDED),
    (UpstreamFailed, Settlement.VOIDED),
    (UpstreamUnavailable, Settlement.VOIDED),
    (UpstreamBadAnswer, Settlement.POSTED),
    (OutcomeUnknown, Settlement.PRESUMED),
)


@pytest.mark.parametrize(("kind", "settlement"), ENDINGS)
async def test_how_a_call_ends_decides_what_becomes_of_its_hold(
    kind: type[GatewayError], settlement: Settlement
) -> None:
    steps = Steps(trouble={"buy": kind("why")})
    with pytest.raises(kind):
        await steps.pipeline.edit(a_call(), an_edit(steps))

    assert ([settlement], {}) == (steps.settled, steps.holds)


async def test_a_call_that_breaks_off_by_a_mistake_of_ours_may_have_been_charged() -> None:
    steps = Steps(trouble={"buy": ZeroDivisionError("ours")})
    with pytest.raises(ZeroDivisionError):
        await steps.pipeline.edit(a_call(), an_edit(steps))

    assert [Settlement.PRESUMED] == steps.settled


async def test_what_was_bought_is_posted_though_it_cannot_be_stored() -> None:
    steps = Steps(trouble={"store": ZeroDivisionError("ours")})
    with pytest.raises(ZeroDivisionError):
        await steps.pipeline.edit(a_call(), an_edit(steps))

    assert [Settlement.POSTED] == steps.settled


@pytest.mark.parametrize(
    "refusal",
    [
        TenantRate("often", tenant="catalog", limit="edits", retry_after=2.0),
        RequestCost("dear", tenant="catalog", limit="max_cost"),
        StateUnavailable("silent"),
    ],
)
async def test_what_is_not_admitted_is_not_sent_and_the_flight_is_given_back(
    refusal: GatewayError,
) -> None:
    steps = Steps(trouble={"admit": refusal})
    with pytest.raises(type(refusal)):
        await steps.pipeline.edit(a_call(), an_edit(steps))

    assert ["admit", "release"] == steps.journal[-2:]
    assert (0, []) == (steps.sold, steps.settled)
    assert set() == steps.leading


async def test_a_hold_that_was_lost_is_asked_for_once_more_and_nothing_is_bought_without() -> None:
    steps = Steps(trouble={"sent": HoldLost()})
    with pytest.raises(StateUnavailable):
        await steps.pipeline.edit(a_call(), an_edit(steps, mode=CacheMode.BYPASS))

    assert ["admit", "sent", "settle voided"] * 2 == steps.journal[-7:-1]
    assert ([Settlement.VOIDED] * 2, {}, 0) == (steps.settled, steps.holds, steps.sold)
