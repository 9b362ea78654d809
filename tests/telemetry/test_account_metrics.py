"""The numbers of accounts, as they stand when the page is read."""

from __future__ import annotations

import math

from prometheus_client import CollectorRegistry

from gateway.domain.accounts import Standing
from gateway.domain.answer import AccountState
from gateway.domain.keys import PoolAccount
from gateway.telemetry.account_metrics import AccountMetrics

KNOWN = Standing(
    PoolAccount("plus", (), None, reserve_milli=5_000),
    AccountState(100_200, 1_000_000, "plus"),
    polled_at=1_800_000_000.5,
    since=200,
    held=10_000,
    external=3_400,
    used=17_000,
    used_for=60.0,
)
SILENT = Standing(PoolAccount("silent", (), None))


def shown(*standings: Standing) -> dict[tuple[str, str], float]:
    """Each number by its name, without what all have in common, and its account."""
    registry = CollectorRegistry()
    AccountMetrics(registry, lambda: standings)
    return {
        (sample.name.removeprefix("gateway_account_"), sample.labels["account"]): sample.value
        for family in registry.collect()
        for sample in family.samples
    }


def test_an_account_shows_what_it_has_and_how_long_that_lasts() -> None:
    numbers = {name: value for (name, account), value in shown(KNOWN).items() if account == "plus"}
    assert {
        "available_images": 100.2,
        "headroom_images": 85.0,
        "held_images": 10.0,
        "external_images_total": 3.4,
        "exhaustion_seconds": 300.0,
        "polled_timestamp_seconds": 1_800_000_000.5,
        "closed": 0.0,
    } == numbers


def test_an_account_that_never_answered_shows_no_numbers_but_that_it_is_closed() -> None:
    assert {("held_images", "silent"): 0.0, ("closed", "silent"): 1.0} == {
        name: value for name, value in shown(KNOWN, SILENT).items() if name[1] == "silent"
    }


def test_one_that_nobody_spends_from_lasts_for_ever() -> None:
    idle = Standing(KNOWN.account, KNOWN.word)
    assert math.inf == shown(idle)["exhaustion_seconds", "plus"]
