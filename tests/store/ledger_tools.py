"""What the tests of the ledger share: replicas over one Redis, a time that a test sets, and faults."""

from __future__ import annotations

from gateway.store.flight_calls import FlightScripts
from gateway.store.ledger_calls import LedgerScripts
from tests.store.flight_tools import timed

__all__ = ["timed_board", "timed_ledger"]


def timed_ledger(clock: str) -> LedgerScripts:
    """The scripts with another `now()`: microseconds from the key `clock`, in the slot of `{ctl}`."""
    return timed(LedgerScripts.load(), f"tonumber(redis.call('GET', '{clock}'))")


def timed_board(clock: str) -> FlightScripts:
    """The scripts of flights by the same clock."""
    return timed(FlightScripts.load(), f"math.floor(redis.call('GET', '{clock}') / 1000)")
