"""Kept pictures: named in edits, answered by reference, fetched over REST, seen by whom."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio

from gateway.v1.blob_service_pb2 import UploadRequest
from gateway.v1.edit_service_pb2 import EditImageRequest, StreamEditImageRequest
from gateway.v1.image_pb2 import BlobRef
from tests.client.noise import noise_png
from tests.e2e.blob_calls import KIB, MIB, UNKNOWN, download, refusal, upload, without_cache
from tests.e2e.harness import CATALOG_KEY, LAB_KEY, LEGACY_KEY, World, key_pair, world
from tests.support.pictures import opened, png

INLINE = 3 * MIB

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def w() -> AsyncIterator[World]:
    """The tenants catalog and lab share a scope; legacy is alone."""
    changes = {"redis": "embedded", "cache_scopes": {"retail": ["catalog", "lab"]}}
    async with world(changes=changes) as running:
        yield running


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


@pytest.mark.parametrize("known", [True, False], ids=["other size", "unknown"])
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


async def test_a_large_result_comes_whole_while_redis_is_down() -> None:
    """A picture that was paid for is never withheld because it could not be kept."""
    async with without_cache() as w:
        result = (await w.edits.EditImage(large_edit(), metadata=key_pair())).result

        assert INLINE < len(result.image) == result.blob.size_bytes
        assert (1200, 1200) == opened(result.image).size


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
