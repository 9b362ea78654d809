"""The gRPC server: services, health, reflection."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
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

_Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"  # generic in the stubs alone

_OPTIONS = (
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    ("grpc.max_send_message_length", _LARGEST_ANSWER),
    # Two processes on one port would share it silently, and callers would meet either.
    ("grpc.so_reuseport", 0),
)


class _Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc] # grpc_health ships no types
    """The health of all services: they serve until they `leave`, all at once.

    grpc_health has a servicer of its own, whose watches never end: an open one would hold up the closing
    of the server for all of its grace.
    """

    def __init__(self, services: Iterable[str]) -> None:
        self._services = frozenset(services)
        self._left = asyncio.Event()

    def leave(self) -> None:
        """Say from now on that nothing is served here, and end every watch with it."""
        self._left.set()

    async def Check(  # noqa: N802 - gRPC's name
        self, request: HealthCheckRequest, context: _Context
    ) -> HealthCheckResponse:
        """Say the status of a service, of all for an empty name."""
        if request.service not in self._services:
            await context.abort(grpc.StatusCode.NOT_FOUND)
        return self._answer(request)

    async def Watch(  # noqa: N802 - as above
        self, request: HealthCheckRequest, context: _Context
    ) -> None:
        """Say the status now, and when it changes."""
        await context.write(self._answer(request))
        await self._left.wait()
        await context.write(self._answer(request))

    def _answer(self, request: HealthCheckRequest) -> HealthCheckResponse:
        if request.service not in self._services:
            return HealthCheckResponse(status=HealthCheckResponse.SERVICE_UNKNOWN)
        left = self._left.is_set()
        return HealthCheckResponse(
            status=HealthCheckResponse.NOT_SERVING if left else HealthCheckResponse.SERVING
        )


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
        self._health = _Health(("", *SERVICES))
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

    def leave(self) -> None:
        """Tell load balancers to send no more calls here."""
        self._health.leave()

    async def stop(self, grace: float) -> None:
        """Take no more calls, finish those in flight, and cancel what is left after `grace` seconds."""
        await self._server.stop(grace)
