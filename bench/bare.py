"""The servers that the gateway is measured against: no more than the libraries that it stands on.

They read the same body, take its SHA-256, and answer the same bytes from memory, on the same event loop.
One route is slow instead: an upstream for calls that have to be bought.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import uvloop
from aiohttp import web
from multipart import MultipartSegment, PushMultipartParser

from bench.asks import BOUNDARY

__all__ = ["LATENCY"]

LATENCY = 0.2
"""Seconds that the slow server takes for an edit."""

_HOST = "127.0.0.1"


class _Http:
    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    async def get(self, _: web.Request) -> web.Response:
        return web.Response(body=self._answer, content_type="image/png")

    async def raw(self, request: web.Request) -> web.Response:
        digest = hashlib.sha256(await request.read()).hexdigest()
        return self._answered(digest)

    async def multipart(self, request: web.Request) -> web.Response:
        parser = PushMultipartParser(BOUNDARY)
        digest = hashlib.sha256()
        is_file = False
        for event in parser.parse(await request.read()):
            if isinstance(event, MultipartSegment):
                is_file = event.filename is not None
            elif event is not None and is_file:
                digest.update(event)
        parser.close()
        return self._answered(digest.hexdigest())

    async def slow(self, request: web.Request) -> web.Response:
        await request.read()
        await asyncio.sleep(LATENCY)
        return web.Response(body=self._answer, content_type="image/png")

    def _answered(self, digest: str) -> web.Response:
        return web.Response(
            body=self._answer, content_type="image/png", headers={"Gateway-Digest": digest}
        )


async def _serve_http(answer: bytes, port: int) -> None:
    http = _Http(answer)
    app = web.Application()
    app.router.add_get("/get", http.get)
    app.router.add_post("/raw", http.raw)
    app.router.add_post("/multipart", http.multipart)
    app.router.add_post("/v2/edit", http.slow)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, _HOST, port).start()
    await asyncio.Event().wait()


async def _serve_grpc(answer: bytes, port: int) -> None:
    async def handle(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        digest = hashlib.sha256(request).hexdigest()
        context.set_trailing_metadata((("gateway-digest", digest),))
        return answer

    server = grpc.aio.server()
    table: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        "EditImage": grpc.unary_unary_rpc_method_handler(handle)
    }
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("gateway.v1.EditService", table),)
    )
    server.add_insecure_port(f"{_HOST}:{port}")
    await server.start()
    await server.wait_for_termination()


_SERVE: dict[str, Callable[[bytes, int], Awaitable[None]]] = {
    "http": _serve_http,
    "grpc": _serve_grpc,
}


async def _serve(protocol: str, answer: bytes, port: int) -> None:
    await _SERVE[protocol](answer, port)


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.bare", description=__doc__)
    parser.add_argument("protocol", choices=list(_SERVE))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--answer", type=Path, required=True)
    args = parser.parse_args()
    uvloop.run(_serve(args.protocol, args.answer.read_bytes(), args.port))


if __name__ == "__main__":
    _main()
