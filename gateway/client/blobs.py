"""Pictures that travel beside the calls: uploaded once, downloaded whole."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from weakref import WeakValueDictionary

import grpc

from gateway.client.errors import DamagedPicture
from gateway.client.pictures import blob_ref
from gateway.client.terms import Terms, answer, pieces
from gateway.v1.blob_service_pb2 import DownloadRequest, UploadRequest
from gateway.v1.blob_service_pb2_grpc import BlobServiceStub
from gateway.v1.image_pb2 import BlobRef

__all__ = ["CHUNK_BYTES", "Blobs"]

CHUNK_BYTES = 512 * 1024
"""Bytes of an uploaded piece: few messages a picture, none that holds up the connection."""


class Blobs:
    """What one client has uploaded; remembers up to `remembered` pictures, by SHA-256."""

    def __init__(self, stub: BlobServiceStub, *, remembered: int) -> None:
        self._stub = stub
        self._remembered = remembered
        self._known: OrderedDict[str, None] = OrderedDict()
        # One upload of a picture at a time: calls that need the same one wait for it.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def ensure(self, pictures: Mapping[str, bytes], terms: Terms) -> None:
        """Upload those of `pictures`, by SHA-256, that the gateway has not acknowledged yet."""
        for sha256, data in pictures.items():
            lock = self._locks.setdefault(sha256, asyncio.Lock())
            async with lock:
                if sha256 in self._known:
                    self._known.move_to_end(sha256)
                else:
                    await self._upload(sha256, data, terms)

    def forget(self, sha256: str) -> None:
        """Take a picture for one that the gateway does not have."""
        self._known.pop(sha256, None)

    async def upload(self, data: bytes, terms: Terms) -> BlobRef:
        """Upload a picture, known or not: that renews its life."""
        return await self._upload((await blob_ref(data)).sha256, data, terms)

    async def download(self, sha256: str, size: int | None, terms: Terms) -> bytes:
        """Fetch and verify a picture; `size` is not verified where it is None."""
        hasher = hashlib.sha256()
        chunks = []
        request = DownloadRequest(sha256=sha256)
        async for piece in pieces(self._stub.Download(request, **terms.options), terms):
            hasher.update(piece.chunk)
            chunks.append(piece.chunk)
        data = b"".join(chunks)
        if hasher.hexdigest() != sha256 or size not in {None, len(data)}:
            raise DamagedPicture(
                grpc.StatusCode.DATA_LOSS,
                "DAMAGED",
                f"{len(data)} bytes came that are not the picture {sha256}",
                request_id=terms.request_id,
            )
        return data

    async def _upload(self, sha256: str, data: bytes, terms: Terms) -> BlobRef:
        call = self._stub.Upload(_upload_requests(sha256, data), **terms.options)
        response, _ = await answer(call, terms)
        self._known[sha256] = None
        if len(self._known) > self._remembered:
            self._known.popitem(last=False)
        return response.blob


def _upload_requests(sha256: str, data: bytes) -> Iterator[UploadRequest]:
    yield UploadRequest(sha256=sha256, chunk=data[:CHUNK_BYTES])
    for start in range(CHUNK_BYTES, len(data), CHUNK_BYTES):
        yield UploadRequest(chunk=data[start : start + CHUNK_BYTES])
