"""What is counted, timed and logged of claims and holds."""

from __future__ import annotations

import asyncio
import logging

import pytest
from prometheus_client import CollectorRegistry

from gateway.domain.edit import Operation
from gateway.domain.errors import (
    GatewayError,
    StateUnavailable,
    UpstreamCooling,
    UpstreamUnavailable,
)
from gateway.domain.keys import Seen, Verdict
from gateway.domain.limits import Limits, Rate
from gateway.domain.tenant import Tenant
from gateway.ports import Claim, Hold, Settlement
from gateway.store.solo import SoloAdmission
from gateway.telemetry.admission import ObservedAdmission
from gateway.telemetry.ledger_metrics import LedgerMetrics
from gateway.telemetry.usage_lines import USAGE_LOGGER
from tests.pipeline.recording import Steps
from tests.support.cancelling import CancelAt, cancelled_at

NOW = 1_783_000_000.0
JULY = (1_782_864_000_000, 1_785_542_400_000)
EDIT = {"tenant": "catalog", "operation": "v2/edit"}


class Desk:
    """An admission by this process alone, observed."""

    def __init__(self, steps: Steps | None = None) -> None:
        self.registry = CollectorRegistry()
        inner = SoloAdmission(wall=lambda: NOW) if steps is None else steps.pipeline.admission
        self.admission = ObservedAdmission(inner, LedgerMetrics(self.registry))

    async def admit(
        self, name: str = "ab12", limits: Limits | None = None, cost: int = 1000
    ) -> Hold:
        tenant = Tenant("catalog", limits=limits or Limits())
        return await self.admission.admit(Claim(name, tenant, Operation.EDIT, cost, 60.0))

    def value(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0

    def admissions(self, outcome: str) -> float:
        return self.value("gateway_admissions_total", **EDIT, outcome=outcome)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, USAGE_LOGGER)
    return caplog


@pytest.mark.parametrize("outcome", Settlement)
async def test_a_settled_hold_leaves_one_line_and_is_counted_in_calls_and_credits(
    outcome: Settlement, log: pytest.LogCaptureFixture
) -> None:
    desk = Desk()
    hold = await desk.admit(cost=200)
    desk.admission.sent(hold)
    assert [] == log.records
    desk.admission.settle(hold, outcome)

    (line,) = log.records
    expected = {
        "hold": "ab12",
        "tenant": "catalog",
        "operation": "v2/edit",
        "outcome": outcome.value,
        "cost_milli": 200,
        "period_start_ms": JULY[0],
        "period_end_ms": JULY[1],
    }
    assert expected == {key: vars(line)[key] for key in expected}
    assert (USAGE_LOGGER, logging.INFO) == (line.name, line.levelno)
    assert 1.0 == desk.value("gateway_settlements_total", **EDIT, outcome=outcome.value)
    assert 0.2 == desk.value("gateway_settled_credits_total", **EDIT, outcome=outcome.value)


async def test_a_hold_that_is_settled_twice_leaves_one_line(
    log: pytest.LogCaptureFixture,
) -> None:
    desk = Desk()
    hold = await desk.admit()
    assert hold == await desk.admit()  # the same claim made twice is one hold
    desk.admission.settle(hold, Settlement.PRESUMED)
    desk.admission.settle(hold, Settlement.POSTED)

    assert ["presumed"] == [vars(line)["outcome"] for line in log.records]
    assert 0.0 == desk.value("gateway_settlements_total", **EDIT, outcome="posted")


