"""Pictures by content: uploaded, named in edits, answered by reference, fetched over REST."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

from gateway.store.connect import connect
from gateway.store.embedded import EmbeddedRedis
from gateway.v1.blob_service_pb2 import DownloadRequest, UploadRequest
from gateway.v1.blob_service_pb2_grpc import BlobServiceStub
from gateway.v1.edit_service_pb2 import EditImageRequest, StreamEditImageRequest
from gateway.v1.image_pb2 import BlobRef
from tests.client.noise import noise_png
from tests.client.waiting import until
from tests.e2e.harness import (
    CATALOG_KEY,
    LAB_KEY,
    LEGACY_KEY,
    RpcFailure,
    World,
    key_pair,
    rpc_failure,
    world,
)
from tests.e2e.metric_lines import counted
from tests.support.pictures import opened, png

KIB = 1024
MIB = 1024 * KIB
INLINE = 3 * MIB
LARGEST = 50 * MIB
UNKNOWN = hashlib.sha256(b"nobody has this").hexdigest()

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def w() -> AsyncIterator[World]:
    """The tenants catalog and lab share a scope; legacy is alone."""
    changes = {"redis": "embedded", "cache_scopes": {"retail": ["catalog", "lab"]}}
    async with world(changes=changes) as running:
        yield running


def pieces(data: bytes, size: int = MIB) -> Iterator[UploadRequest]:
    return (UploadRequest(chunk=data[at : at + size]) for at in range(0, len(data), size))


async def upload(w: World, *requests: UploadRequest, key: str = CATALOG_KEY) -> BlobRef:
    call = BlobServiceStub(w.channel).Upload(iter(requests), metadata=key_pair(key))
    return (await call).blob


async def download(w: World, sha256: str, *, key: str = CATALOG_KEY) -> list[bytes]:
    request = DownloadRequest(sha256=sha256)
    call = BlobServiceStub(w.channel).Download(request, metadata=key_pair(key))
    return [piece.chunk async for piece in call]


def edit_of_blob(blob: BlobRef, color: str = "red") -> EditImageRequest:
    request = EditImageRequest()
    request.edit.image_file.blob.CopyFrom(blob)
    request.edit.background.color = color
    return request


def large_edit() -> EditImageRequest:
    """Its picture goes inline, its result does not."""
    request = EditImageRequest()
    request.edit.image_file.data = noise_png(3_000_000)
    request.edit.remove_background = False
    request.edit.output_size = "1200x1200"
    return request


@asynccontextmanager
async def without_redis(directory: Path) -> AsyncIterator[World]:
    """A world whose Redis refuses connections: its port is taken, and nobody listens."""
    secret = directory / "secret"
    secret.write_text("s" * 32)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{taken.getsockname()[1]}"
        changes = {"redis": {"state_url": url}, "cache": {"secret_file": str(secret)}}
        async with world(changes=changes) as running:
            yield running


async def refusal(call: Awaitable[object]) -> RpcFailure:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return rpc_failure(caught.value)


# --- uploads -----------------------------------------------------------------------------------------


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

    call = BlobServiceStub(w.channel).Upload(endless(), metadata=key_pair())
    failure = await refusal(call)

    assert (grpc.StatusCode.RESOURCE_EXHAUSTED, "BODY_TOO_LARGE") == (failure.code, failure.reason)
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


async def test_an_upload_while_redis_is_down_says_that_it_is_not_kept(tmp_path: Path) -> None:
    async with without_redis(tmp_path) as w:
        failure = await refusal(upload(w, UploadRequest(chunk=png())))

        assert (grpc.StatusCode.UNAVAILABLE, "NOT_KEPT") == (failure.code, failure.reason)
        assert 1 == failure.retry_seconds


async def test_a_large_result_comes_whole_while_redis_is_down(tmp_path: Path) -> None:
    """A picture that was paid for is never withheld because it could not be kept."""
    async with without_redis(tmp_path) as w:
        result = (await w.edits.EditImage(large_edit(), metadata=key_pair())).result

        assert INLINE < len(result.image) == result.blob.size_bytes
        assert (1200, 1200) == opened(result.image).size


# --- edits of what was uploaded ----------------------------------------------------------------------


async def test_an_uploaded_picture_is_the_same_picture(w: World) -> None:
    """How its bytes travelled is no part of an edit: the second call is answered by the first."""
    picture = png(subject="#0000F1")
    inline = EditImageRequest()
    inline.edit.image_file.data = picture
    inline.edit.background.color = "red"
    blob = await upload(w, UploadRequest(chunk=picture))
    first = (await w.edits.EditImage(edit_of_blob(blob), metadata=key_pair())).result
    second = (await w.edits.EditImage(inline, metadata=key_pair())).result

    assert first.digest == second.digest
    assert (False, True) == (first.cache.hit, second.cache.hit)
    assert first.image == second.image


@pytest.mark.parametrize("known", [True, False])
async def test_a_picture_that_is_not_kept_in_that_size_is_asked_for(
    w: World, *, known: bool
) -> None:
    data = png(subject="#0000F2")
    blob = BlobRef(sha256=UNKNOWN, size_bytes=len(data))
    if known:
        blob = await upload(w, UploadRequest(chunk=data))
        blob.size_bytes -= 1
    spent = w.emulator.bill.requests.total()
    failure = await refusal(w.edits.EditImage(edit_of_blob(blob), metadata=key_pair()))

    assert (grpc.StatusCode.FAILED_PRECONDITION, "BLOB_NOT_FOUND") == (failure.code, failure.reason)
    assert (("edit.image_file", "BLOB_NOT_FOUND"),) == failure.fields
    assert spent == w.emulator.bill.requests.total()


async def test_every_missing_picture_is_named(w: World) -> None:
    request = edit_of_blob(BlobRef(sha256=UNKNOWN, size_bytes=7))
    request.edit.background.ClearField("color")
    request.edit.background.image_file.blob.CopyFrom(BlobRef(sha256=UNKNOWN, size_bytes=8))
    failure = await refusal(w.edits.EditImage(request, metadata=key_pair()))

    missing = [
        (field, "BLOB_NOT_FOUND") for field in ("edit.image_file", "edit.background.image_file")
    ]
    assert set(missing) == set(failure.fields)


async def test_bytes_that_are_no_picture_are_kept_but_not_edited(w: World) -> None:
    blob = await upload(w, UploadRequest(chunk=b"%PDF-1.7 no picture"))
    spent = w.emulator.bill.requests.total()
    failure = await refusal(w.edits.EditImage(edit_of_blob(blob), metadata=key_pair()))

    assert (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST") == (failure.code, failure.reason)
    assert (("edit.image_file", "NOT_AN_IMAGE"),) == failure.fields
    assert spent == w.emulator.bill.requests.total()


@pytest.mark.parametrize("blob", [BlobRef(), BlobRef(sha256="0" * 63), BlobRef(sha256="G" * 64)])
async def test_a_name_that_is_no_digest_is_refused(w: World, blob: BlobRef) -> None:
    failure = await refusal(w.edits.EditImage(edit_of_blob(blob), metadata=key_pair()))

    assert grpc.StatusCode.INVALID_ARGUMENT == failure.code
    assert ("edit.image_file", "BAD_DIGEST") in failure.fields


async def test_inline_pictures_over_the_limit_are_to_be_uploaded(w: World) -> None:
    request = EditImageRequest()
    request.edit.image_file.data = noise_png(INLINE)
    failure = await refusal(w.edits.EditImage(request, metadata=key_pair()))

    assert (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST") == (failure.code, failure.reason)
    assert (("edit.image_file", "INLINE_TOO_LARGE"),) == failure.fields


# --- results by reference ----------------------------------------------------------------------------


async def test_a_large_result_is_answered_by_reference_or_in_a_stream(w: World) -> None:
    """All three ways hand over the same bytes, and they are bought once."""
    bought = w.emulator.bill.charges
    request = large_edit()
    result = (await w.edits.EditImage(request, metadata=key_pair())).result
    fetched = b"".join(await download(w, result.blob.sha256))
    stream = w.edits.StreamEditImage(StreamEditImageRequest(edit=request.edit), metadata=key_pair())
    head, *rest = [piece async for piece in stream]
    rest_reply = await w.request("GET", f"/blobs/{result.blob.sha256}")

    assert b"" == result.image
    assert INLINE < result.blob.size_bytes == len(fetched)
    assert hashlib.sha256(fetched).hexdigest() == result.blob.sha256
    assert (1200, 1200) == opened(fetched).size
    assert (b"", result.digest, result.blob) == (
        head.result.image,
        head.result.digest,
        head.result.blob,
    )
    assert fetched == b"".join(piece.chunk for piece in rest)
    assert 256 * KIB == max(len(piece.chunk) for piece in rest)
    assert fetched == rest_reply.body
    assert bought + 1 == w.emulator.bill.charges


# --- whose pictures ----------------------------------------------------------------------------------


async def test_a_picture_is_seen_within_its_scope_and_nowhere_else(w: World) -> None:
    data = png(subject="#0000F3")
    blob = await upload(w, UploadRequest(chunk=data), key=CATALOG_KEY)

    assert [data] == await download(w, blob.sha256, key=LAB_KEY)
    assert data == (await w.request("GET", f"/blobs/{blob.sha256}", key=LAB_KEY)).body
    edited = await w.edits.EditImage(edit_of_blob(blob), metadata=key_pair(LAB_KEY))
    assert edited.result.image
    for call in (
        download(w, blob.sha256, key=LEGACY_KEY),
        w.edits.EditImage(edit_of_blob(blob), metadata=key_pair(LEGACY_KEY)),
    ):
        assert "BLOB_NOT_FOUND" == (await refusal(call)).reason
    rest = await w.request("GET", f"/blobs/{blob.sha256}", key=LEGACY_KEY)
    assert 404 == rest.status
    assert b"BLOB_NOT_FOUND" in rest.body


# --- over REST ---------------------------------------------------------------------------------------


async def test_a_picture_over_rest_may_be_kept_for_ever_by_its_caller(w: World) -> None:
    data = png(subject="#0000F4")
    blob = await upload(w, UploadRequest(chunk=data))
    reply = await w.request("GET", f"/blobs/{blob.sha256}")

    assert (200, data) == (reply.status, reply.body)
    assert f'"{blob.sha256}"' == reply.headers["ETag"]
    assert "private, immutable, max-age=86400" == reply.headers["Cache-Control"]
    assert "nosniff" == reply.headers["X-Content-Type-Options"]
    assert "image/png" == reply.headers["Content-Type"]
    assert reply.headers["x-request-id"]


@pytest.mark.parametrize("tags", ['"{}"', 'W/"{}"', '"other", "{}"', "*"])
async def test_a_picture_that_the_caller_has_is_not_sent_again(w: World, tags: str) -> None:
    blob = await upload(w, UploadRequest(chunk=b"kept by the caller"))
    headers = {"If-None-Match": tags.format(blob.sha256)}
    reply = await w.request("GET", f"/blobs/{blob.sha256}", headers=headers)

    assert (304, b"") == (reply.status, reply.body)
    assert f'"{blob.sha256}"' == reply.headers["ETag"]


async def test_a_page_that_was_uploaded_is_no_page_here(w: World) -> None:
    blob = await upload(w, UploadRequest(chunk=b"<script>alert(1)</script>"))
    reply = await w.request("GET", f"/blobs/{blob.sha256}")

    assert "application/octet-stream" == reply.headers["Content-Type"]
    assert "nosniff" == reply.headers["X-Content-Type-Options"]


@pytest.mark.parametrize(
    ("sha256", "key", "status", "reason"),
    [
        (UNKNOWN, CATALOG_KEY, 404, b"BLOB_NOT_FOUND"),
        (UNKNOWN.upper(), CATALOG_KEY, 400, b"INVALID_REQUEST"),
        ("latest", CATALOG_KEY, 400, b"INVALID_REQUEST"),
        (UNKNOWN, "nobody", 401, b"UNAUTHENTICATED"),
    ],
)
async def test_what_is_not_there_over_rest(
    w: World, sha256: str, key: str, status: int, reason: bytes
) -> None:
    headers = {"If-None-Match": "*"}
    reply = await w.request("GET", f"/blobs/{sha256}", headers=headers, key=key)

    assert status == reply.status
    assert reason in reply.body
    assert "ETag" not in reply.headers


async def test_a_download_of_what_is_no_digest_is_refused(w: World) -> None:
    failure = await refusal(download(w, "latest"))

    assert grpc.StatusCode.INVALID_ARGUMENT == failure.code
    assert (("sha256", "BAD_DIGEST"),) == failure.fields


async def test_an_unknown_picture_cannot_be_downloaded(w: World) -> None:
    failure = await refusal(download(w, UNKNOWN))

    assert (grpc.StatusCode.FAILED_PRECONDITION, "BLOB_NOT_FOUND") == (failure.code, failure.reason)
    assert (("sha256", "BLOB_NOT_FOUND"),) == failure.fields
