"""The gRPC server: services, health, reflection."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, TypeAlias

import grpc
from grpc_health.v1 import health, health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_reflection.v1alpha import reflection

from gateway.domain.edit import Operation
from gateway.pipeline import Editor
from gateway.transport.codec import Group
from gateway.transport.rpc.admin import AdminDesk
from gateway.transport.rpc.services import SERVICES, rpc_handlers

__all__ = ["LARGEST_MESSAGE", "RpcServer"]

LARGEST_MESSAGE = 4 * 1024 * 1024
"""Bytes of a message that is taken: inline pictures and what stands around them."""

_LARGEST_ANSWER = 64 * 1024 * 1024
"""Bytes of a message that is sent: a large result that could not be kept as a blob goes inline."""

_WatchContext: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"  # generic in the stubs alone

_OPTIONS = (
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    ("grpc.max_send_message_length", _LARGEST_ANSWER),
    # Two processes on one port would share it silently, and callers would meet either.
    ("grpc.so_reuseport", 0),
)


class _Health(health.aio.HealthServicer):  # type: ignore[misc] # grpc_health ships no types
    """Ends its watches once the server leaves: an open one would hold up `stop` for all of its grace."""

    def __init__(self) -> None:
        super().__init__()
        self.left = asyncio.Event()

    async def Watch(self, request: HealthCheckRequest, context: _WatchContext) -> None:  # noqa: N802 - gRPC's name
        """Send the status now and at each change, until the server leaves."""
        ends = (
            asyncio.ensure_future(super().Watch(request, context)),
            asyncio.ensure_future(self.left.wait()),
        )
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
            await asyncio.wait(ends)
        # The change may not have been sent yet; to hear it twice does no harm.
        await context.write(HealthCheckResponse(status=HealthCheckResponse.NOT_SERVING))


class RpcServer:
    """The gRPC door on one address, from `start` to `stop`."""

    def __init__(
        self,
        editor: Editor,
        schemas: Mapping[Operation, Group],
        desk: AdminDesk,
        address: str,
    ) -> None:
        self._server = grpc.aio.server(options=_OPTIONS)
        self._server.add_generic_rpc_handlers(rpc_handlers(editor, schemas, desk))
        self._health = _Health()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(
            (*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server
        )
        self._address = address
        self.port = 0

    async def start(self) -> None:
        """Listen. Raises OSError when the address cannot be had."""
        try:
            self.port = self._server.add_insecure_port(self._address)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {self._address}") from error
        await self._server.start()
        await self._say(HealthCheckResponse.SERVING)

    async def leave(self) -> None:
        """Tell load balancers to send no more calls here."""
        await self._say(HealthCheckResponse.NOT_SERVING)

    async def stop(self, grace: float) -> None:
        """Take no more calls, finish those in flight, and cancel what is left after `grace` seconds."""
        self._health.left.set()
        await self._server.stop(grace)

    async def _say(self, status: int) -> None:
        for name in ("", *SERVICES):
            await self._health.set(name, status)
