"""The vendor's shapes of an error: three of them, by endpoint and status."""

from aiohttp import web

from gateway.emulator.accounts import Throttled
from gateway.emulator.faults import FaultRule
from gateway.emulator.values import Refused

__all__ = ["fault_answer", "not_found", "refusal_answer"]

_TEXTS = {
    400: "Bad Request",
    401: "Invalid API key",
    402: "API credits exhausted.",
    403: "Forbidden",
    404: "Not Found",
    413: "Request Entity Too Large",
    500: "An unexpected error occurred. Please try again later or contact support.",
}
_PAGES = {
    413: "Request Entity Too Large",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Time-out",
}


def refusal_answer(operation: str, refused: Refused) -> web.Response:
    """The answer to a refused call of `operation` (segment, edit, account)."""
    status = refused.status
    if status in _PAGES:
        return _page(status)
    headers = {"Retry-After": str(refused.wait_s)} if isinstance(refused, Throttled) else None
    return web.json_response(
        _document(operation, status, refused.message, refused.kind), status=status, headers=headers
    )


def fault_answer(operation: str, rule: FaultRule) -> web.Response:
    """The answer that a fault's `status` asks for."""
    status = rule.status or 500
    if status == 429:
        refused: Refused = Throttled(rule.wait_s)
    else:
        refused = Refused(status, _TEXTS.get(status, "Error"), "unknown_error")
    answer = refusal_answer(operation, refused)
    if rule.body is not None:
        answer.text = rule.body
        answer.content_type = rule.content_type
    if rule.retry_after is not None:
        answer.headers.popall("Retry-After", None)
        if rule.retry_after:
            answer.headers["Retry-After"] = rule.retry_after
    return answer


def not_found() -> web.Response:
    """The answer to a path that nothing lives on."""
    return web.json_response({"detail": "Not Found"}, status=404)


def _document(operation: str, status: int, message: str, kind: str) -> dict[str, object]:
    if operation == "segment":
        return {"detail": message, "status_code": status, "type": kind}
    if status == 429:
        return {"detail": message}
    return {"error": {"detail" if status == 402 else "message": message}}


def _page(status: int) -> web.Response:
    """What a proxy in front of the service says."""
    title = f"{status} {_PAGES[status]}"
    return web.Response(
        status=status,
        text=f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>",
        content_type="text/html",
    )
