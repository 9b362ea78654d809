"""Errors and headers in the shapes that clients of Photoroom read.

`/v1` errors have `detail`, `status_code` and `type`. `/v2` ones have an `error` object with a `message`,
and a `detail` too where it is 402; a 429 has its `detail` at the top. All gain what we know more: `type`,
our stable reason; `violations`, every field at once; `limit`, the tenant's limit that refused. Routes of our
own answer with problem details (RFC 9457).
"""

from __future__ import annotations

import json

from aiohttp import web
from multidict import CIMultiDict

from gateway.domain.calls import Delivery
from gateway.domain.credits import milli_text
from gateway.domain.errors import GatewayError, InvalidRequest, PolicyError, Violation
from gateway.transport.rest.caching import cache_headers
from gateway.transport.status import wait_seconds, wire_status

__all__ = ["delivery_headers", "error_response", "json_response"]

_UNSUPPORTED = "pr-unsupported-attributes"
_LONGEST_WARNING = 1000


def error_response(error: GatewayError, path: str) -> web.Response:
    """Answer with an error in the shape of the route."""
    status, wait = wire_status(error).http, wait_seconds(error)
    kind = "application/json"
    if path.startswith("/v1/"):
        body = _v1_body(error, status, wait)
    elif path.startswith("/v2/"):
        body = _v2_body(error, status, wait)
    else:
        body, kind = _problem(error, status), "application/problem+json"
    headers = CIMultiDict[str]() if wait is None else CIMultiDict({"Retry-After": str(wait)})
    return json_response(body, status=status, headers=headers, kind=kind)


def _v1_body(error: GatewayError, status: int, wait: int | None) -> dict[str, object]:
    text = _drop_in_text(error, status, wait)
    return {"detail": text, "status_code": status, "type": error.reason, **_more(error)}


def _v2_body(error: GatewayError, status: int, wait: int | None) -> dict[str, object]:
    text = _drop_in_text(error, status, wait)
    said = {"type": error.reason, **_more(error)}
    match status:
        case 429:
            return {"detail": text, **said}
        case 402:
            return {"error": {"detail": text, "message": text, **said}}
    return {"error": {"message": text, **said}}


def _problem(error: GatewayError, status: int) -> dict[str, object]:
    name = f"urn:photoroom-gateway:{error.reason}"
    return {"type": name, "status": status, "detail": error.message, **_more(error)}


def _drop_in_text(error: GatewayError, status: int, wait: int | None) -> str:
    """Say a 429 in Photoroom's words: its clients read the seconds out of them."""
    if status == 429 and wait is not None:
        return f"Request was throttled. Expected available in {wait} seconds."
    return error.message


def _more(error: GatewayError) -> dict[str, object]:
    """Return what an error of this kind says beyond text and reason."""
    if isinstance(error, InvalidRequest):
        listed = [
            {"field": v.field, "code": v.code, "description": v.description}
            for v in error.violations
        ]
        return {"violations": listed}
    return {"limit": error.limit} if isinstance(error, PolicyError) else {}


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


def delivery_headers(delivery: Delivery) -> CIMultiDict[str]:
    """Return the headers of a served picture, its media type and those of every answer apart."""
    headers = CIMultiDict(delivery.answer.headers)
    headers.extend(cache_headers(delivery.cache, delivery.body.sha256))
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
