"""Clients of a world's gateway, and edits for them."""

from __future__ import annotations

from gateway.client import GatewayClient
from gateway.v1.edit_pb2 import Edit
from gateway.v1.retouch_pb2 import EXPORT_FORMAT_JPEG, Export
from tests.e2e.harness import CATALOG_KEY, World
from tests.e2e.metric_lines import counted

__all__ = ["client_of", "thumbnail", "uploads"]


def client_of(w: World, *, key: str = CATALOG_KEY, port: int | None = None) -> GatewayClient:
    """A client of the gateway, or of what stands before it at `port`."""
    return GatewayClient(f"127.0.0.1:{port or w.gateway.grpc.port}", key=key, timeout=60)


def thumbnail(side: int = 64) -> Edit:
    """An edit whose result is small, however large its picture is."""
    return Edit(
        remove_background=False,
        output_size=f"{side}x{side}",
        export=Export(format=EXPORT_FORMAT_JPEG),
    )


async def uploads(w: World) -> int:
    """How many uploads the gateway has answered."""
    return int((await counted(w, "gateway_requests_total", "operation")).get(("upload",), 0))
