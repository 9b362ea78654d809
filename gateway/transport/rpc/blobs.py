"""BlobService: pictures by content."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterable, AsyncIterator

from gateway.domain.calls import Call
from gateway.domain.edit import Operation
from gateway.domain.errors import BodyTooLarge, Violation
from gateway.domain.picture_rules import PICTURE_LIMITS
from gateway.domain.violations import Code
from gateway.pipeline import Editor
from gateway.transport.codec import SHA256
from gateway.transport.rpc.envelope import EnvelopeError, open_envelope
from gateway.v1 import blob_service_pb2 as blobs
from gateway.v1.image_pb2 import BlobRef

__all__ = ["CHUNK_BYTES", "BlobDoor", "chunks_of"]

CHUNK_BYTES = 256 * 1024
"""Bytes of a streamed piece: large enough to be cheap, small enough not to hold up the connection."""

_FORM = "must be a SHA-256, 64 lower-case hex digits"
_LARGEST = PICTURE_LIMITS[Operation.SEGMENT].max_bytes


class BlobDoor:
    """The methods of BlobService."""

    def __init__(self, editor: Editor) -> None:
        self._editor = editor

    async def upload(self, requests: AsyncIterable[bytes], call: Call) -> blobs.UploadResponse:
        """Keep what comes in pieces."""
        ref = await self._editor.upload(call, lambda: _read_upload(requests))
        return blobs.UploadResponse(blob=BlobRef(sha256=ref.sha256, size_bytes=ref.size))

    async def download(self, raw: bytes, call: Call) -> AsyncIterator[blobs.DownloadResponse]:
        """Send a kept picture in pieces."""
        request = open_envelope(raw, blobs.DownloadRequest)
        if not SHA256.fullmatch(request.sha256):
            raise _bad_digest(_FORM)
        for chunk in chunks_of(await self._editor.download(call, request.sha256)):
            yield blobs.DownloadResponse(chunk=chunk)


def chunks_of(data: bytes) -> list[bytes]:
    """Cut a picture into pieces."""
    return [data[i : i + CHUNK_BYTES] for i in range(0, len(data), CHUNK_BYTES)]


async def _read_upload(requests: AsyncIterable[bytes]) -> bytes:
    """Read and hash an upload. Raises EnvelopeError and BodyTooLarge, without reading on."""
    hasher = hashlib.sha256()
    chunks: list[bytes] = []
    size = 0
    announced = ""
    async for raw in requests:
        request = open_envelope(raw, blobs.UploadRequest)
        if request.sha256 and request.sha256 != announced:
            _check_announcement(request.sha256, first=not chunks)
            announced = request.sha256
        size += len(request.chunk)
        if size > _LARGEST:
            raise BodyTooLarge(f"the picture has more than {_LARGEST} bytes")
        hasher.update(request.chunk)
        chunks.append(request.chunk)
    if not size:
        raise EnvelopeError([Violation("chunk", Code.EMPTY_BODY, "the upload is empty")])
    if announced and announced != hasher.hexdigest():
        raise _bad_digest("is not the SHA-256 of the bytes that came")
    return b"".join(chunks)


def _check_announcement(sha256: str, *, first: bool) -> None:
    if not first:
        raise _bad_digest("is announced in the first message, and does not change")
    if not SHA256.fullmatch(sha256):
        raise _bad_digest(_FORM)


def _bad_digest(why: str) -> EnvelopeError:
    return EnvelopeError([Violation("sha256", Code.BAD_DIGEST, why)])
