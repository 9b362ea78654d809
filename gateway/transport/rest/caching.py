"""The cache in HTTP's words: what a client may ask of it, and what it is told.

`Gateway-Cache` names a mode. Of `Cache-Control` only `only-if-cached` is obeyed: clients send `no-cache`
unasked, and it would buy again. Answers carry `Cache-Status` (RFC 9211), `Age` and `ETag`.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web
from multidict import CIMultiDict

from gateway.domain.caching import CacheMode
from gateway.domain.calls import FromCache
from gateway.domain.errors import InvalidRequest, Violation
from gateway.domain.violations import Code

__all__ = ["cache_headers", "cache_mode", "is_unchanged"]

_NAME = "photoroom-gateway"
_MODE = "Gateway-Cache"
_FORWARDED: Mapping[str, str] = {
    "miss": "uri-miss",
    "refresh": "request",
    "bypass": "request",
    "unseeded": "bypass",
}
"""Why a call was forwarded, in the words of RFC 9211, section 2.2."""


def cache_mode(request: web.Request) -> CacheMode:
    """Return what the client asks of the cache. Raises InvalidRequest for an unknown mode."""
    word = _field(request, _MODE)
    if word is not None:
        try:
            return CacheMode(word.strip().lower())
        except ValueError:
            modes = ", ".join(CacheMode)
            raise InvalidRequest(
                [Violation(_MODE, Code.NOT_ALLOWED, f"must be one of {modes}")]
            ) from None
    directives = (_field(request, "Cache-Control") or "").lower().split(",")
    if "only-if-cached" in (directive.strip() for directive in directives):
        return CacheMode.ONLY_IF_CACHED
    return CacheMode.DEFAULT


def cache_headers(cache: FromCache, sha256: str) -> CIMultiDict[str]:
    """Return what a client is told of the cache; the picture's SHA-256 is its entity tag."""
    headers = CIMultiDict({"ETag": f'"{sha256}"'})
    if cache.tier:
        headers["Age"] = str(int(cache.age))
        status = f"hit; ttl={int(cache.ttl or 0)}; detail={cache.tier}"
    else:
        status = f"fwd={_FORWARDED[cache.why_not]}; detail={cache.why_not}"
        if cache.ttl is not None:
            status += f"; stored; ttl={int(cache.ttl)}"
    headers["Cache-Status"] = f"{_NAME}; {status}"
    return headers


def is_unchanged(request: web.Request, sha256: str) -> bool:
    """Whether a GET asks for nothing but a newer picture than the one that it names (RFC 9110, 13.1.2)."""
    if request.method != "GET":
        return False
    tags = [
        tag.strip().removeprefix("W/")
        for tag in (_field(request, "If-None-Match") or "").split(",")
    ]
    return f'"{sha256}"' in tags or "*" in tags


def _field(request: web.Request, name: str) -> str | None:
    """Return a field whose lines make one list (RFC 9110, 5.3); None where no line was sent."""
    lines = request.headers.getall(name, None)
    return None if lines is None else ", ".join(lines)
