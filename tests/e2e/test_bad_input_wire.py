"""What no client library sends: heads and bodies that lie, break off, drip or are no HTTP at all."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.e2e.asks import ask_rest, ask_rpc, edit_of
from tests.e2e.harness import CATALOG_KEY, World
from tests.e2e.raw_http import BOUNDARY, Wire, chunked, head, multipart, wire
from tests.support.pictures import png

pytestmark = pytest.mark.asyncio(loop_scope="module")

FORM = f"Content-Type: multipart/form-data; boundary={BOUNDARY}"
CHUNKED = "Transfer-Encoding: chunked"
BODY = multipart(('name="imageFile"; filename="a.png"', png()))
SIZE = f"Content-Length: {len(BODY)}"
HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
CLIENT_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100)


@asynccontextmanager
async def nothing_bought(w: World) -> AsyncIterator[None]:
    """Whatever happens inside, nothing is asked upstream, and the next call is served at each door."""
    w.emulator.reset()
    yield
    assert {} == w.emulator.bill.requests
    assert 200 == (await ask_rest(w, edit_of())).status
    assert (await ask_rpc(w, edit_of())).image
    assert 2 == w.emulator.bill.charges


async def status_of(connection: Wire) -> int:
    """The status of the answer; 0 when the connection is closed without one."""
    try:
        async with asyncio.timeout(20):
            return (await connection.read_head())[0]
    except (asyncio.IncompleteReadError, ConnectionResetError):
        return 0


def start(*headers: str, line: str = "POST /v2/edit") -> bytes:
    return head(line, FORM, *headers)


HEADS = {
    "lengths that differ": start(SIZE, "Content-Length: 5"),
    "the same length twice": start(SIZE, SIZE),
    "a length and chunks": start(SIZE, CHUNKED),
    "a negative length": start("Content-Length: -5"),
    "a signed length": start("Content-Length: +5"),
    "a length in hexadecimal": start("Content-Length: 0x10"),
    "a length with a line break": start("Content-Length: 1\n2"),
    "a length beyond all bounds": start("Content-Length: 9" + "9" * 5000),
    "an unknown transfer coding": start("Transfer-Encoding: cow"),
    "chunked twice": start("Transfer-Encoding: chunked, chunked"),
    "an oversize header": start(f"x-long: {'x' * 100_000}"),
    "an oversize header's name": start(f"{'x' * 100_000}: y"),
    "an oversize key": head("POST /v2/edit", FORM, SIZE, key=f"x-api-key: {'k' * 100_000}"),
    "an oversize path": start(SIZE, line=f"POST /{'x' * 200_000}"),
    "100,000 parameters in the query": head(f"GET /v2/edit?{'f=x&' * 100_000}"),
    "100,000 headers": start(*("x: y" for _ in range(100_000))),
    "a header without a colon": start("nothing"),
    "a space before the colon": start("x-name : y"),
    "a folded header": start("x-name: y\r\n z"),
    "a header with NUL": start("x-name: \0"),
    "two hosts": start("Host: other"),
    "no version": b"GET /v2/edit\r\n\r\n",
    "a version to come": b"GET /v2/edit HTTP/9.9\r\nHost: gateway\r\n\r\n",
    "a method of bytes": b"\xff\xfe /v2/edit HTTP/1.1\r\nHost: gateway\r\n\r\n",
    "HTTP/2 at once": HTTP2_PREFACE,
    "TLS": CLIENT_HELLO + b"\r\n\r\n",
    "garbage": random.Random(5).randbytes(20_000) + b"\r\n\r\n",
}


@pytest.mark.parametrize("sent", HEADS.values(), ids=HEADS)
async def test_a_head_that_is_wrong_is_refused(shared: World, sent: bytes) -> None:
    async with nothing_bought(shared), wire(shared) as connection:
        await connection.send(sent)
        connection.writer.write_eof()
        assert await status_of(connection) in {0, 400, 401, 413, 414, 431, 501, 505}


async def test_a_length_beyond_the_body_waits_for_the_rest_and_buys_nothing(shared: World) -> None:
    async with nothing_bought(shared), wire(shared) as connection:
        await connection.send(start(f"Content-Length: {len(BODY) + 10}"), BODY)
        connection.writer.write_eof()
        assert await status_of(connection) in {0, 400}


async def test_a_length_below_the_body_is_refused(shared: World) -> None:
    async with nothing_bought(shared), wire(shared) as connection:
        await connection.send(start(f"Content-Length: {len(BODY) - 10}"), BODY)
        assert 400 == await status_of(connection)


CHUNKS = {
    "no size": b"zz\r\nabc\r\n",
    "a negative size": b"-1\r\nabc\r\n",
    "a size of 2^64": b"10000000000000000\r\nabc\r\n",
    "a size beyond all bounds": b"f" * 100_000 + b"\r\n",
    "a size below the chunk": b"3\r\n" + BODY + b"\r\n",
    "an extension without end": b"3;" + b"x" * 100_000 + b"\r\nabc\r\n",
    "a bare line feed": b"3\nabc\n0\n\n",
    "trailers without end": b"0\r\n" + b"x: y\r\n" * 100_000,
}


@pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS)
async def test_chunks_that_are_none_are_refused(shared: World, chunks: bytes) -> None:
    async with nothing_bought(shared), wire(shared) as connection:
        await connection.send(start(CHUNKED), chunks)
        connection.writer.write_eof()
        assert await status_of(connection) in {0, 400}


@pytest.mark.parametrize("coding", ["chunks", "a length"])
async def test_a_client_that_leaves_in_its_body_buys_nothing(shared: World, coding: str) -> None:
    half = BODY[: len(BODY) // 2]
    async with nothing_bought(shared):
        async with wire(shared) as connection:
            if coding == "chunks":
                await connection.send(start(CHUNKED), chunked([half]).removesuffix(b"0\r\n\r\n"))
            else:
                await connection.send(start(SIZE), half)
        async with wire(shared) as connection:
            await connection.send(start(SIZE), half)
            connection.writer.transport.abort()


async def test_a_body_that_drips_is_served_and_holds_up_nobody(shared: World) -> None:
    shared.emulator.reset()
    async with wire(shared) as connection:
        await connection.send(start(CHUNKED))
        for at in range(0, len(BODY), 50):
            await connection.send(chunked([BODY[at : at + 50]]).removesuffix(b"0\r\n\r\n"))
            assert 200 == (await shared.request("GET", "/v2/account")).status
        await connection.send(b"0\r\n\r\n")
        assert 200 == (await connection.read_reply()).status
    assert 1 == shared.emulator.bill.charges


async def test_requests_in_one_piece_are_answered_in_order(shared: World) -> None:
    """A bad one between two good ones spoils neither."""
    shared.emulator.reset()
    bad = BODY.replace(b"imageFile", b"imageFilf")
    async with wire(shared) as connection:
        await connection.send(*(start(SIZE) + body for body in (BODY, bad, BODY)))
        assert [200, 400, 200] == [(await connection.read_reply()).status for _ in range(3)]
    assert 2 == shared.emulator.bill.charges


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n",
        CLIENT_HELLO,
        HTTP2_PREFACE + bytes(3) + b"\xff" * 1000,
        random.Random(6).randbytes(20_000),
    ],
    ids=["HTTP/1.1", "TLS", "broken frames", "garbage"],
)
async def test_garbage_at_the_grpc_door_closes_that_connection_alone(
    shared: World, sent: bytes
) -> None:
    async with nothing_bought(shared):
        reader, writer = await asyncio.open_connection("127.0.0.1", shared.gateway.grpc.port)
        writer.write(sent)
        async with asyncio.timeout(20):
            await asyncio.gather(reader.read(), return_exceptions=True)
        writer.close()


@pytest.mark.parametrize(
    "sent",
    [
        start(f"x-long: {CATALOG_KEY * 10_000}"),
        start(f"no colon {CATALOG_KEY}"),
        f"GET /{CATALOG_KEY} HTTP/1.1 {CATALOG_KEY}\r\n\r\n".encode(),
        start(line=f"GET /v2/edit?background.prompt={CATALOG_KEY * 20_000}"),
    ],
    ids=["long header", "no colon", "request line", "long query"],
)
async def test_what_is_no_http_is_answered_without_what_was_sent(
    shared: World, sent: bytes
) -> None:
    async with wire(shared) as connection:
        await connection.send(sent)
        reply = await connection.read_reply()
        assert (400, b"This is no HTTP request.\n") == (reply.status, reply.body)
