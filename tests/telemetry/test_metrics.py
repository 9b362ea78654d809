"""The names of the metrics are a contract with dashboards and alerts: a rename shows in review."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from gateway.telemetry.account_metrics import AccountMetrics
from gateway.telemetry.key_metrics import KeyMetrics
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
        untold=lambda: 0, trusted=lambda: 0, trusted_requests=lambda: 0, losses=lambda: 0
    )
    KeyMetrics(metrics.registry)
    AccountMetrics(metrics.registry, lambda: ())
    return metrics


class Declared(NamedTuple):
    family: Metric
    labels: tuple[str, ...]


def declared(metrics: Metrics) -> list[Declared]:
    """A metric of the library knows its labels, a collector of ours those of each of its families."""
    found = []
    collectors: set[Any] = set(metrics.registry._collector_to_names)
    for collector in collectors:
        for family in collector.describe():
            known = collector if isinstance(collector, MetricWrapperBase) else family
            found.append(Declared(family, known._labelnames))
    return found


def test_the_names_and_labels_are_those_that_were_agreed_on() -> None:
    lines = []
    for family, labels in declared(every_metric()):
        name = family.name + ("_total" if family.type == "counter" else "")
        lines.append(" ".join([name, family.type, *labels]))

    assert GOLDEN.read_text().splitlines() == sorted(lines)


def test_every_metric_says_what_it_is_in_a_sentence() -> None:
    for family, _ in declared(every_metric()):
        assert family.documentation.endswith("."), family
        assert family.name.startswith("gateway_"), family


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
