"""Every way in which a call can be cut, and that nothing is ever sent twice."""

from __future__ import annotations

import asyncio
import gzip
import socket

import pytest

from gateway.domain.errors import (
    Ending,
    GatewayError,
    KeyRejected,
    KeyThrottled,
    OutcomeUnknown,
    UpstreamBadAnswer,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamUnreachable,
)
from gateway.ports import Purchase
from gateway.upstream.client import PhotoroomClient
from tests.upstream.purchases import (
    KEY,
    PNG,
    SECRET,
    by_bytes,
    by_url,
    generative,
    segment,
    settings,
)
from tests.upstream.scripted import Connection, Script, Server, answer, serve

LARGE = by_bytes(picture=b"\x89PNG\r\n\x1a\n" + bytes(16 * 1024 * 1024))
"""More than the sockets between two processes of one machine hold."""


async def drop_at_once(connection: Connection) -> None:
    connection.reset()


async def drop_after_head(connection: Connection) -> None:
    await connection.read_head()
    connection.reset()


async def drop_after_part_of_body(connection: Connection) -> None:
    await connection.read_head()
    await connection.reader.readexactly(1 << 16)
    connection.reset()


async def drop_after_body(connection: Connection) -> None:
    await connection.read_request()
    connection.reset()


async def close_after_body(connection: Connection) -> None:
    await connection.read_request()


async def cut_in_answers_head(connection: Connection) -> None:
    await connection.read_request()
    await connection.write(b"HTTP/1.1 200 OK\r\nContent-Ty")


async def answer_nonsense(connection: Connection) -> None:
    await connection.read_request()
    await connection.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")


async def never_answer(connection: Connection) -> None:
    await connection.read_request()
    await connection.reader.read()


async def never_read(connection: Connection) -> None:
    await connection.read_head()
    await asyncio.Event().wait()


def cut_in_body(status: int) -> Script:
    async def script(connection: Connection) -> None:
        await connection.read_request()
        await connection.write(answer(status, PNG)[:-20])

    return script


async def cut_between_chunks(connection: Connection) -> None:
    await connection.read_request()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n"
    await connection.write(head + b"%x\r\n%s\r\n" % (len(PNG), PNG))


async def break_chunking(connection: Connection) -> None:
    await connection.read_request()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n"
    await connection.write(head + b"8\r\n\x89PNG\r\n\x1a\n\r\nnot a size\r\n")


async def stall_in_body(connection: Connection) -> None:
    await connection.read_request()
    await connection.write(answer()[:-20])
    await connection.reader.read()


async def fail_to_unpack(connection: Connection) -> None:
    await connection.read_request()
    await connection.write(answer(200, PNG, "Content-Encoding: gzip"))


async def attempt(
    script: Script, purchase: Purchase, *, edit: float = 5.0, max_answer: int = 1 << 20
) -> tuple[GatewayError, Server]:
    """Send once; return the error and what the server saw."""
    async with serve(script) as server:
        configured = settings(server.url, edit=edit, max_answer=max_answer)
        async with PhotoroomClient(configured) as client:
            with pytest.raises(GatewayError) as caught:
                await client.send(purchase, KEY)
    return caught.value, server


@pytest.mark.parametrize(
    ("script", "purchase", "expected"),
    [
        (drop_at_once, LARGE, UpstreamUnreachable),
        (drop_after_head, LARGE, UpstreamUnreachable),
        (drop_after_part_of_body, LARGE, UpstreamUnreachable),
        (drop_after_body, LARGE, OutcomeUnknown),
        (drop_after_body, by_bytes(), OutcomeUnknown),
        (drop_after_body, by_url(), OutcomeUnknown),
        (close_after_body, by_bytes(), OutcomeUnknown),
        (close_after_body, by_url(), OutcomeUnknown),
        (cut_in_answers_head, by_bytes(), OutcomeUnknown),
        (cut_in_answers_head, by_url(), OutcomeUnknown),
        (answer_nonsense, by_bytes(), OutcomeUnknown),
        (answer_nonsense, by_url(), OutcomeUnknown),
        (cut_in_body(200), by_bytes(), UpstreamBadAnswer),
        (cut_in_body(200), by_url(), UpstreamBadAnswer),
        (cut_between_chunks, by_bytes(), UpstreamBadAnswer),
        # aiohttp's parser drops a head that comes in one piece with broken framing: unknown, not less.
        (break_chunking, by_bytes(), OutcomeUnknown),
        (fail_to_unpack, by_bytes(), UpstreamBadAnswer),
        (cut_in_body(500), by_bytes(), UpstreamFailed),
        (cut_in_body(503), by_bytes(), OutcomeUnknown),
        (cut_in_body(400), by_bytes(), UpstreamRefused),
    ],
)
async def test_a_cut_call_says_what_it_cost_and_is_not_repeated(
    script: Script, purchase: Purchase, expected: type[GatewayError]
) -> None:
    error, server = await attempt(script, purchase)
    assert expected is type(error)
    assert 1 == server.connections
    assert len(server.heads) <= 1


