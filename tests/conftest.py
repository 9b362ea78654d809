"""The whole suite runs under a watch: no planted secret reaches a log."""

from __future__ import annotations

import pytest

from tests.support.leak_watch import LeakWatch

__all__ = ["pytest_configure"]


def pytest_configure(config: pytest.Config) -> None:
    LeakWatch.start(config)
