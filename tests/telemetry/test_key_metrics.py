"""The gauges of the upstream keys show how they stood a moment ago, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from prometheus_client import CollectorRegistry, generate_latest

from gateway.domain.credits import PLUS
from gateway.domain.edit import Operation
from gateway.domain.errors import StateUnavailable
from gateway.domain.keys import PoolAccount, PoolKey, fingerprint
from gateway.ports import AccountStanding, EndpointStanding, KeyStanding, PoolStanding
from gateway.store.background import in_background
from gateway.telemetry.key_metrics import KeyMetrics, follow_keys
from tests.client.waiting import until
from tests.support.leak_watch import leaks


def key_of(name: str) -> PoolKey:
    return PoolKey(name, fingerprint(f"canary {name}"), 60, 60_000)


K1, K2 = key_of("k1"), key_of("k2")
ACCOUNT = PoolAccount("plus", (K1, K2), PLUS)
QUIET = tuple(EndpointStanding(operation) for operation in Operation)


def standing(*keys: KeyStanding, endpoints: tuple[EndpointStanding, ...] = QUIET) -> PoolStanding:
    return PoolStanding(keys, (AccountStanding(ACCOUNT),), endpoints)


def shown(registry: CollectorRegistry) -> dict[str, float]:
    """The samples by metric and key, or operation."""
    return {
        " ".join((sample.name.removeprefix("gateway_"), *sample.labels.values())): sample.value
        for metric in registry.collect()
        for sample in metric.samples
    }


NOTHING_OPEN = {"endpoint_breaker_open v2/edit": 0.0, "endpoint_breaker_open v1/segment": 0.0}


def test_every_key_of_the_configuration_is_shown_and_no_other() -> None:
    registry = CollectorRegistry()
    metrics = KeyMetrics(registry)
    old = KeyStanding(replace(K2, fingerprint="of before"), "plus", leaving=True, calls=60)
    metrics.show(standing(KeyStanding(K1, "plus", calls=7, in_flight=3), old, checked()))
    assert {
        "key_usable k1 plus": 1.0,
        "key_rate_left k1 plus": 53.0,
        "key_in_flight k1 plus": 3.0,
        "key_usable k2 plus": 0.0,
        "key_rate_left k2 plus": 60.0,
        "key_in_flight k2 plus": 0.0,
        **NOTHING_OPEN,
    } == shown(registry)
    metrics.show(standing(KeyStanding(K2, "plus", calls=90)))
    assert {
        "key_usable k2 plus": 1.0,
        "key_rate_left k2 plus": 0.0,
        "key_in_flight k2 plus": 0.0,
        **NOTHING_OPEN,
    } == shown(registry)
    assert [] == leaks(generate_latest(registry))
    metrics.forget()
    assert {} == shown(registry)


def checked() -> KeyStanding:
    return KeyStanding(K2, "plus", checking=True)


def test_a_key_is_not_usable_while_it_is_off_cooling_or_checked() -> None:
    registry = CollectorRegistry()
    metrics = KeyMetrics(registry)
    for state, usable in (
        (KeyStanding(K1, "plus"), 1.0),
        (KeyStanding(K1, "plus", off="drained"), 0.0),
        (KeyStanding(K1, "plus", off="rejected"), 0.0),
        (KeyStanding(K1, "plus", cooling_until=1e9), 0.0),
        (KeyStanding(K1, "plus", sandbox_cooling_until=1e9), 1.0),
        (KeyStanding(K1, "plus", masked={Operation.EDIT: 1e9}), 1.0),
        (KeyStanding(K1, "plus", checking=True), 0.0),
    ):
        metrics.show(standing(state))
        assert usable == shown(registry)["key_usable k1 plus"], state


def test_an_endpoint_that_is_taken_for_down_is_shown() -> None:
    registry = CollectorRegistry()
    metrics = KeyMetrics(registry)
    down = EndpointStanding(Operation.EDIT, 3, 1e9), EndpointStanding(Operation.SEGMENT, 2)
    metrics.show(standing(endpoints=down))
    assert {
        "endpoint_breaker_open v2/edit": 1.0,
        "endpoint_breaker_open v1/segment": 0.0,
    } == shown(registry)


@dataclass(slots=True)
class Desk:
    """A KeyDesk that answers what a test puts there, errors too."""

    answer: PoolStanding | Exception
    looks: int = 0
    asked: list[str] = field(default_factory=list)

    def named(self, key_id: str) -> tuple[str, ...]:
        return (key_id,)

    async def state(self) -> PoolStanding:
        self.looks += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def drain(self, keys: Sequence[str]) -> None:
        self.asked += keys

    async def resume(self, keys: Sequence[str]) -> None:
        self.asked += keys


async def test_it_is_looked_again_and_again_and_nothing_is_shown_while_nobody_knows() -> None:
    registry = CollectorRegistry()
    desk = Desk(standing(KeyStanding(K1, "plus")))

    async def looked_again() -> None:
        least = desk.looks + 2

        async def has() -> bool:
            return desk.looks >= least

        await until(has)

    async with in_background(keys=follow_keys(desk, KeyMetrics(registry), every=0.01)):
        await looked_again()
        assert 1.0 == shown(registry)["key_usable k1 plus"]
        for trouble in (StateUnavailable("silent"), ZeroDivisionError("ours")):
            desk.answer = trouble
            await looked_again()
            assert {} == shown(registry)
        desk.answer = standing(KeyStanding(K2, "plus"))
        await looked_again()
        assert 1.0 == shown(registry)["key_usable k2 plus"]
