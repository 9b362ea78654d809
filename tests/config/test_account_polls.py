"""When accounts are asked, as the configuration says it."""

from __future__ import annotations

import pytest

from gateway.config import parse_config
from gateway.domain.accounts import Rhythm
from tests.config.documents import ENVIRON, VALID, mistakes

KEYS = "  account_poll: 6m\n  account_lag: 90s\n  accounts:"


def test_accounts_are_asked_as_often_as_the_vendor_s_lag_suggests() -> None:
    assert Rhythm() == parse_config(VALID, ENVIRON).upstream.rhythm


def test_the_interval_and_the_lag_can_be_set() -> None:
    rhythm = parse_config(VALID.replace("  accounts:", KEYS), ENVIRON).upstream.rhythm
    assert Rhythm(every=360.0, soon=60.0, look=1.0, lag=90.0) == rhythm


@pytest.mark.parametrize("key", ["account_poll", "account_lag"])
def test_neither_is_nothing(key: str) -> None:
    text = VALID.replace("  accounts:", f"  {key}: 0s\n  accounts:")
    assert [f"upstream.{key}"] == [path for path, _ in mistakes(text)]
