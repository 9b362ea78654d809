"""An HTTP door on one address, from `start` to `stop`."""

from __future__ import annotations

from aiohttp import web

__all__ = ["HttpServer"]


_LONGEST_LINE = 128 * 1024
"""Bytes of a request line: a GET may carry a prompt of 10,000 characters, each up to 12 bytes escaped."""


class HttpServer:
    """Serves an application; `port` is the one that was taken, once started.

    `stop` waits at most `grace` seconds for the calls in flight.
    """

    def __init__(self, app: web.Application, host: str, port: int, *, grace: float) -> None:
        # aiohttp's access log costs more than a memory hit, and it would log query strings.
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=grace,
            max_line_size=_LONGEST_LINE,
        )
        self._host = host
        self.port = port

    async def start(self) -> None:
        """Listen. Raises OSError when the address cannot be had."""
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self.port).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Take no more calls, finish those in flight, and cut off what is left after the grace."""
        await self._runner.cleanup()
