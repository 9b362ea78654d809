"""Tiers of the cache over every kind of Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.store.connect import connect
from tests.servers.fixtures import (
    debian_redis,
    redis_cluster,
    redis_program,
    sentinel_set,
    start_server,
    valkey,
    valkey_program,
)
from tests.store.tiers import MEBIBYTE, World

__all__ = [
    "debian_redis",
    "redis_cluster",
    "redis_program",
    "sentinel_set",
    "start_server",
    "valkey",
    "valkey_program",
]

SERVERS = ["valkey", "debian_redis", "sentinel_set", "redis_cluster"]


@asynccontextmanager
async def _world(url: str | None, memory: int) -> AsyncIterator[World]:
    if url is None:
        yield World(None, memory)
        return
    link = connect(url)
    try:
        yield World(link, memory)
    finally:
        await link.aclose()


@pytest.fixture(params=["memory", "memory over valkey", *SERVERS])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """Every kind of cache in turn: memory alone, memory before Redis, Redis of each topology."""
    memory, _, behind = request.param.partition(" over ")
    if memory == "memory":
        url = request.getfixturevalue(behind).url if behind else None
        size = 64 * MEBIBYTE
    else:
        url, size = request.getfixturevalue(request.param).url, 0
    async with _world(url, size) as made:
        yield made


@pytest.fixture(params=SERVERS)
async def redis_world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """Redis of each topology, without memory in front."""
    async with _world(request.getfixturevalue(request.param).url, 0) as made:
        yield made


@pytest.fixture
async def valkey_world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """One Valkey, without memory in front."""
    async with _world(request.getfixturevalue("valkey").url, 0) as made:
        yield made
