"""The metrics of the upstream accounts, read from how they stand whenever the metrics are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.domain.accounts import Standing

__all__ = ["AccountMetrics"]


@dataclass(frozen=True, slots=True)
class _Number:
    """A number of each account; `always` also of one that has not answered yet."""

    family: type[GaugeMetricFamily | CounterMetricFamily]
    name: str
    text: str
    of: Callable[[Standing], float]
    always: bool = False


def _available(standing: Standing) -> float:
    return 0 if standing.word is None else standing.word.available_milli / 1000


_NUMBERS = (
    _Number(
        GaugeMetricFamily,
        "gateway_account_available_images",
        "Images that the account has left by its own last word.",
        _available,
    ),
    _Number(
        GaugeMetricFamily,
        "gateway_account_headroom_images",
        "Images that new calls may spend: without what is held, the reserve, and what the word lacks.",
        lambda standing: standing.headroom / 1000,
    ),
    _Number(
        GaugeMetricFamily,
        "gateway_account_held_images",
        "Images held for calls under way.",
        lambda standing: standing.held / 1000,
        always=True,
    ),
    _Number(
        CounterMetricFamily,
        "gateway_account_external_images",
        "Images that others than the gateway have spent; each replica says the same.",
        lambda standing: standing.external / 1000,
    ),
    _Number(
        GaugeMetricFamily,
        "gateway_account_exhaustion_seconds",
        "Seconds until new calls may spend nothing, at the pace of the last hour.",
        lambda standing: standing.lasts,
    ),
    _Number(
        GaugeMetricFamily,
        "gateway_account_polled_timestamp_seconds",
        "When the account was asked for its last word, in seconds since the epoch.",
        lambda standing: standing.polled_at,
    ),
    _Number(
        GaugeMetricFamily,
        "gateway_account_closed",
        "1 while the account serves no live call: it has not answered yet, or has nothing left.",
        lambda standing: standing.is_closed,
        always=True,
    ),
)


class AccountMetrics(Collector):
    """Metrics in a registry that is shared with others; `standings` tells how the accounts stand."""

    def __init__(
        self, registry: CollectorRegistry, standings: Callable[[], Sequence[Standing]]
    ) -> None:
        self._standings = standings
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        return _families(self._standings())

    def describe(self) -> Iterable[Metric]:
        """Name the metrics; the registry asks before there is anything to read."""
        return _families(())


def _families(standings: Sequence[Standing]) -> Iterator[Metric]:
    for number in _NUMBERS:
        family = number.family(number.name, number.text, labels=("account",))
        for standing in standings:
            if standing.word is not None or number.always:
                family.add_metric((standing.account.id,), number.of(standing))
        yield family
