"""Settings are valid once built, and never show a secret."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from gateway.upstream.settings import Timeouts, UpstreamKey, UpstreamSettings
from tests.upstream.purchases import KEY, SECRET, settings


def with_keys(*keys: UpstreamKey) -> UpstreamSettings:
    return settings("http://127.0.0.1:1", keys=keys)


def test_a_secret_is_in_no_repr() -> None:
    assert SECRET not in repr(KEY)
    assert SECRET not in repr(with_keys(KEY))


@pytest.mark.parametrize(
    "build",
    [
        lambda: UpstreamKey("", SECRET, "plus"),
        lambda: UpstreamKey("k1", SECRET, ""),
        lambda: UpstreamKey("k1", "", "plus"),
        lambda: UpstreamKey("k1", SECRET + "\n", "plus"),
        lambda: UpstreamKey("k1", SECRET + " x", "plus"),
        lambda: UpstreamKey("k1", SECRET + "é", "plus"),
        lambda: UpstreamKey("k1", "sandbox_" + SECRET, "plus"),
        lambda: Timeouts(edit=0, generative=180),
        lambda: Timeouts(edit=60, generative=math.inf),
        lambda: Timeouts(edit=60, generative=180, connect=math.nan),
        lambda: Timeouts(edit=60, generative=180, account=-1),
        with_keys,
        lambda: with_keys(KEY, KEY),
        lambda: settings("ftp://photoroom.example"),
        lambda: settings("photoroom.example"),
        lambda: settings("https://photoroom.example/?a=b"),
        lambda: settings(f"https://user:{SECRET}@photoroom.example"),
        lambda: settings("https://photoroom.example", segment_url="https://photoroom.example#a"),
        lambda: settings("https://photoroom.example", connections=0),
        lambda: settings("https://photoroom.example", max_answer=0),
    ],
)
def test_what_cannot_work_is_refused_without_showing_the_secret(
    build: Callable[[], object],
) -> None:
    with pytest.raises(ValueError, match=r"key|url|time-out|positive") as caught:
        build()
    assert SECRET not in str(caught.value)
