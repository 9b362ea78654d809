"""Replicas on one Redis, their administrator, and what they answer from."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import pytest

from gateway.domain.caching import CacheMode
from gateway.emulator import Emulator, EmulatorSettings
from gateway.v1.admin_service_pb2 import (
    PurgeCacheRequest,
    RevokeCredentialRequest,
    RevokeCredentialResponse,
)
from gateway.v1.admin_service_pb2_grpc import AdminServiceStub
from tests.e2e.asks import Ask, edit_of
from tests.e2e.harness import CATALOG_KEY, RpcFailure, World, key_pair, replica, rpc_failure
from tests.e2e.purchases import told

__all__ = [
    "ADMINS",
    "ADMIN_KEY",
    "RED",
    "WITHIN",
    "admin",
    "failure",
    "fleet",
    "nothing_answers",
    "purge",
    "revoke",
    "sha256",
    "source",
    "warm",
]

ADMIN_KEY = "ops-key"
WITHIN = 5.0
"""Seconds in which a change has to hold."""

RED = edit_of({"background.color": "red"})


def sha256(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


ADMINS = {"admins": [{"id": "ops", "credentials_sha256": [sha256(ADMIN_KEY)]}]}


@asynccontextmanager
async def fleet(
    count: int,
    url: str,
    *,
    changes: Mapping[str, Any] | None = None,
    settings: EmulatorSettings | None = None,
) -> AsyncIterator[list[World]]:
    """That many replicas before one emulator, on one Redis."""
    changes = {**ADMINS, "redis": {"state_url": url}, **(changes or {})}
    settings = settings or EmulatorSettings()
    async with AsyncExitStack() as stack:
        emulator = await stack.enter_async_context(Emulator(settings))
        yield [
            await stack.enter_async_context(replica(emulator, changes=changes))
            for _ in range(count)
        ]


def admin(w: World) -> AdminServiceStub:
    return AdminServiceStub(w.channel)


async def purge(w: World, request: PurgeCacheRequest) -> int:
    answer = await admin(w).PurgeCache(request, metadata=key_pair(ADMIN_KEY))
    return answer.epoch


async def revoke(w: World, key: str) -> RevokeCredentialResponse:
    request = RevokeCredentialRequest(credential_sha256=sha256(key))
    return await admin(w).RevokeCredential(request, metadata=key_pair(ADMIN_KEY))


async def failure(call: Awaitable[object]) -> RpcFailure:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return rpc_failure(error.value)


async def source(w: World, ask: Ask, key: str = CATALOG_KEY) -> str | None:
    """The tier that answers, None where nothing that is stored does. Buys nothing."""
    answer = await told(w, "rest", ask, CacheMode.ONLY_IF_CACHED, key=key)
    return None if answer is None else answer.source


async def warm(worlds: list[World], ask: Ask, key: str = CATALOG_KEY) -> str:
    """Let every replica answer from its memory; return the edit's digest."""
    answer = await told(worlds[0], "rest", ask, key=key)
    assert answer is not None
    for w in worlds:
        await source(w, ask, key)
        assert "memory" == await source(w, ask, key)
    return answer.digest


async def nothing_answers(worlds: list[World], ask: Ask) -> None:
    """Wait until no replica answers from what is stored."""
    async with asyncio.timeout(WITHIN):
        while any([await source(w, ask) for w in worlds]):  # noqa: ASYNC110 - it comes by the tick
            await asyncio.sleep(0.01)
