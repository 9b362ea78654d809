"""A server of bytes: each test says what happens on a connection, and the server counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from tests.upstream.purchases import PNG

__all__ = ["Connection", "Script", "Server", "answer", "serve"]


def answer(
    status: int = 200, body: bytes = PNG, *headers: str, content_type: str = "image/png"
) -> bytes:
    """A whole answer that keeps the connection."""
    lines = [
        f"HTTP/1.1 {status} Whatever",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass(slots=True)
class Connection:
    """One connection from the server's side."""

    server: Server
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def read_head(self) -> bytes:
        """Read a request up to the empty line and count it."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        self.server.heads.append(head)
        return head

    async def read_request(self) -> bytes:
        """Read a whole request, head and body, and count it."""
        head = await self.read_head()
        size = 0
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                size = int(value)
        body = await self.reader.readexactly(size)
        self.server.bodies.append(body)
        self.server.arrived.set()
        return head + body

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """Drop the connection without a goodbye."""
        self.writer.transport.abort()


Script: TypeAlias = Callable[[Connection], Awaitable[None]]


@dataclass(slots=True)
class Server:
    """What arrived. `heads` has one entry a request, whole or not; `bodies` one a whole request;
    `arrived` is set by the first whole one."""

    url: str = ""
    connections: int = 0
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def serve(script: Script) -> AsyncIterator[Server]:
    """Run `script` on each connection, then close it. A client that goes away ends the script."""
    seen = Server()
    running: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        seen.connections += 1
        connection = Connection(seen, reader, writer)
        try:
            await script(connection)
        except (asyncio.IncompleteReadError, ConnectionError):
            connection.reset()
        finally:
            writer.close()
            running.discard(task)

    listening = await asyncio.start_server(connected, "127.0.0.1", 0)
    host, port = listening.sockets[0].getsockname()
    seen.url = f"http://{host}:{port}"
    try:
        yield seen
    finally:
        listening.close()
        for task in tuple(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await listening.wait_closed()
