"""Every metric of the gateway: name, help, unit and labels, declared here and nowhere else.

Labels are bounded: tenants and keys by the configuration, doors, operations and outcomes by the code.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

__all__ = ["ConfigMetrics", "Metrics"]

_SECONDS = (0.001, 0.005, 0.02, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 180.0)


class ConfigMetrics:
    """What became of the configuration since the start."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.reloads = Counter(
            "gateway_config_reloads_total",
            "Readings of the configuration since the start, by what came of them.",
            ("outcome",),
            registry=registry,
        )
        self.refused = Gauge(
            "gateway_config_refused",
            "1 while the configuration on disk has mistakes, and the one before it goes on.",
            registry=registry,
        )
        self.applied = Gauge(
            "gateway_config_applied_timestamp_seconds",
            "When the configuration that runs was put in force, in seconds since the epoch.",
            registry=registry,
        )
        self.needs_restart = Gauge(
            "gateway_config_needs_restart",
            "1 for each key whose value on disk comes in force by a restart alone.",
            ("path",),
            registry=registry,
        )


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self, version: str) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "gateway_requests_total",
            "Calls that were answered, by their outcome: `OK` or the reason of the error.",
            ("door", "operation", "tenant", "outcome", "fault"),
            registry=registry,
        )
        self.request_seconds = Histogram(
            "gateway_request_seconds",
            "Time from the first byte of a call to its answer.",
            ("door", "operation"),
            buckets=_SECONDS,
            registry=registry,
        )
        self.in_flight = Gauge(
            "gateway_requests_in_flight",
            "Calls that are being served.",
            ("door",),
            registry=registry,
        )
        self.upstream_calls = Counter(
            "gateway_upstream_calls_total",
            "Attempts to buy, by their outcome: `OK` or the reason of the error.",
            ("operation", "outcome", "ending"),
            registry=registry,
        )
        self.upstream_seconds = Histogram(
            "gateway_upstream_seconds",
            "Time of one attempt to buy.",
            ("operation",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.spent_credits = Counter(
            "gateway_spent_credits_total",
            "Credits of tenants spent on pictures that were delivered.",
            ("tenant", "operation"),
            registry=registry,
        )
        self.saved_credits = Counter(
            "gateway_saved_credits_total",
            "Credits that stored results cost when they were bought, counted at each hit.",
            ("tenant", "operation"),
            registry=registry,
        )
        self.cached = Counter(
            "gateway_cache_answers_total",
            "Pictures delivered, by the tier they were read from or by why they were not.",
            ("tenant", "operation", "source"),
            registry=registry,
        )
        self.config = ConfigMetrics(registry)
        self.build = Gauge(
            "gateway_build_info",
            "Always 1; the label says which version runs.",
            ("version",),
            registry=registry,
        )
        self.build.labels(version).set(1)

    def watch_cache(
        self,
        *,
        circuit_open: Callable[[], bool],
        memory_bytes: Callable[[], int],
        **troubles: Callable[[], int],
    ) -> None:
        """Export the cache's state, read whenever the metrics are; `troubles` are counts by kind."""
        Gauge(
            "gateway_cache_redis_circuit_open",
            "1 while the cache Redis is taken for down: everything beyond memory is a miss.",
            registry=self.registry,
        ).set_function(circuit_open)
        Gauge(
            "gateway_cache_memory_bytes",
            "Bytes of results in this replica's memory.",
            registry=self.registry,
        ).set_function(memory_bytes)
        trouble = Gauge(
            "gateway_cache_redis_troubles",
            "Calls of the cache Redis that failed since the start, and damaged results found there.",
            ("kind",),
            registry=self.registry,
        )
        for kind, count in troubles.items():
            trouble.labels(kind).set_function(count)

    def watch_flights(self, *, leads: Callable[[], int], **ends: Callable[[], int]) -> None:
        """Export what the board of flights counts, read whenever the metrics are."""
        Gauge(
            "gateway_flights_led",
            "Flights that this replica leads on the board.",
            registry=self.registry,
        ).set_function(leads)
        kinds = Gauge(
            "gateway_flight_troubles",
            "Since the start: leads of this replica alone, leads replaced by another, endings told late.",
            ("kind",),
            registry=self.registry,
        )
        for kind, count in ends.items():
            kinds.labels(kind).set_function(count)

    def watch_degraded(self, alone: Callable[[], int]) -> None:
        """Export how often the board could not be reached, read whenever the metrics are."""
        Gauge(
            "gateway_board_unreachable",
            "Questions to the board of flights that were given up since the start.",
            registry=self.registry,
        ).set_function(alone)

    def render(self) -> bytes:
        """Return all metrics in the Prometheus text format."""
        return generate_latest(self.registry)
