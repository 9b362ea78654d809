"""The cache's master secret: one for all replicas, or the operator's own."""

from __future__ import annotations

import asyncio

import pytest

from gateway.store.connect import connect
from gateway.store.keyspace import CACHE_SECRET
from gateway.store.link import RedisUnavailable
from gateway.store.secret import BadSecretError, shared_secret
from tests.servers.fixtures import StartServer


async def test_all_replicas_share_the_secret_that_one_of_them_made(
    start_server: StartServer,
) -> None:
    links = [connect(start_server().url)] * 5
    try:
        secrets = await asyncio.gather(*map(shared_secret, links))
    finally:
        await links[0].aclose()
    assert 1 == len(set(secrets))
    assert 32 == len(secrets[0])


async def test_two_gateways_have_two_secrets(start_server: StartServer) -> None:
    links = [connect(start_server().url) for _ in range(2)]
    one, two = [await shared_secret(link) for link in links]
    for link in links:
        await link.aclose()
    assert one != two


@pytest.mark.parametrize("value", ["", "hunter2", "00" * 31])
async def test_a_foreign_value_is_refused_and_not_shown(
    start_server: StartServer, value: str
) -> None:
    server = start_server()
    server.admin("SET", CACHE_SECRET, value)
    link = connect(server.url)
    with pytest.raises(BadSecretError) as refusal:
        await shared_secret(link)
    await link.aclose()
    assert "hunter2" not in str(refusal.value)


async def test_a_state_redis_that_is_gone_is_told(start_server: StartServer) -> None:
    server = start_server()
    server.kill()
    link = connect(server.url)
    with pytest.raises(RedisUnavailable):
        await shared_secret(link)
    await link.aclose()
