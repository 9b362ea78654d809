"""The metrics of the ledger: who was admitted, what was settled, and whether Redis hears of it."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["LedgerMetrics"]

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


class LedgerMetrics:
    """Metrics in a registry that is shared with others."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.admissions = Counter(
            "gateway_admissions_total",
            "Claims by what came of them: `granted`; the limit that refused; `no_key` when no upstream "
            "key could serve, `unavailable` when the ledger did not answer; `cancelled`.",
            ("tenant", "operation", "outcome"),
            registry=registry,
        )
        self.admission_seconds = Histogram(
            "gateway_admission_seconds",
            "Time in which a claim was granted or refused.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.settlements = Counter(
            "gateway_settlements_total",
            "Holds that were settled by this replica: `posted`, `voided` or `presumed`.",
            ("tenant", "operation", "outcome"),
            registry=registry,
        )
        self.settled_credits = Counter(
            "gateway_settled_credits_total",
            "Credits of the holds that were settled by this replica; voided ones were given back.",
            ("tenant", "operation", "outcome"),
            registry=registry,
        )

    def watch_ledger(
        self,
        *,
        untold: Callable[[], int],
        trusted: Callable[[], int],
        trusted_requests: Callable[[], int],
        losses: Callable[[], int],
    ) -> None:
        """Export how the replica stands with the books in Redis, read whenever the metrics are."""
        for name, text, count in (
            ("gateway_holds_untold", "Holds of which Redis has not heard as they are now.", untold),
            (
                "gateway_requests_trusted",
                "Calls let in since the start without Redis, from the replica's share of the rate.",
                trusted_requests,
            ),
            (
                "gateway_ledger_trusted",
                "Claims granted since the start without Redis, from the replica's own allowance.",
                trusted,
            ),
            (
                "gateway_ledger_losses",
                "Times since the start that Redis had lost its books, or a part of them.",
                losses,
            ),
        ):
            Gauge(name, text, registry=self._registry).set_function(count)
