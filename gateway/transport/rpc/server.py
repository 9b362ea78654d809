"""The gRPC server: services, health, reflection."""

from __future__ import annotations

from collections.abc import Mapping

import grpc
from grpc_health.v1 import health, health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_reflection.v1alpha import reflection

from gateway.domain.edit import Operation
from gateway.pipeline import Editor
from gateway.transport.codec import Group
from gateway.transport.rpc.services import SERVICES, rpc_handlers

__all__ = ["LARGEST_MESSAGE", "RpcServer"]

LARGEST_MESSAGE = 4 * 1024 * 1024
"""Bytes of a message that is taken: inline pictures and what stands around them."""

_LARGEST_ANSWER = 64 * 1024 * 1024
"""Bytes of a message that is sent: a large result that could not be kept as a blob goes inline."""

_OPTIONS = (
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    ("grpc.max_send_message_length", _LARGEST_ANSWER),
    # Two processes on one port would share it silently, and callers would meet either.
    ("grpc.so_reuseport", 0),
)


class RpcServer:
    """The gRPC door on one address, from `start` to `stop`."""

    def __init__(self, editor: Editor, schemas: Mapping[Operation, Group], address: str) -> None:
        self._server = grpc.aio.server(options=_OPTIONS)
        self._server.add_generic_rpc_handlers(rpc_handlers(editor, schemas))
        self._health = health.aio.HealthServicer()
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
        await self._server.stop(grace)

    async def _say(self, status: int) -> None:
        for name in ("", *SERVICES):
            await self._health.set(name, status)
