"""Calls of the blob service, as tests make them."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager

import grpc
import pytest

from gateway.store.embedded import EmbeddedRedis
from gateway.v1.blob_service_pb2 import DownloadRequest, UploadRequest
from gateway.v1.blob_service_pb2_grpc import BlobServiceStub
from gateway.v1.image_pb2 import BlobRef
from tests.e2e.harness import CATALOG_KEY, RpcFailure, World, key_pair, rpc_failure, world

__all__ = ["KIB", "MIB", "UNKNOWN", "download", "pieces", "refusal", "upload", "without_cache"]

KIB = 1024
MIB = 1024 * KIB
UNKNOWN = hashlib.sha256(b"nobody has this").hexdigest()


def pieces(data: bytes, size: int = MIB) -> Iterator[UploadRequest]:
    return (UploadRequest(chunk=data[at : at + size]) for at in range(0, len(data), size))


async def upload(w: World, *requests: UploadRequest, key: str = CATALOG_KEY) -> BlobRef:
    call = BlobServiceStub(w.channel).Upload(iter(requests), metadata=key_pair(key))
    return (await call).blob


async def download(w: World, sha256: str, *, key: str = CATALOG_KEY) -> list[bytes]:
    request = DownloadRequest(sha256=sha256)
    call = BlobServiceStub(w.channel).Download(request, metadata=key_pair(key))
    return [piece.chunk async for piece in call]


@asynccontextmanager
async def without_cache() -> AsyncIterator[World]:
    """A world whose cache Redis refuses connections: its port is taken, and nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        cache = f"redis://127.0.0.1:{taken.getsockname()[1]}"
        async with EmbeddedRedis.running() as state:
            redis = {"state_url": state.url, "cache_url": cache}
            async with world(changes={"redis": redis}) as running:
                yield running


async def refusal(call: Awaitable[object]) -> RpcFailure:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return rpc_failure(caught.value)
