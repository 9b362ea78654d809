"""The metrics of the upstream keys, and what keeps them up to date."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from prometheus_client import CollectorRegistry, Gauge

from gateway.domain.errors import StateUnavailable
from gateway.ports import KeyDesk, PoolStanding

__all__ = ["KeyMetrics", "follow_keys"]

_EVERY: Final = 5.0
"""Seconds between two looks: one script, whatever is scraped how often."""

_log = logging.getLogger(__name__)


class KeyMetrics:
    """Gauges in a registry that is shared with others. They say what all replicas have seen together."""

    def __init__(self, registry: CollectorRegistry) -> None:
        key = ("key", "account")
        self._usable = Gauge(
            "gateway_key_usable",
            "1 while calls may begin with the key, its rate apart; 0 while it is off, cooling or checked.",
            key,
            registry=registry,
        )
        self._rate_left = Gauge(
            "gateway_key_rate_left",
            "Calls that the rate of the key allows now.",
            key,
            registry=registry,
        )
        self._in_flight = Gauge(
            "gateway_key_in_flight",
            "Calls that are under way with the key.",
            key,
            registry=registry,
        )
        self._endpoint = Gauge(
            "gateway_endpoint_breaker_open",
            "1 while the endpoint of the operation is taken for down.",
            ("operation",),
            registry=registry,
        )

    def show(self, standing: PoolStanding) -> None:
        """Show these keys and no others. Of two with one id, the one that the configuration has counts."""
        self.forget()
        for one in standing.keys:
            if one.leaving:
                continue
            labels = one.key.id, one.account
            self._usable.labels(*labels).set(one.usable)
            self._rate_left.labels(*labels).set(max(0, one.key.calls - one.calls))
            self._in_flight.labels(*labels).set(one.in_flight)
        for endpoint in standing.endpoints:
            is_open = endpoint.open_until is not None
            self._endpoint.labels(endpoint.operation.value).set(is_open)

    def forget(self) -> None:
        """Show nothing: an old number is worse than none."""
        for gauge in (self._usable, self._rate_left, self._in_flight, self._endpoint):
            gauge.clear()


async def follow_keys(desk: KeyDesk, metrics: KeyMetrics, *, every: float = _EVERY) -> None:
    """Look now and then how the keys stand, for ever."""
    while True:
        try:
            metrics.show(await desk.state())
        except StateUnavailable:
            metrics.forget()
        except Exception:  # noqa: BLE001 - it is logged
            # The next look may find what this one choked on gone.
            _log.exception("the keys were not looked at by a mistake of ours")
            metrics.forget()
        await asyncio.sleep(every)
