"""The state Redis of a configuration, for commands that look into it or write to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from gateway.config import Config, RedisServers
from gateway.store.connect import connect
from gateway.store.link import Link, RedisTrouble, TimeOuts

__all__ = ["StateError", "state_link"]

_PATIENT: Final = TimeOuts(connect=3.0, operation=10.0)


class StateError(Exception):
    """The state Redis cannot be used; the text says why, in an operator's words."""


@asynccontextmanager
async def state_link(config: Config) -> AsyncIterator[Link]:
    """Open a link to the state Redis. Raises StateError, also for what goes wrong with it later."""
    if not isinstance(config.redis, RedisServers):
        raise StateError("with `redis: embedded` the ledger is the gateway's own, and ends with it")
    link = connect(config.redis.state.get_secret_value(), connections=8, time_outs=_PATIENT)
    try:
        yield link
    except RedisTrouble as trouble:
        raise StateError(f"the state Redis fails: {trouble}") from None
    finally:
        await link.aclose()
