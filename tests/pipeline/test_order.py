"""The order of the steps, and what is not done when one of them fails."""

from __future__ import annotations

import pytest

from gateway.domain.caching import CacheMode
from gateway.domain.edit import ImageRef
from gateway.domain.errors import (
    BlobMissing,
    BodyTooLarge,
    GatewayError,
    InvalidRequest,
    NotCached,
    OutcomeUnknown,
    ShuttingDown,
    Unauthenticated,
    UpstreamRefused,
    UpstreamUnavailable,
    Violation,
)
from tests.pipeline.recording import ANSWER, PICTURE, Steps, a_call, an_edit

BEFORE = ["authenticate", "enter", "read", "epoch"]
PAID = ["admit", "sent", "buy", "settle posted"]
BOUGHT = ["join", "find", *PAID, "store", "complete stored"]


async def test_a_miss_is_bought_and_stored_before_it_is_answered() -> None:
    steps = Steps()
    delivery = await steps.pipeline.edit(a_call(), an_edit(steps))

    assert [*BEFORE, "find", *BOUGHT] == steps.journal
    assert (ANSWER, 1000) == (delivery.answer, delivery.cost_milli)
    assert ("", "miss") == (delivery.cache.tier, delivery.cache.why_not)


async def test_a_hit_is_answered_without_a_flight_and_costs_nothing() -> None:
    steps = Steps()
    await steps.pipeline.edit(a_call(), an_edit(steps))
    steps.journal.clear()
    delivery = await steps.pipeline.edit(a_call(), an_edit(steps))

    assert [*BEFORE, "find"] == steps.journal
    assert (ANSWER, 0, "redis") == (delivery.answer, delivery.cost_milli, delivery.cache.tier)


async def test_the_cache_is_passed_by_when_the_caller_says_so() -> None:
    steps = Steps()
    await steps.pipeline.edit(a_call(), an_edit(steps, mode=CacheMode.BYPASS))

    assert [*BEFORE, "join", *PAID, "complete unshared"] == steps.journal


async def test_a_refresh_does_not_read_and_stores() -> None:
    steps = Steps()
    await steps.pipeline.edit(a_call(), an_edit(steps, mode=CacheMode.REFRESH))

    assert "find" not in steps.journal
    assert ["buy", "store"] == [s for s in steps.journal if s in {"buy", "store"}]


async def test_an_idempotency_key_is_opened_before_anything_is_looked_for() -> None:
    steps = Steps()
    edit = an_edit(steps, idempotency_key="order-17")
    await steps.pipeline.edit(a_call(), edit)
    first = list(steps.journal)
    steps.journal.clear()
    replayed = await steps.pipeline.edit(a_call(), edit)

    assert first.index("open") < first.index("find") < first.index("buy") < first.index("close")
    assert [*BEFORE, "open", "read_blob"] == steps.journal
    assert (1, 0, "replay") == (steps.sold, replayed.cost_milli, replayed.cache.tier)


async def test_a_picture_that_is_named_by_content_is_fetched_before_the_flight() -> None:
    steps = Steps()
    ref = ImageRef.of(PICTURE)
    steps.blobs[ref.sha256] = PICTURE
    await steps.pipeline.edit(a_call(), an_edit(steps, kept=ref))

    assert [*BEFORE, "find", "read_blob", *BOUGHT] == steps.journal


REFUSED: tuple[tuple[str, dict[str, object], type[GatewayError], list[str]], ...] = (
    ("unread body", {"trouble": BodyTooLarge("why")}, BodyTooLarge, BEFORE[:3]),
    (
        "violation found by the door",
        {"violations": (Violation("padding", "OUT_OF_RANGE", "why"),)},
        InvalidRequest,
        BEFORE[:3],
    ),
    ("bytes that are no picture", {"picture": b"nothing"}, InvalidRequest, BEFORE[:3]),
    (
        "a stored result wanted, and there is none",
        {"mode": CacheMode.ONLY_IF_CACHED},
        NotCached,
        [*BEFORE, "find"],
    ),
    (
        "a picture that is not kept",
        {"kept": ImageRef.of(b"elsewhere")},
        BlobMissing,
        [*BEFORE, "find", "read_blob"],
    ),
)


@pytest.mark.parametrize(
    ("wrong", "error", "journal"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
async def test_what_is_refused_never_flies(
    wrong: dict[str, object], error: type[GatewayError], journal: list[str]
) -> None:
    steps = Steps()
    edit = an_edit(steps, **wrong)  # type: ignore[arg-type] # the table's columns
    with pytest.raises(error):
        await steps.pipeline.edit(a_call(), edit)

    assert journal == steps.journal
    assert 0 == steps.sold


@pytest.mark.parametrize("key", [None, "another key"])
async def test_a_stranger_s_body_is_not_even_read(key: str | None) -> None:
    steps = Steps()
    for call in (
        steps.pipeline.edit(a_call(key), an_edit(steps)),
        steps.pipeline.plan(a_call(key), an_edit(steps)),
        steps.pipeline.account(a_call(key)),
        steps.pipeline.download(a_call(key), "0" * 64),
    ):
        with pytest.raises(Unauthenticated):
            await call

    assert ["authenticate"] * 4 == steps.journal


async def test_a_plan_looks_and_spends_nothing() -> None:
    steps = Steps()
    plan = await steps.pipeline.plan(a_call(), an_edit(steps))

    assert [*BEFORE, "find"] == steps.journal
    assert (1000, False) == (plan.cost_milli, plan.hit)


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (UpstreamRefused("why"), "complete UPSTREAM_REFUSED"),
        (OutcomeUnknown("why"), "complete OUTCOME_UNKNOWN"),
        (UpstreamUnavailable("why"), "release"),
    ],
)
async def test_an_outcome_of_the_request_is_told_to_all_and_trouble_of_ours_to_none(
    error: GatewayError, end: str
) -> None:
    steps = Steps(trouble={"buy": error})
    with pytest.raises(type(error)):
        await steps.pipeline.edit(a_call(), an_edit(steps))

    assert end == steps.journal[-1]
    assert "store" not in steps.journal
    assert set() == steps.leading


async def test_a_closing_replica_buys_nothing_and_still_answers_from_the_cache() -> None:
    steps = Steps()
    await steps.pipeline.edit(a_call(), an_edit(steps))
    steps.flights.close()
    hit = await steps.pipeline.edit(a_call(), an_edit(steps))
    with pytest.raises(ShuttingDown):
        await steps.pipeline.edit(a_call(), an_edit(steps, mode=CacheMode.REFRESH))

    assert ("redis", 1) == (hit.cache.tier, steps.sold)
