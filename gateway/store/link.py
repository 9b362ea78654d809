"""A bounded connection to Redis with time-outs and no retries.

A link carries batches of commands, all of them about keys of one hash slot. It bounds how many commands
are under way and how long one may take, opens its circuit when the server is down, and turns every
exception of the Redis library into one of two.
"""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeAlias

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.client import PubSub
from redis.asyncio.sentinel import Sentinel
from redis.exceptions import (
    AskError,
    ClusterError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)

from gateway.store.breaker import Circuit
from gateway.store.channel import messages

__all__ = [
    "ClusterLink",
    "Command",
    "Link",
    "RedisRefused",
    "RedisTrouble",
    "RedisUnavailable",
    "SingleLink",
    "TimeOuts",
]

Command: TypeAlias = tuple[str | bytes | memoryview | int, ...]
"""One command: its name, then its arguments."""


class RedisTrouble(Exception):
    """A command was not carried out, as far as is known. No port of the cache raises it."""


class RedisUnavailable(RedisTrouble):
    """The server was not reached, did not answer in time, or cannot serve now."""


class RedisRefused(RedisTrouble):
    """The server answered the command with an error, such as that its memory is full."""


@dataclass(frozen=True, slots=True)
class TimeOuts:
    """Seconds that a connection attempt and an answer may take."""

    connect: float = 0.5
    operation: float = 1.0

    @property
    def total(self) -> float:
        """Seconds after which a batch is given up, the wait for a free connection included."""
        return self.connect + self.operation


# Replies that say that this server cannot serve, not that it will not: MOVED and ASK are among them
# where the library has followed them in vain.
_CANNOT_SERVE = (ClusterError, ReadOnlyError, AskError, TryAgainError)


class Link(ABC):
    """See the module. `connections` is how many may be in use at once."""

    def __init__(self, circuit: Circuit, connections: int, time_outs: TimeOuts) -> None:
        self.circuit = circuit
        self._free = asyncio.Semaphore(connections)
        self._time_outs = time_outs

    async def exchange(self, *commands: Command) -> list[Any]:
        """Carry out `commands`, whose keys share a slot, and return the replies in order.

        Nothing is repeated, and nothing says that commands run one after the other.
        Raises RedisUnavailable, and RedisRefused when any reply is an error.
        """
        if not self.circuit.admits():
            raise RedisUnavailable("the circuit is open")
        try:
            replies = await self._send_in_time(commands)
        except Exception as error:  # noqa: BLE001 - in a failover the library raises more than it says
            replies = [error]
        except BaseException:
            self.circuit.abandoned()
            raise
        trouble = _trouble(replies)
        if isinstance(trouble, RedisUnavailable):
            self.circuit.failed()
        else:
            self.circuit.succeeded()
        if trouble is not None:
            raise trouble
        return replies

    async def listen(self, channel: str) -> AsyncGenerator[bytes, None]:
        """Yield what is said on the channel from now on, until that breaks off: RedisUnavailable.

        What is said while nobody listens is lost. The circuit is not asked and hears nothing of it.
        """
        time_out = self._time_outs.total
        try:
            async with asyncio.timeout(time_out):
                pubsub = await self._pubsub()
            async with aclosing(messages(pubsub, channel, time_out=time_out)) as heard:
                async for message in heard:
                    yield message
        except Exception as error:  # noqa: BLE001 - as above
            raise RedisUnavailable(type(error).__name__) from None

    async def _send_in_time(self, commands: Sequence[Command]) -> list[Any]:
        task = asyncio.current_task()
        before = task.cancelling() if task else 0
        async with asyncio.timeout(self._time_outs.total):
            replies = await self._send(commands)
        # The library awaits some steps with wait_for, which in Python 3.11 drops a cancellation that
        # comes together with the result.
        if task and task.cancelling() > before:
            raise asyncio.CancelledError
        return replies

    @abstractmethod
    async def _send(self, commands: Sequence[Command]) -> list[Any]:
        """Return a reply or an exception for each command, or raise if none was carried out."""

    @abstractmethod
    async def _pubsub(self) -> PubSub:
        """Return a subscriber with a connection of its own, not yet open."""

    @abstractmethod
    async def aclose(self) -> None:
        """Close every connection."""


class SingleLink(Link):
    """One server: the only one, or the master that the sentinels name."""

    def __init__(
        self,
        client: Redis,
        sentinel: Sentinel | None,
        circuit: Circuit,
        connections: int,
        time_outs: TimeOuts,
    ) -> None:
        super().__init__(circuit, connections, time_outs)
        self._client = client
        self._sentinel = sentinel

    async def _send(self, commands: Sequence[Command]) -> list[Any]:
        async with self._free:
            if len(commands) == 1:
                execute: Callable[..., Awaitable[Any]] = self._client.execute_command
                return [await execute(*commands[0])]
            async with self._client.pipeline(transaction=False) as pipeline:
                for command in commands:
                    pipeline.execute_command(*command)
                return await pipeline.execute(raise_on_error=False)

    async def _pubsub(self) -> PubSub:
        return self._client.pubsub()

    async def aclose(self) -> None:
        """Close every connection, those to the sentinels too."""
        await self._client.aclose()
        if self._sentinel is not None:
            await self._sentinel.aclose()


class ClusterLink(Link):
    """A Redis Cluster.

    Commands go one by one, side by side: the library reads the cluster's layout anew after a single
    command has failed, but not after a pipeline has.
    """

    def __init__(
        self, client: RedisCluster, circuit: Circuit, connections: int, time_outs: TimeOuts
    ) -> None:
        super().__init__(circuit, connections, time_outs)
        self._client = client

    async def _send(self, commands: Sequence[Command]) -> list[Any]:
        return await asyncio.gather(
            *(self._send_one(command) for command in commands), return_exceptions=True
        )

    async def _send_one(self, command: Command) -> Any:  # noqa: ANN401 - a reply has any shape
        async with self._free:
            return await self._client.execute_command(*command)

    async def _pubsub(self) -> PubSub:
        # Every node hears what is published at any. Another one each time: this one may be dead, and
        # the library would subscribe at the node of the channel's slot, as it knows it, for ever.
        await self._client.initialize()
        node = random.choice(self._client.get_nodes())  # noqa: S311 - any will do
        return self._client.pubsub(node=node)

    async def aclose(self) -> None:
        """Close every connection to every node."""
        await self._client.aclose()


def _trouble(replies: Sequence[Any]) -> RedisTrouble | None:
    """Return the worst of what went wrong: an unavailable server before a refusal.

    The texts name the kind alone: the library's own may repeat a command with its values.
    """
    refused: RedisTrouble | None = None
    for reply in replies:
        if not isinstance(reply, BaseException):
            continue
        if not isinstance(reply, ResponseError) or isinstance(reply, _CANNOT_SERVE):
            return RedisUnavailable(type(reply).__name__)
        refused = RedisRefused(type(reply).__name__)
    return refused
