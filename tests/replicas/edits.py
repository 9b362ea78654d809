"""Calls that are all different, and the ways that they may take."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, islice, product
from typing import Final

from gateway.emulator import DEFAULT_KEY, AccountSettings, EmulatorSettings, KeySettings
from tests.e2e.asks import Ask, edit_of, segment_of
from tests.replicas.calling import Replica
from tests.replicas.replicas import DOORS, Fleet

__all__ = ["RICH", "colour", "edit_number", "segment_number", "ways"]

_MANY: Final = 1_000_000

RICH: Final = EmulatorSettings(
    accounts=(
        AccountSettings(
            id="emulator",
            keys=(KeySettings("k1", DEFAULT_KEY, requests_per_window=_MANY),),
            available=_MANY,
            subscription=_MANY,
        ),
    )
)
"""An upstream that no test brings to its limits."""


def colour(number: int) -> str:
    """Far from the one of its neighbours."""
    return f"#{(number * 5003 + 1) % 0x1000000:06x}"


def edit_number(number: int, picture: bytes) -> Ask:
    """An edit that is none of the others."""
    return edit_of({"background.color": colour(number)}, {"imageFile": picture})


def segment_number(number: int, picture: bytes) -> Ask:
    """A background removal that is none of the others."""
    return segment_of({"bg_color": colour(number)}, picture)


def ways(f: Fleet, calls: int) -> Iterator[tuple[Replica, str]]:
    """That many calls over both doors of every replica in turn."""
    return islice(cycle(product(f.replicas, DOORS)), calls)
