"""A gateway that answers as a test says: for what the real one does not do when it is asked to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

import grpc

from gateway.domain.errors import GatewayError
from gateway.transport.rpc.errors import error_status
from gateway.transport.status import wire_status
from gateway.v1.blob_service_pb2 import (
    DownloadRequest,
    DownloadResponse,
    UploadRequest,
    UploadResponse,
)
from gateway.v1.blob_service_pb2_grpc import BlobServiceServicer, add_BlobServiceServicer_to_server
from gateway.v1.edit_service_pb2 import EditImageRequest, EditImageResponse

__all__ = ["StandIn", "trailers_of"]

# Quoted: it is generic in the stubs alone.
_Context: TypeAlias = "grpc.aio.ServicerContext[EditImageRequest, EditImageResponse]"


def trailers_of(error: GatewayError) -> tuple[tuple[str, str | bytes], ...]:
    """What the gateway sends behind an error."""
    status = error_status(error, str).SerializeToString()
    return (("x-request-id", "from-the-gateway"), ("grpc-status-details-bin", status))


@dataclass(slots=True)
class StandIn(BlobServiceServicer):
    """Answers every edit with `answer`, and every download with `picture`."""

    answer: EditImageResponse | GatewayError
    picture: bytes = b""
    edits: int = 0
    uploads: int = 0

    async def edit_image(self, request: EditImageRequest, context: _Context) -> EditImageResponse:
        del request
        self.edits += 1
        if isinstance(self.answer, GatewayError):
            code = wire_status(self.answer).grpc
            await context.abort(code, self.answer.message, trailers_of(self.answer))
        return self.answer

    async def Upload(  # noqa: N802 - the service's name for it
        self, request_iterator: AsyncIterator[UploadRequest], context: object
    ) -> UploadResponse:
        del context
        self.uploads += 1
        async for _ in request_iterator:
            continue
        return UploadResponse()

    async def Download(  # noqa: N802 - as above
        self, request: DownloadRequest, context: object
    ) -> AsyncIterator[DownloadResponse]:
        del request, context
        yield DownloadResponse(chunk=self.picture)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve on loopback; yields the address."""
        server = grpc.aio.server()
        edit = grpc.unary_unary_rpc_method_handler(
            self.edit_image, EditImageRequest.FromString, EditImageResponse.SerializeToString
        )
        service = "gateway.v1.EditService"
        handler = grpc.method_handlers_generic_handler(service, {"EditImage": edit})
        server.add_generic_rpc_handlers((handler,))
        add_BlobServiceServicer_to_server(self, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            await server.stop(None)
