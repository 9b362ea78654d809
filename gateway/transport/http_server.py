"""An HTTP door on one address, from `start` to `stop`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, cast

from aiohttp import web

__all__ = ["HttpServer"]

_log = logging.getLogger(__name__)

_PROTOCOL: Mapping[str, Any] = MappingProxyType(
    {
        # aiohttp's access log costs more than a memory hit, and it would log query strings.
        "access_log": None,
        # A GET may carry a prompt of 10,000 characters, each up to 12 bytes escaped.
        "max_line_size": 128 * 1024,
    }
)


class HttpServer:
    """Serves an application; `port` is the one that was taken, once started.

    `stop` waits at most `grace` seconds for the calls in flight.
    """

    def __init__(self, app: web.Application, host: str, port: int, *, grace: float) -> None:
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=grace)
        self._listener: asyncio.Server | None = None
        self._host = host
        self.port = port

    async def start(self) -> None:
        """Listen. Raises OSError when the address cannot be had."""
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        server = cast("web.Server", self._runner.server)  # there is one from `setup` on
        protocol = partial(_Protocol, server, loop=loop, **_PROTOCOL)
        self._listener = await loop.create_server(protocol, self._host, self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Take no more calls, finish those in flight, and cut off what is left after the grace."""
        if self._listener is not None:
            self._listener.close()
        await self._runner.cleanup()


class _Protocol(web.RequestHandler):
    """aiohttp's, but for what it says of bytes that are no request.

    It would repeat them, in which a key or a prompt may stand, and log each as an error of the server.
    """

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if status != HTTPStatus.BAD_REQUEST:
            return super().handle_error(request, status, exc, message)
        _log.info("no HTTP request", extra={"error": type(exc).__name__})
        response = web.Response(text="This is no HTTP request.\n", status=status)
        response.force_close()
        return response