@pytest.mark.parametrize(
    ("script", "purchase", "expected"),
    [
        (never_answer, by_bytes(), OutcomeUnknown),
        (never_answer, by_url(), OutcomeUnknown),
        (never_read, LARGE, UpstreamUnreachable),
        (stall_in_body, by_bytes(), UpstreamBadAnswer),
    ],
)
async def test_a_time_out_says_what_it_cost_and_is_not_repeated(
    script: Script, purchase: Purchase, expected: type[GatewayError]
) -> None:
    error, server = await attempt(script, purchase, edit=0.1)
    assert expected is type(error)
    assert 1 == server.connections == len(server.heads)


def unused_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@pytest.mark.parametrize("purchase", [by_bytes(), by_url()])
async def test_a_refused_connection_was_not_sent(purchase: Purchase) -> None:
    async with PhotoroomClient(settings(f"http://127.0.0.1:{unused_port()}")) as client:
        with pytest.raises(UpstreamUnreachable) as caught:
            await client.send(purchase, KEY)
    assert Ending.NOT_SPENT is caught.value.ending


async def test_a_failed_tls_handshake_was_not_sent() -> None:
    async def plain_text(connection: Connection) -> None:
        await connection.reader.read(1)
        await connection.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serve(plain_text) as server:
        https = server.url.replace("http://", "https://")
        async with PhotoroomClient(settings(https)) as client:
            with pytest.raises(UpstreamUnreachable):
                await client.send(by_url(), KEY)
    assert [] == server.heads


async def test_a_call_that_gets_no_connection_in_time_was_not_sent() -> None:
    async with serve(never_answer) as server:
        configured = settings(server.url, connect=0.1, connections=1)
        async with PhotoroomClient(configured) as client, asyncio.TaskGroup() as group:
            first = group.create_task(client.send(by_bytes(), KEY))
            await server.arrived.wait()
            with pytest.raises(UpstreamUnreachable):
                await client.send(by_bytes(), KEY)
            first.cancel()
    assert 1 == server.connections


@pytest.mark.parametrize("purchase", [by_bytes(), by_url()])
async def test_a_pooled_connection_that_dies_under_a_call_is_not_tried_again(
    purchase: Purchase,
) -> None:
    """The race that keep-alive cannot exclude: the second call meets a server that closes."""

    async def serve_one_then_close(connection: Connection) -> None:
        await connection.read_request()
        await connection.write(answer())
        await connection.read_request()

    async with (
        serve(serve_one_then_close) as server,
        PhotoroomClient(settings(server.url)) as client,
    ):
        await client.send(purchase, KEY)
        with pytest.raises(OutcomeUnknown):
            await client.send(purchase, KEY)
    assert 1 == server.connections
    assert 2 == len(server.heads)


@pytest.mark.parametrize("purchase", [by_bytes(), by_url()])
async def test_a_connection_that_was_closed_between_calls_is_not_used(purchase: Purchase) -> None:
    gone = asyncio.Event()

    async def serve_one(connection: Connection) -> None:
        await connection.read_request()
        await connection.write(answer())
        connection.writer.close()
        await connection.writer.wait_closed()
        gone.set()

    async with (
        serve(serve_one) as server,
        serve(serve_one) as other,
        PhotoroomClient(settings(server.url, segment_url=other.url)) as client,
    ):
        await client.send(purchase, KEY)
        await gone.wait()
        await client.send(segment(), KEY)  # by its end, the loop has heard of the close, too
        await client.send(purchase, KEY)
    assert 2 == server.connections == len(server.heads)


