"""The generators: so many calls in flight, each answered call followed by the next.

They must cost less than the servers. The HTTP one writes the same prebuilt bytes each time and reads
nothing of an answer but its status and its length; the gRPC one leaves messages as bytes.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeAlias, cast

import grpc

__all__ = ["BadAnswer", "GrpcLoad", "HttpLoad", "Load"]

_HOST = "127.0.0.1"
_LARGEST_ANSWER = 1 << 20
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHANNELS = 4
# Quoted: it is generic in the stubs alone.
_Call: TypeAlias = "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]"


class BadAnswer(Exception):
    """A server answered something else than was expected: there is nothing to measure."""


class Load(Protocol):
    """Sends one kind of call to one server."""

    async def once(self) -> bytes:
        """Make one call, and return the answer's body. Raises BadAnswer."""
        ...

    async def run(self, concurrency: int, seconds: float) -> list[float]:
        """Keep `concurrency` calls in flight; return the seconds that each took. Raises BadAnswer."""
        ...


class _Connection(asyncio.BufferedProtocol):
    """One connection, one call at a time."""

    _transport: asyncio.Transport

    def __init__(self, requests: Iterator[bytes], done: asyncio.Future[None]) -> None:
        self._requests = requests
        self._done = done
        self._buffer = memoryview(bytearray(_LARGEST_ANSWER))
        self._have = 0
        self._wanted = 0
        self._head = 0
        self._sent = 0.0
        self._until = 0.0
        self.took: list[float] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"the connection was lost: {exc}")

    def start(self, until: float) -> None:
        """Begin with the first call; `until` is when no further one follows."""
        self._until = until
        self._send()

    @property
    def body(self) -> bytes:
        """The body of the last answer."""
        return bytes(self._buffer[self._head : self._head + self._wanted])

    def get_buffer(self, sizehint: int) -> memoryview:
        del sizehint
        return self._buffer[self._have :]

    def buffer_updated(self, nbytes: int) -> None:
        self._have += nbytes
        if not self._head and not self._read_head():
            return
        if self._have < self._head + self._wanted:
            return
        now = time.perf_counter()
        self.took.append(now - self._sent)
        if now < self._until:
            self._send()
        elif not self._done.done():
            self._done.set_result(None)

    def _send(self) -> None:
        self._have = self._head = 0
        request = next(self._requests)
        self._sent = time.perf_counter()
        self._transport.write(request)

    def _read_head(self) -> bool:
        """Read the head, once it is whole."""
        seen = bytes(self._buffer[: min(self._have, 8192)])
        end = seen.find(b"\r\n\r\n")
        length = _LENGTH.search(seen, 0, end + 2) if end >= 0 else None
        if length is None:
            return False
        if not seen.startswith(b"HTTP/1.1 200 "):
            self._fail(repr(seen[:1000]))
            return False
        self._head, self._wanted = end + 4, int(length[1])
        return True

    def _fail(self, why: str) -> None:
        if not self._done.done():
            self._done.set_exception(BadAnswer(why))


@dataclass(frozen=True, slots=True)
class HttpLoad:
    """Sends requests, as bytes, over keep-alive connections."""

    port: int
    requests: Iterator[bytes] = field(repr=False)

    async def once(self) -> bytes:
        return (await self._connections(1, 0.0))[0].body

    async def run(self, concurrency: int, seconds: float) -> list[float]:
        connections = await self._connections(concurrency, seconds)
        return [took for connection in connections for took in connection.took]

    async def _connections(self, count: int, seconds: float) -> list[_Connection]:
        loop = asyncio.get_running_loop()
        done: list[asyncio.Future[None]] = [loop.create_future() for _ in range(count)]
        made = [
            await loop.create_connection(partial(_Connection, self.requests, one), _HOST, self.port)
            for one in done
        ]
        try:
            until = time.perf_counter() + seconds
            for _, connection in made:
                connection.start(until)
            await asyncio.gather(*done)
        finally:
            for transport, _ in made:
                transport.abort()
        return [connection for _, connection in made]


@dataclass(frozen=True, slots=True)
class GrpcLoad:
    """Sends the bytes of one message over a few channels: a single one is a limit of its own."""

    port: int
    method: str
    request: bytes = field(repr=False)
    metadata: tuple[tuple[str, str], ...] = field(repr=False)

    async def once(self) -> bytes:
        return (await self._answers(1, 0.0))[1]

    async def run(self, concurrency: int, seconds: float) -> list[float]:
        return (await self._answers(concurrency, seconds))[0]

    async def _answers(self, concurrency: int, seconds: float) -> tuple[list[float], bytes]:
        # Channels of one process share a connection unless each has a pool of its own.
        options = (("grpc.use_local_subchannel_pool", 1),)
        channels = [
            grpc.aio.insecure_channel(f"{_HOST}:{self.port}", options=options)
            for _ in range(min(concurrency, _CHANNELS))
        ]
        took: list[float] = []
        last = b""

        async def caller(channel: grpc.aio.Channel, until: float) -> None:
            nonlocal last
            call: _Call = channel.unary_unary(self.method)
            while True:
                sent = time.perf_counter()
                last = await call(self.request, metadata=self.metadata)
                now = time.perf_counter()
                took.append(now - sent)
                if now >= until:
                    return

        try:
            await asyncio.gather(*(channel.channel_ready() for channel in channels))
            until = time.perf_counter() + seconds
            callers = (caller(channels[i % len(channels)], until) for i in range(concurrency))
            await asyncio.gather(*callers)
        except grpc.aio.AioRpcError as error:
            raise BadAnswer(f"{error.code()}: {error.details()}") from None
        finally:
            for channel in channels:
                await channel.close()
        return took, last
