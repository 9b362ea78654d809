"""Listening on a channel: on every kind of Redis, and until the server is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

import pytest

from gateway.store.connect import connect
from gateway.store.link import Link, RedisUnavailable, TimeOuts
from tests.servers.fixtures import StartServer
from tests.servers.process import Server
from tests.store.conftest import SERVERS

CHANNEL = "pg1:test"
SECONDS = 20.0
QUICK = TimeOuts(connect=0.2, operation=0.2)


async def heard(listener: AsyncGenerator[bytes, None], speaker: Link) -> bytes:
    """What the listener hears of one who goes on speaking until it is heard."""
    hearing = asyncio.ensure_future(anext(listener))
    async with asyncio.timeout(SECONDS):
        while not hearing.done():
            await speaker.exchange(("PUBLISH", CHANNEL, "word"))
            await asyncio.wait([hearing], timeout=0.01)
        return await hearing


async def drain(listener: AsyncGenerator[bytes, None]) -> None:
    async with asyncio.timeout(SECONDS):
        async for message in listener:
            assert b"word" == message


@pytest.mark.parametrize("kind", SERVERS)
async def test_what_is_said_anywhere_is_heard(kind: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue(kind).url
    listening, speaking = connect(url), connect(url)
    listener = listening.listen(CHANNEL)
    try:
        assert b"word" == await heard(listener, speaking)
    finally:
        await listener.aclose()
        await listening.aclose()
        await speaking.aclose()


async def test_a_listener_takes_no_connection_from_the_commands(
    start_server: StartServer,
) -> None:
    link = connect(start_server().url, connections=1)
    listener = link.listen(CHANNEL)
    try:
        assert b"word" == await heard(listener, link)
    finally:
        await listener.aclose()
        await link.aclose()


async def test_a_silence_in_which_the_server_lives_ends_nothing(start_server: StartServer) -> None:
    link = connect(start_server().url, time_outs=TimeOuts(0.04, 0.01))
    listener = link.listen(CHANNEL)
    try:
        hearing = asyncio.ensure_future(anext(listener))
        done, _ = await asyncio.wait([hearing], timeout=0.5)  # ten silences
        assert not done
        await link.exchange(("PUBLISH", CHANNEL, "word"))
        assert b"word" == await hearing
    finally:
        await listener.aclose()
        await link.aclose()


@pytest.mark.parametrize("fault", [Server.kill, Server.freeze], ids=["killed", "frozen"])
async def test_a_server_that_is_gone_is_noticed(
    start_server: StartServer, fault: Callable[[Server], None]
) -> None:
    server = start_server()
    link = connect(server.url, time_outs=QUICK)
    listener = link.listen(CHANNEL)
    try:
        assert b"word" == await heard(listener, link)
        fault(server)
        with pytest.raises(RedisUnavailable):
            await drain(listener)
    finally:
        await link.aclose()


async def test_a_server_that_is_not_there_is_told_at_once(start_server: StartServer) -> None:
    server = start_server()
    server.kill()
    link = connect(server.url)
    with pytest.raises(RedisUnavailable):
        await anext(link.listen(CHANNEL))
    await link.aclose()
