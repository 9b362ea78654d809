"""The names of the metrics are a contract with dashboards and alerts: a rename shows in review."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

from gateway.telemetry.ledger_metrics import LedgerMetrics
from gateway.telemetry.metrics import Metrics

GOLDEN = Path(__file__).parents[1] / "golden" / "metrics.txt"


def every_metric() -> Metrics:
    """All metrics that a gateway can have."""
    metrics = Metrics("1.2.3")
    metrics.watch_cache(
        circuit_open=lambda: False,
        memory_bytes=lambda: 0,
        damaged=lambda: 0,
        refused=lambda: 0,
        unavailable=lambda: 0,
    )
    LedgerMetrics(metrics.registry).watch_ledger(
        untold=lambda: 0, trusted=lambda: 0, losses=lambda: 0
    )
    return metrics


def declared(metrics: Metrics) -> list[MetricWrapperBase]:
    collectors = set(metrics.registry._collector_to_names)
    return [one for one in collectors if isinstance(one, MetricWrapperBase)]


def test_the_names_and_labels_are_those_that_were_agreed_on() -> None:
    lines = []
    for metric in declared(every_metric()):
        (family,) = metric.describe()
        name = family.name + ("_total" if family.type == "counter" else "")
        lines.append(" ".join([name, family.type, *metric._labelnames]))

    assert GOLDEN.read_text().splitlines() == sorted(lines)


def test_every_metric_says_what_it_is_in_a_sentence() -> None:
    for metric in declared(every_metric()):
        assert metric._documentation.endswith("."), metric
        assert metric._name.startswith("gateway_"), metric


def test_the_page_is_what_prometheus_reads() -> None:
    metrics = every_metric()
    metrics.requests.labels("rest", "v2/edit", "catalog", "OK", "").inc()
    page = metrics.render().decode()
    samples = {
        sample.name: (sample.labels, sample.value)
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }

    assert ({"version": "1.2.3"}, 1.0) == samples["gateway_build_info"]
    assert 1.0 == samples["gateway_requests_total"][1]
    assert ({}, 0.0) == samples["gateway_cache_redis_circuit_open"]


def test_two_gateways_in_one_process_count_apart() -> None:
    one, other = Metrics("1"), Metrics("2")
    one.in_flight.labels("rest").inc()

    assert b'gateway_requests_in_flight{door="rest"} 1.0' in one.render()
    assert b"gateway_requests_in_flight{" not in other.render()
