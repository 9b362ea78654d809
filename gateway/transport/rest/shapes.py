"""Errors and headers in the shapes that clients of Photoroom read.

`/v1` errors have `detail`, `status_code` and `type`; `/v2` ones an `error` object. Both gain what we
know more: `type`, our stable reason, and `violations`, every field at once. Routes of our own answer with
problem details (RFC 9457).
"""

from __future__ import annotations

import json
import math

from aiohttp import web
from multidict import CIMultiDict

from gateway.domain.calls import Delivery
from gateway.domain.credits import milli_text
from gateway.domain.errors import GatewayError, InvalidRequest, Violation
from gateway.transport.rest.caching import cache_headers
from gateway.transport.status import wire_status

__all__ = ["REQUEST_ID", "delivery_headers", "error_response", "json_response"]

REQUEST_ID = "x-request-id"
_UNSUPPORTED = "pr-unsupported-attributes"
_LONGEST_WARNING = 1000


def error_response(error: GatewayError, path: str, request_id: str) -> web.Response:
    """Answer with an error in the shape of the route."""
    status = wire_status(error).http
    more: dict[str, object] = {}
    if isinstance(error, InvalidRequest):
        more["violations"] = [
            {"field": v.field, "code": v.code, "description": v.description}
            for v in error.violations
        ]
    body: dict[str, object]
    kind = "application/json"
    if path.startswith("/v1/"):
        body = {"detail": error.message, "status_code": status, "type": error.reason, **more}
    elif path.startswith("/v2/"):
        body = {"error": {"message": error.message, "type": error.reason, **more}}
    else:
        kind = "application/problem+json"
        name = f"urn:photoroom-gateway:{error.reason}"
        body = {"type": name, "status": status, "detail": error.message, **more}
    headers = CIMultiDict({REQUEST_ID: request_id})
    if error.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    return json_response(body, status=status, headers=headers, kind=kind)


def json_response(
    body: object,
    *,
    status: int = 200,
    headers: CIMultiDict[str] | None = None,
    kind: str = "application/json",
) -> web.Response:
    """Answer with JSON."""
    return web.Response(
        body=json.dumps(body).encode(),
        status=status,
        headers=headers,
        content_type=kind,
    )


def delivery_headers(delivery: Delivery, request_id: str) -> CIMultiDict[str]:
    """Return the headers of a served picture, its media type apart."""
    headers = CIMultiDict(delivery.answer.headers)
    headers.extend(cache_headers(delivery.cache, delivery.body.sha256))
    headers[REQUEST_ID] = request_id
    headers["Gateway-Digest"] = delivery.digest
    headers["Gateway-Cost"] = milli_text(delivery.cost_milli)
    headers["Gateway-Saved"] = milli_text(delivery.cache.saved_milli)
    if delivery.ignored:
        ours = ", ".join(_header_text(name) for name in delivery.ignored)
        theirs = headers.get(_UNSUPPORTED)
        headers[_UNSUPPORTED] = f"{theirs}, {ours}" if theirs else f"Unsupported attributes: {ours}"
    if delivery.warnings:
        headers["Gateway-Warning"] = _warning_text(delivery.warnings)
    return headers


def _warning_text(warnings: tuple[Violation, ...]) -> str:
    text = ", ".join(f"{v.code} {v.field}" for v in warnings)
    return _header_text(text[:_LONGEST_WARNING])


def _header_text(text: str) -> str:
    """Keep what a header may hold: a name comes from the caller and may hold anything."""
    return "".join(c if " " <= c <= "~" else "?" for c in text)
