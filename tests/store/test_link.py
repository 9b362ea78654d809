"""A link's promises that need no particular server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from redis.asyncio.client import PubSub

from gateway.store.breaker import Circuit
from gateway.store.link import Command, Link, RedisRefused, RedisUnavailable, TimeOuts
from tests.store.tiers import ManualClock, World


class DeafLink(Link):
    """Takes a cancellation for an answer, as the library may in Python 3.11."""

    async def _send(self, commands: Sequence[Command]) -> list[Any]:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            return [command[0] for command in commands]
        raise AssertionError("nobody has cancelled this")

    async def _pubsub(self) -> PubSub:
        raise AssertionError("nobody listens to this")

    async def aclose(self) -> None:
        """There is nothing to close."""


class SilentLink(DeafLink):
    """Never answers."""

    async def _send(self, commands: Sequence[Command]) -> list[Any]:
        await asyncio.sleep(30)
        raise AssertionError(f"nobody has cancelled {len(commands)} commands")


async def test_a_cancellation_that_the_library_drops_reaches_the_caller_all_the_same() -> None:
    link = DeafLink(Circuit(ManualClock()), 1, TimeOuts())
    task = asyncio.ensure_future(link.exchange(("PING",)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_answer_that_comes_with_the_time_out_is_still_an_answer() -> None:
    link = DeafLink(Circuit(ManualClock()), 1, TimeOuts(0.0, 0.01))
    assert ["PING"] == await link.exchange(("PING",))


async def test_no_answer_in_time_is_a_failure() -> None:
    link = SilentLink(Circuit(ManualClock()), 1, TimeOuts(0.0, 0.01))
    with pytest.raises(RedisUnavailable):
        await link.exchange(("PING",))
    assert 1 == link.circuit.failures


async def test_a_refusal_repeats_nothing_of_the_command(redis_world: World) -> None:
    """The library's own text may hold names and values."""
    assert redis_world.link is not None
    name = "pg1:e:wrong-type-" + redis_world.master.hex()
    await redis_world.link.exchange(("RPUSH", name, "x"))
    with pytest.raises(RedisRefused) as refusal:
        await redis_world.link.exchange(("INCRBY", name, "hunter2"), ("GET", name))
    assert "ResponseError" == str(refusal.value)
    assert 0 == redis_world.link.circuit.failures