async def test_a_redirect_is_not_followed() -> None:
    async def redirect(connection: Connection) -> None:
        await connection.read_request()
        await connection.write(answer(302, b"", f"Location: {connection.server.url}/v2/edit"))

    error, server = await attempt(redirect, by_url())
    assert UpstreamUnreachable is type(error)
    assert 1 == len(server.heads)


async def test_an_answer_before_the_end_of_the_body_is_read_and_the_connection_left() -> None:
    """A server that refuses the key at once need not read 16 MB, nor do we have to write them."""

    async def refuse_early(connection: Connection) -> None:
        await connection.read_head()
        await connection.write(answer(401, b"{}"))
        await asyncio.Event().wait()

    error, server = await attempt(refuse_early, LARGE)
    assert KeyRejected is type(error)
    assert 1 == server.connections


async def test_the_generative_class_waits_longer() -> None:
    async def answer_late(connection: Connection) -> None:
        while True:
            await connection.read_request()
            await asyncio.sleep(0.3)
            await connection.write(answer())

    async with (
        serve(answer_late) as server,
        PhotoroomClient(settings(server.url, edit=0.1, generative=10)) as client,
    ):
        await client.send(generative(), KEY)
        with pytest.raises(OutcomeUnknown):
            await client.send(by_bytes(), KEY)


async def test_an_answer_above_the_bound_is_not_read() -> None:
    async def too_much(connection: Connection) -> None:
        await connection.read_request()
        await connection.write(answer(200, PNG + bytes(100_000)))

    error, _ = await attempt(too_much, by_bytes(), max_answer=50_000)
    assert UpstreamBadAnswer is type(error)


async def test_an_endless_error_body_is_cut_and_read_all_the_same() -> None:
    async def endless(connection: Connection) -> None:
        await connection.read_request()
        await connection.write(b"HTTP/1.1 400 Bad\r\nConnection: close\r\n\r\n")
        while True:
            await connection.write(b"no " * 10_000)

    error, _ = await attempt(endless, by_bytes())
    assert UpstreamRefused is type(error)
    assert error.message.startswith("no no no")


async def test_a_packed_error_is_unpacked() -> None:
    async def packed(connection: Connection) -> None:
        head = await connection.read_request()
        assert b"Accept-Encoding: identity" in head
        body = gzip.compress(b'{"detail":"Expected available in 17 seconds."}')
        await connection.write(answer(429, body, "Content-Encoding: gzip"))

    error, _ = await attempt(packed, by_bytes())
    assert KeyThrottled is type(error)
    assert 17 == error.retry_after


async def test_the_kept_headers_and_the_kind_of_picture_come_back() -> None:
    async def labelled_wrongly(connection: Connection) -> None:
        await connection.read_request()
        extra = ("X-Uncertainty-Score: -1", "PR-Unsupported-Attributes: a", "Server: x")
        more = "pr-unsupported-attributes: b\xfc"
        await connection.write(
            answer(200, PNG, *extra, content_type="image/jpeg").replace(
                b"\r\n\r\n", f"\r\n{more}\r\n\r\n".encode("latin-1"), 1
            )
        )

    async with serve(labelled_wrongly) as server, PhotoroomClient(settings(server.url)) as client:
        got = await client.send(by_bytes(), KEY)
    assert PNG == got.body
    assert "image/png" == got.media_type
    assert (
        ("x-uncertainty-score", "-1"),
        ("pr-unsupported-attributes", "a, b\ufffd"),
    ) == got.headers


async def test_a_cancelled_call_is_cut_off() -> None:
    async with serve(never_answer) as server, PhotoroomClient(settings(server.url)) as client:
        call = asyncio.create_task(client.send(by_bytes(), KEY))
        await server.arrived.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert 1 == len(server.bodies)


@pytest.mark.parametrize("script", [drop_after_body, answer_nonsense, cut_in_body(400)])
async def test_no_error_carries_the_key_or_the_url(script: Script) -> None:
    """Neither the error nor anything that a logger would print along with it."""
    error, _ = await attempt(script, by_url())
    assert error.__context__ is None
    assert error.__cause__ is None
    for secret in (SECRET, "shop.example"):
        assert secret not in f"{error!r} {error.message}"


async def test_a_client_outside_its_context_says_so() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await PhotoroomClient(settings("http://127.0.0.1:9")).send(by_bytes(), KEY)
