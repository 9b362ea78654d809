"""What is counted, timed and logged of a call and of a purchase, however it ends."""

from __future__ import annotations

import asyncio
import logging

import pytest
from prometheus_client import CollectorRegistry

from gateway.domain.calls import Record
from gateway.domain.edit import Edit, Operation
from gateway.domain.errors import (
    OutcomeUnknown,
    Unauthenticated,
    UpstreamBadAnswer,
    UpstreamRefused,
)
from gateway.ports import Purchase
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.observers import ObservedEditor, ObservedUpstream
from tests.pipeline.recording import Steps, a_call, an_edit
from tests.support.cancelling import CancelAt, cancelled_at

PURCHASE = Purchase(Edit(Operation.EDIT), {}, sandbox=False)


def value(registry: CollectorRegistry, name: str, **labels: str) -> float:
    return registry.get_sample_value(name, labels) or 0.0


async def edited(steps: Steps, metrics: Metrics, record: Record | None = None) -> None:
    call = a_call()
    await ObservedEditor(steps.pipeline, metrics).edit(call, an_edit(steps))
    if record is not None:
        record.tenant, record.digest = call.record.tenant, call.record.digest


async def test_a_call_leaves_one_line_that_says_who_what_and_how_it_ended(
    caplog: pytest.LogCaptureFixture,
) -> None:
    known = Record()
    with caplog.at_level(logging.INFO, "gateway.requests"):
        await edited(Steps(), Metrics("1"), known)

    (line,) = caplog.records
    said = vars(line)
    expected = {
        "request_id": "id-1",
        "door": "rest",
        "operation": "v2/edit",
        "tenant": "catalog",
        "digest": known.digest,
        "outcome": "OK",
        "fault": "",
        "cost_milli": 1000,
        "cache": "miss",
    }
    assert expected == {key: said[key] for key in expected}
    assert 64 == len(known.digest)
    assert said["seconds"] >= 0


async def test_what_was_spent_and_what_was_saved_is_counted_in_credits() -> None:
    steps, metrics = Steps(), Metrics("1")
    editor = ObservedEditor(steps.pipeline, metrics)
    for _ in range(3):
        await editor.edit(a_call(), an_edit(steps))

    labels = {"tenant": "catalog", "operation": "v2/edit"}
    assert 1.0 == value(metrics.registry, "gateway_spent_credits_total", **labels)
    assert 2.0 == value(metrics.registry, "gateway_saved_credits_total", **labels)
    answers = "gateway_cache_answers_total"
    assert 1.0 == value(metrics.registry, answers, **labels, source="miss")
    assert 2.0 == value(metrics.registry, answers, **labels, source="redis")


@pytest.mark.parametrize(
    ("error", "outcome", "fault"),
    [
        (UpstreamRefused("why"), "UPSTREAM_REFUSED", "caller"),
        (OutcomeUnknown("why"), "OUTCOME_UNKNOWN", "upstream"),
        (ValueError("why"), "INTERNAL", "gateway"),
    ],
)
async def test_a_call_that_fails_is_counted_by_its_reason(
    error: Exception, outcome: str, fault: str
) -> None:
    metrics = Metrics("1")
    with pytest.raises(type(error)):
        await edited(Steps(trouble={"buy": error}), metrics)

    counted = value(
        metrics.registry,
        "gateway_requests_total",
        door="rest",
        operation="v2/edit",
        tenant="catalog",
        outcome=outcome,
        fault=fault,
    )
    assert 1.0 == counted
    assert 0.0 == value(metrics.registry, "gateway_requests_in_flight", door="rest")


async def test_a_mistake_of_ours_is_logged_as_an_error_with_its_stack(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "gateway.requests"), pytest.raises(ValueError, match="why"):
        await edited(Steps(trouble={"epoch": ValueError("why")}), Metrics("1"))

    (line,) = [record for record in caplog.records if record.name == "gateway.requests"]
    assert logging.ERROR == line.levelno
    assert line.exc_info


async def test_a_caller_that_leaves_is_counted_as_that() -> None:
    steps, metrics = Steps(), Metrics("1")
    with pytest.raises(asyncio.CancelledError):
        await cancelled_at(CancelAt(1), edited(steps, metrics))

    counted = value(
        metrics.registry,
        "gateway_requests_total",
        door="rest",
        operation="v2/edit",
        tenant="",
        outcome="CANCELLED",
        fault="caller",
    )
    assert 1.0 == counted
    assert 0.0 == value(metrics.registry, "gateway_requests_in_flight", door="rest")


async def test_every_other_call_is_counted_too() -> None:
    steps, metrics = Steps(), Metrics("1")
    editor = ObservedEditor(steps.pipeline, metrics)

    async def upload() -> bytes:
        return b"picture"

    await editor.plan(a_call(), an_edit(steps))
    await editor.account(a_call())
    ref = await editor.upload(a_call(), upload)
    assert b"picture" == await editor.download(a_call(), ref.sha256)
    with pytest.raises(Unauthenticated):
        await editor.account(a_call(None))

    requests = metrics.requests.collect()
    counts = {
        s.labels["outcome"]: s.value
        for family in requests
        for s in family.samples
        if s.name == "gateway_requests_total"
    }
    assert {"OK": 4.0, "UNAUTHENTICATED": 1.0} == counts


@pytest.mark.parametrize(
    ("error", "outcome", "ending"),
    [
        (None, "OK", "spent"),
        (UpstreamRefused("why"), "UPSTREAM_REFUSED", "not_spent"),
        (OutcomeUnknown("why"), "OUTCOME_UNKNOWN", "unknown"),
        (UpstreamBadAnswer("why"), "UPSTREAM_BAD_ANSWER", "spent"),
        (ValueError("why"), "INTERNAL", "unknown"),
    ],
)
async def test_a_purchase_is_counted_by_what_it_cost(
    error: Exception | None, outcome: str, ending: str
) -> None:
    steps, metrics = Steps(trouble={"buy": error} if error else {}), Metrics("1")
    upstream = ObservedUpstream(steps, metrics)
    if error is None:
        await upstream.buy(PURCHASE, "key")
    else:
        with pytest.raises(type(error)):
            await upstream.buy(PURCHASE, "key")

    labels = {"operation": "v2/edit", "outcome": outcome, "ending": ending}
    assert 1.0 == value(metrics.registry, "gateway_upstream_calls_total", **labels)
    assert 1.0 == value(metrics.registry, "gateway_upstream_seconds_count", operation="v2/edit")
