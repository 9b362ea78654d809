"""Every metric of the gateway: name, help, unit and labels, declared here and nowhere else.

Labels are bounded: tenants and keys by the configuration, doors, operations and outcomes by the code.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

__all__ = ["Metrics"]

_SECONDS = (0.001, 0.005, 0.02, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 180.0)


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
            "Purchases, by their outcome: `OK` or the reason of the error.",
            ("operation", "outcome", "ending"),
            registry=registry,
        )
        self.upstream_seconds = Histogram(
            "gateway_upstream_seconds",
            "Time of a purchase, all attempts with all keys together.",
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
        self.build = Gauge(
            "gateway_build_info",
            "Always 1; the label says which version runs.",
            ("version",),
            registry=registry,
        )
        self.build.labels(version).set(1)

    def render(self) -> bytes:
        """Return all metrics in the Prometheus text format."""
        return generate_latest(self.registry)
