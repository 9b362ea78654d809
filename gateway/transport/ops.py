"""The operators' door: metrics, liveness and readiness; never tenant traffic."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

__all__ = ["ops_app"]

_PROMETHEUS = "text/plain; version=1.0.0; charset=utf-8"


def ops_app(render: Callable[[], bytes], is_ready: Callable[[], bool]) -> web.Application:
    """Build the operators' door from what renders the metrics and what says whether calls are taken."""

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=render(), headers={"Content-Type": _PROMETHEUS})

    async def livez(_: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def readyz(_: web.Request) -> web.Response:
        ready = is_ready()
        return web.Response(
            text="ready\n" if ready else "not ready\n", status=200 if ready else 503
        )

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    return app
