"""The routes of the REST door."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TypeAlias

from aiohttp import web
from multidict import CIMultiDict

from gateway.domain.answer import AccountState
from gateway.domain.calls import Call, Delivery, Record
from gateway.domain.edit import Operation
from gateway.domain.errors import GatewayError, InvalidRequest, RouteNotServed, Violation
from gateway.domain.image_header import sniff
from gateway.domain.violations import Code
from gateway.pipeline import Editor
from gateway.transport.codec import SHA256, Group, WireCodec
from gateway.transport.credential import credential_of
from gateway.transport.request_id import request_id
from gateway.transport.rest.bodies import BodyReader, media_type, wants_json
from gateway.transport.rest.caching import is_unchanged
from gateway.transport.rest.deadline import request_seconds
from gateway.transport.rest.shapes import (
    REQUEST_ID,
    delivery_headers,
    error_response,
    json_response,
)
from gateway.transport.status import public_error

__all__ = ["rest_app"]

_Serve: TypeAlias = Callable[[web.Request, str], Awaitable[web.Response]]

_ROUTES = (
    "GET|POST /v2/edit",
    "POST /v1/segment",
    "GET /v2/account",
    "GET /v1/account",
    "GET /blobs/{sha256}",
)
_INSTEAD: Mapping[str, str] = {
    "/v1/render": "use /v2/edit with templateId",
    "/v1/instant-backgrounds": "use /v2/edit with background.prompt",
    "/v1/animate": "there is no other route for it",
}
"""Routes of Photoroom's that are not served, and what to use."""


def rest_app(editor: Editor, schemas: Mapping[Operation, Group]) -> web.Application:
    """Build the REST door."""
    door = _Door(editor, schemas)
    app = web.Application(client_max_size=0)
    for route, serve in (
        ("GET /v2/edit", door.edit),
        ("POST /v2/edit", door.edit),
        ("POST /v1/segment", door.segment),
        ("GET /blobs/{sha256}", door.blob),
        ("GET /v2/account", door.account_v2),
        ("GET /v1/account", door.account_v1),
        ("* /{path:.*}", door.nowhere),
    ):
        method, path = route.split()
        app.router.add_route(method, path, door.handler(serve))
    return app


class _Door:
    def __init__(self, editor: Editor, schemas: Mapping[Operation, Group]) -> None:
        self._editor = editor
        self._readers = {
            operation: BodyReader(WireCodec(group, operation), operation)
            for operation, group in schemas.items()
        }

    def handler(self, serve: _Serve) -> Callable[[web.Request], Awaitable[web.Response]]:
        """Wrap a route: an id, and every failure in the shape of the route."""

        async def handle(request: web.Request) -> web.Response:
            name = request_id(request.headers.get(REQUEST_ID))
            try:
                return await serve(request, name)
            except GatewayError as error:
                return error_response(error, request.path, name)
            except ConnectionError:  # the client has left; nobody reads this answer
                raise
            except Exception as error:  # noqa: BLE001 - the last line: telemetry has logged it
                return error_response(public_error(error), request.path, name)

        return handle

    async def edit(self, request: web.Request, name: str) -> web.Response:
        delivery = await self._deliver(request, name, Operation.EDIT)
        if is_unchanged(request, delivery.body.sha256):
            return web.Response(status=304, headers=delivery_headers(delivery, name))
        return _picture(delivery, name)

    async def blob(self, request: web.Request, name: str) -> web.Response:
        sha256 = request.match_info["sha256"]
        if not SHA256.fullmatch(sha256):
            why = "must be a SHA-256, 64 lower-case hex digits"
            raise InvalidRequest([Violation("sha256", Code.BAD_DIGEST, why)])
        data = await self._editor.download(_call(request, name, "download"), sha256)
        headers = CIMultiDict(
            {
                REQUEST_ID: name,
                "ETag": f'"{sha256}"',
                "Cache-Control": "private, immutable, max-age=86400",
                # What a tenant uploaded is never to be run as a page of this origin.
                "X-Content-Type-Options": "nosniff",
            }
        )
        if is_unchanged(request, sha256):
            return web.Response(status=304, headers=headers)
        kind = sniff(data)
        named = kind.media_type if kind else "application/octet-stream"
        return web.Response(body=data, headers=headers, content_type=named)

    async def segment(self, request: web.Request, name: str) -> web.Response:
        delivery = await self._deliver(request, name, Operation.SEGMENT)
        if media_type(request) == "application/json":
            member = "result_b64"
        elif wants_json(request):
            member = "base64img"
        else:
            return _picture(delivery, name)
        text = base64.b64encode(delivery.answer.body).decode("ascii")
        return json_response({member: text}, headers=delivery_headers(delivery, name))

    async def account_v2(self, request: web.Request, name: str) -> web.Response:
        state = await self._editor.account(_call(request, name, "account"))
        return _json({"images": _whole_images(state), "plan": state.plan}, name)

    async def account_v1(self, request: web.Request, name: str) -> web.Response:
        state = await self._editor.account(_call(request, name, "account"))
        return _json({"credits": _whole_images(state)}, name)

    async def nowhere(self, request: web.Request, name: str) -> web.Response:
        del name
        instead = _INSTEAD.get(request.path, f"the routes are {', '.join(_ROUTES)}")
        raise RouteNotServed(f"{request.method} is not served here: {instead}")

    async def _deliver(self, request: web.Request, name: str, operation: Operation) -> Delivery:
        read = partial(self._readers[operation].read, request)
        call = _call(request, name, operation.value, request_seconds(request.headers))
        return await self._editor.edit(call, read)


def _call(request: web.Request, name: str, operation: str, seconds: float | None = None) -> Call:
    headers = request.headers
    return Call(
        credential=credential_of(headers.get("x-api-key"), headers.get("Authorization")),
        operation=operation,
        door="rest",
        request_id=name,
        record=Record(),
        seconds=seconds,
    )


def _picture(delivery: Delivery, name: str) -> web.Response:
    answer = delivery.answer
    return web.Response(
        body=answer.body,
        headers=delivery_headers(delivery, name),
        content_type=answer.media_type,
    )


def _json(body: object, name: str) -> web.Response:
    return json_response(body, headers=CIMultiDict({REQUEST_ID: name}))


def _whole_images(state: AccountState) -> dict[str, int]:
    """Round down to whole numbers: clients declare integers and fail on a fraction."""
    return {
        "available": state.available_milli // 1000,
        "subscription": state.subscription_milli // 1000,
    }
