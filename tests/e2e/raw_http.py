"""HTTP by hand, for what a well-behaved client library never sends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from multidict import CIMultiDict

from tests.e2e.harness import CATALOG_KEY, Reply, World

__all__ = ["BOUNDARY", "Wire", "chunked", "head", "multipart", "wire"]

BOUNDARY = "frontier"


@dataclass(frozen=True, slots=True)
class Wire:
    """One connection to the REST door."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, *pieces: bytes) -> None:
        self.writer.write(b"".join(pieces))
        await self.writer.drain()

    async def read_head(self) -> tuple[int, CIMultiDict[str]]:
        """Read a status line and its headers."""
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = CIMultiDict[str]()
        for line in lines[1:-2]:
            name, _, text = line.partition(":")
            headers.add(name, text.strip())
        return int(lines[0].split()[1]), headers

    async def read_reply(self) -> Reply:
        """Read a whole answer, which names its length."""
        status, headers = await self.read_head()
        body = await self.reader.readexactly(int(headers["Content-Length"]))
        return Reply(status, headers, body)


@asynccontextmanager
async def wire(w: World) -> AsyncIterator[Wire]:
    """Open a connection to the REST door, and close it at the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", w.gateway.rest.port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()


def head(request_line: str, *headers: str, key: str | None = f"x-api-key: {CATALOG_KEY}") -> bytes:
    """The head of a request, with nothing in it but a host, a key and what is said."""
    lines = [f"{request_line} HTTP/1.1", "Host: gateway", *([key] if key else []), *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def multipart(*parts: tuple[str, bytes]) -> bytes:
    """A form body; of each part its headers after `Content-Disposition: form-data; `, and its bytes."""
    written = (
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; {headers}\r\n\r\n".encode()
        + data
        + b"\r\n"
        for headers, data in parts
    )
    return b"".join(written) + f"--{BOUNDARY}--\r\n".encode()


def chunked(pieces: Iterable[bytes]) -> bytes:
    """A body in chunked coding."""
    return b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"
