"""Which uploads are kept, and which are refused."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio

from gateway.store.connect import connect
from gateway.store.embedded import EmbeddedRedis
from gateway.v1.blob_service_pb2 import UploadRequest
from gateway.v1.blob_service_pb2_grpc import BlobServiceStub
from gateway.v1.image_pb2 import BlobRef
from tests.client.noise import noise_png
from tests.client.waiting import until
from tests.e2e.blob_calls import KIB, MIB, UNKNOWN, download, pieces, refusal, upload, without_cache
from tests.e2e.harness import World, key_pair, world
from tests.e2e.metric_lines import counted
from tests.support.pictures import png

LARGEST = 50 * MIB

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def w() -> AsyncIterator[World]:
    async with world(changes={"redis": "embedded"}) as running:
        yield running


async def test_what_was_uploaded_is_downloaded_in_pieces(w: World) -> None:
    data = noise_png(1_000_000)
    blob = await upload(w, *pieces(data, 300_000))
    chunks = await download(w, blob.sha256)

    assert hashlib.sha256(data).hexdigest() == blob.sha256
    assert len(data) == blob.size_bytes
    assert data == b"".join(chunks)
    assert {256 * KIB} == set(map(len, chunks[:-1]))


async def test_an_upload_that_is_what_it_announced_is_kept(w: World) -> None:
    sha256 = hashlib.sha256(b"announced").hexdigest()
    first = UploadRequest(chunk=b"ann", sha256=sha256)
    blob = await upload(w, first, UploadRequest(chunk=b"ounced"))

    assert BlobRef(sha256=sha256, size_bytes=9) == blob
    assert [b"announced"] == await download(w, sha256)


@pytest.mark.parametrize(
    ("announced", "later"),
    [
        (UNKNOWN, ""),
        ("", hashlib.sha256(b"onetwo").hexdigest()),
        (hashlib.sha256(b"onetwo").hexdigest(), UNKNOWN),
        (hashlib.sha256(b"onetwo").hexdigest().upper(), ""),
        ("short", ""),
    ],
    ids=["other bytes", "too late", "changed", "upper case", "no digest"],
)
async def test_an_upload_that_is_not_what_it_announced_is_refused(
    w: World, announced: str, later: str
) -> None:
    first = UploadRequest(chunk=b"one", sha256=announced)
    failure = await refusal(upload(w, first, UploadRequest(chunk=b"two", sha256=later)))

    assert (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST") == (failure.code, failure.reason)
    assert (("sha256", "BAD_DIGEST"),) == failure.fields
    kept = await refusal(download(w, hashlib.sha256(b"onetwo").hexdigest()))
    assert "BLOB_NOT_FOUND" == kept.reason


@pytest.mark.parametrize("requests", [[], [UploadRequest()], [UploadRequest(sha256=UNKNOWN)]])
async def test_an_empty_upload_is_refused(w: World, requests: list[UploadRequest]) -> None:
    failure = await refusal(upload(w, *requests))

    assert grpc.StatusCode.INVALID_ARGUMENT == failure.code
    assert (("chunk", "EMPTY_BODY"),) == failure.fields


async def test_an_endless_upload_is_refused_once_it_is_too_large(w: World) -> None:
    """It would never end if the gateway read on. What is on the way by then is the connection's."""
    sent = 0

    async def endless() -> AsyncIterator[UploadRequest]:
        nonlocal sent
        while True:
            sent += MIB
            yield UploadRequest(chunk=bytes(MIB))

    refused = ("upload", "BODY_TOO_LARGE")
    before = await counted(w, "gateway_requests_total", "operation", "outcome")
    call = BlobServiceStub(w.channel).Upload(endless(), metadata=key_pair())
    failure = await refusal(call)

    # grpc resets the stream of a client that still sends. Most often the status comes first; where the
    # reset does, the client is told INTERNAL, and nothing that a server says can change it.
    assert failure.code in {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL}
    after = await counted(w, "gateway_requests_total", "operation", "outcome")
    assert before.get(refused, 0) + 1 == after[refused]
    assert LARGEST < sent < LARGEST + 32 * MIB


async def test_the_largest_upload_is_kept(w: World) -> None:
    blob = await upload(w, *pieces(bytes(LARGEST)))

    assert LARGEST == blob.size_bytes


async def test_a_stranger_uploads_nothing(w: World) -> None:
    failure = await refusal(upload(w, UploadRequest(chunk=b"x"), key="nobody"))

    assert (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED") == (failure.code, failure.reason)


async def test_a_cancelled_upload_leaves_nothing() -> None:
    """grpc tells the end of a call that broke off like that of one that is finished."""
    async with EmbeddedRedis.running() as redis, world(changes=_state_in(redis)) as w:
        link = connect(redis.url)
        before = await link.exchange(("DBSIZE",))
        for number in range(20):
            call = BlobServiceStub(w.channel).Upload(metadata=key_pair())
            await call.write(UploadRequest(chunk=b"half of picture %d" % number))
            await until(lambda: _is_counted(w, "gateway_requests_in_flight", ("grpc",), 1, "door"))
            call.cancel()
            await until(lambda: _is_counted(w, "gateway_requests_in_flight", (), 0))

        outcomes = await counted(w, "gateway_requests_total", "operation", "outcome")
        assert {("upload", "CANCELLED"): 20} == outcomes
        assert {} == await counted(w, "gateway_cache_memory_bytes")
        assert before == await link.exchange(("DBSIZE",))
        await link.aclose()


def _state_in(redis: EmbeddedRedis) -> dict[str, object]:
    return {"redis": {"state_url": redis.url}}


async def _is_counted(
    w: World, name: str, value: tuple[str, ...], number: int, *labels: str
) -> bool:
    return number == (await counted(w, name, *labels)).get(value, 0)


async def test_an_upload_while_redis_is_down_says_that_it_is_not_kept() -> None:
    async with without_cache() as w:
        failure = await refusal(upload(w, UploadRequest(chunk=png())))

        assert (grpc.StatusCode.UNAVAILABLE, "NOT_KEPT") == (failure.code, failure.reason)
        assert 1 == failure.retry_seconds
