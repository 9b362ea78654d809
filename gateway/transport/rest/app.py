"""The routes of the REST door."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from aiohttp import web
from multidict import CIMultiDict

from gateway.domain.answer import AccountState
from gateway.domain.calls import Call, Delivery, Record
from gateway.domain.edit import Operation
from gateway.domain.errors import InvalidRequest, RouteNotServed, Violation
from gateway.domain.image_header import sniff
from gateway.domain.violations import Code
from gateway.pipeline import Editor
from gateway.transport.call_fields import call_fields
from gateway.transport.codec import SHA256, Group, WireCodec
from gateway.transport.credential import credential_of
from gateway.transport.request_id import REQUEST_ID, request_id
from gateway.transport.rest.bodies import BodyReader, media_type, wants_json
from gateway.transport.rest.caching import is_unchanged
from gateway.transport.rest.deadline import request_seconds
from gateway.transport.rest.shapes import delivery_headers, error_response, json_response
from gateway.transport.status import public_error

__all__ = ["rest_app"]

_Serve: TypeAlias = Callable[[web.Request, Call], Awaitable[web.Response]]

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
    for route, operation, serve in (
        ("GET /v2/edit", Operation.EDIT, door.edit),
        ("POST /v2/edit", Operation.EDIT, door.edit),
        ("POST /v1/segment", Operation.SEGMENT, door.segment),
        ("GET /blobs/{sha256}", "download", door.blob),
        ("GET /v2/account", "account", door.account_v2),
        ("GET /v1/account", "account", door.account_v1),
        ("* /{path:.*}", "none", door.nowhere),
    ):
        method, path = route.split()
        app.router.add_route(method, path, door.handler(operation, serve))
    return app


class _Door:
    def __init__(self, editor: Editor, schemas: Mapping[Operation, Group]) -> None:
        self._editor = editor
        self._readers = {
            operation: BodyReader(WireCodec(group, operation), operation)
            for operation, group in schemas.items()
        }

    def handler(
        self, operation: str, serve: _Serve
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        """Wrap a route: every failure in the shape of the route, and what every answer says."""

        async def handle(request: web.Request) -> web.Response:
            call = _call(request, operation)
            try:
                response = await serve(request, call)
            except ConnectionError:  # the client has left; nobody reads this answer
                raise
            except Exception as error:  # noqa: BLE001 - the last line: telemetry has logged it
                response = error_response(public_error(error), request.path)
            response.headers.update(call_fields(call))
            return response

        return handle

    async def edit(self, request: web.Request, call: Call) -> web.Response:
        delivery = await self._deliver(request, call, Operation.EDIT)
        if is_unchanged(request, delivery.body.sha256):
            return web.Response(status=304, headers=delivery_headers(delivery))
        return _picture(delivery)

    async def blob(self, request: web.Request, call: Call) -> web.Response:
        sha256 = request.match_info["sha256"]
        if not SHA256.fullmatch(sha256):
            why = "must be a SHA-256, 64 lower-case hex digits"
            raise InvalidRequest([Violation("sha256", Code.BAD_DIGEST, why)])
        data = await self._editor.download(call, sha256)
        headers = CIMultiDict(
            {
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

    async def segment(self, request: web.Request, call: Call) -> web.Response:
        delivery = await self._deliver(request, call, Operation.SEGMENT)
        if media_type(request) == "application/json":
            member = "result_b64"
        elif wants_json(request):
            member = "base64img"
        else:
            return _picture(delivery)
        text = base64.b64encode(delivery.answer.body).decode("ascii")
        return json_response({member: text}, headers=delivery_headers(delivery))

    async def account_v2(self, request: web.Request, call: Call) -> web.Response:
        del request
        state = await self._editor.account(call)
        return json_response({"images": _whole_images(state), "plan": state.plan})

    async def account_v1(self, request: web.Request, call: Call) -> web.Response:
        del request
        return json_response({"credits": _whole_images(await self._editor.account(call))})

    async def nowhere(self, request: web.Request, call: Call) -> web.Response:
        del call
        instead = _INSTEAD.get(request.path, f"the routes are {', '.join(_ROUTES)}")
        raise RouteNotServed(f"{request.method} is not served here: {instead}")

    async def _deliver(self, request: web.Request, call: Call, operation: Operation) -> Delivery:
        read = partial(self._readers[operation].read, request)
        timed = replace(call, seconds=request_seconds(request.headers))
        return await self._editor.edit(timed, read)


def _call(request: web.Request, operation: str) -> Call:
    headers = request.headers
    return Call(
        credential=credential_of(headers.get("x-api-key"), headers.get("Authorization")),
        operation=operation,
        door="rest",
        request_id=request_id(headers.get(REQUEST_ID)),
        record=Record(),
    )


def _picture(delivery: Delivery) -> web.Response:
    answer = delivery.answer
    return web.Response(
        body=answer.body,
        headers=delivery_headers(delivery),
        content_type=answer.media_type,
    )


def _whole_images(state: AccountState) -> dict[str, int]:
    """Round down to whole numbers: clients declare integers and fail on a fraction."""
    return {
        "available": state.available_milli // 1000,
        "subscription": state.subscription_milli // 1000,
    }
