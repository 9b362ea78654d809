"""The cache's master secret: one for all replicas, or the operator's own."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.store.connect import connect
from gateway.store.keyspace import CACHE_SECRET
from gateway.store.link import RedisUnavailable
from gateway.store.secret import BadSecretError, read_secret, shared_secret
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


def test_a_secret_is_read_from_a_file_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s" * 32 + "\n")
    assert b"s" * 32 == read_secret(tmp_path / "secret")


def test_a_short_or_absent_secret_file_is_refused_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "short").write_text("hunter2")
    with pytest.raises(BadSecretError, match="holds 7 bytes; at least 32") as refusal:
        read_secret(tmp_path / "short")
    assert "hunter2" not in str(refusal.value)
    with pytest.raises(BadSecretError, match="No such file"):
        read_secret(tmp_path / "absent")