async def test_a_hold_that_tries_another_key_leaves_one_line(log: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    claim = Claim("ab12", Tenant("catalog"), Operation.EDIT, 1000, 60.0)
    first = await desk.admission.admit(claim)
    second = await desk.admission.again(claim, first, Seen(Verdict.REJECTED), frozenset())
    desk.admission.settle(second, Settlement.POSTED, Seen(Verdict.SERVED))

    assert (1, 2) == (first.attempt, second.attempt)
    assert [("ab12", "posted")] == [(vars(n)["hold"], vars(n)["outcome"]) for n in log.records]
    assert 1.0 == desk.admissions("granted")


class Watching(logging.Handler):
    """Notes what was settled when each line was written."""

    def __init__(self, steps: Steps) -> None:
        super().__init__()
        self.steps = steps
        self.seen: list[list[Settlement]] = []

    def emit(self, record: logging.LogRecord) -> None:
        del record
        self.seen.append([*self.steps.settled])


async def test_the_line_is_written_before_the_ledger_is_told(
    log: pytest.LogCaptureFixture,
) -> None:
    steps = Steps()
    desk, watching = Desk(steps), Watching(steps)
    hold = await desk.admit()
    logging.getLogger(USAGE_LOGGER).addHandler(watching)
    try:
        desk.admission.settle(hold, Settlement.POSTED)
    finally:
        logging.getLogger(USAGE_LOGGER).removeHandler(watching)

    assert [[]] == watching.seen
    assert [Settlement.POSTED] == steps.settled
    assert 1 == len(log.records)


@pytest.mark.parametrize(
    ("limit", "limits"),
    [
        ("edits", Limits(edits=Rate.of(per_minute=1, burst=1))),
        ("max_in_flight", Limits(in_flight=1)),
        ("monthly_images", Limits(budget_milli=1000)),
        ("max_cost", Limits(cost_milli=999)),
    ],
)
async def test_a_refused_claim_is_counted_by_the_limit_that_refused_it(
    limit: str, limits: Limits, log: pytest.LogCaptureFixture
) -> None:
    desk = Desk()
    await desk.admit("first", cost=999) if limit == "max_cost" else await desk.admit(
        "first", limits
    )
    with pytest.raises(GatewayError):
        await desk.admit("second", limits)

    assert (1.0, 1.0) == (desk.admissions("granted"), desk.admissions(limit))
    assert 2.0 == desk.value("gateway_admission_seconds_count")
    assert [] == log.records


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (StateUnavailable("why"), "unavailable"),
        (ValueError("why"), "unavailable"),
        (UpstreamUnavailable("why"), "no_key"),
        (UpstreamCooling("why"), "no_key"),
    ],
    ids=repr,
)
async def test_a_claim_that_nobody_can_serve_is_counted_by_who_cannot(
    error: Exception, outcome: str
) -> None:
    desk = Desk(Steps(trouble={"admit": error}))
    with pytest.raises(type(error)):
        await desk.admit()
    assert 1.0 == desk.admissions(outcome)


async def test_a_claim_whose_caller_left_is_counted_as_that() -> None:
    desk = Desk(Steps())
    with pytest.raises(asyncio.CancelledError):
        await cancelled_at(CancelAt(1), desk.admit())
    assert (1.0, 0.0) == (desk.admissions("cancelled"), desk.admissions("granted"))


async def test_what_a_tenant_sees_of_its_limits_is_passed_on() -> None:
    desk = Desk()
    limits = Limits(edits=Rate.of(per_minute=60, burst=5), budget_milli=3000)
    await desk.admit(limits=limits)
    state = desk.admission.state(Tenant("catalog", limits=limits))
    balance = await desk.admission.balance(Tenant("catalog", limits=limits))

    assert state is not None
    assert balance is not None
    assert (4, 2000) == (state.left, balance.left_milli)


def test_how_a_replica_stands_with_the_books_is_read_when_the_metrics_are() -> None:
    registry = CollectorRegistry()
    numbers = {"untold": 3, "trusted": 2, "losses": 1}
    LedgerMetrics(registry).watch_ledger(
        untold=lambda: numbers["untold"],
        trusted=lambda: numbers["trusted"],
        trusted_requests=lambda: 5,
        losses=lambda: numbers["losses"],
    )
    numbers["untold"] = 4

    names = ("gateway_holds_untold", "gateway_ledger_trusted", "gateway_ledger_losses")
    assert [4.0, 2.0, 1.0] == [registry.get_sample_value(name) for name in names]
