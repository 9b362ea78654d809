"""What a REST request carries, read into a draft."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from functools import lru_cache, partial

from aiohttp import web

from gateway.domain.caching import CacheMode
from gateway.domain.edit import ImageRef, Operation
from gateway.domain.errors import BodyTooLarge, InvalidRequest, Violation
from gateway.domain.picture_rules import PICTURE_LIMITS
from gateway.domain.tenant import Tenant
from gateway.domain.violations import Code
from gateway.ports import Draft
from gateway.transport.codec import WireCodec, WireFile
from gateway.transport.form import FilePart, Form, FormCode, FormLimits, refusal
from gateway.transport.idempotency import idempotency_key
from gateway.transport.multipart_reader import read_form
from gateway.transport.rest.caching import cache_mode
from gateway.transport.urlencoded import parse_urlencoded

__all__ = ["BodyReader", "media_type", "wants_json"]

_MIB = 1024 * 1024
_JSON_SLACK = 64 * 1024
_LONGEST_NAME = 256
_IDEMPOTENCY = "Idempotency-Key"
_REPEATED = 1024
_LONGEST_REPEATED = 4096
"""Queries that are kept as they were read, and characters of the longest one: a link is followed again
and again."""


class BodyReader:
    """Reads requests of one operation."""

    def __init__(self, codec: WireCodec, operation: Operation) -> None:
        self._codec = codec
        self._operation = operation
        self._slot = "imageFile" if operation is Operation.EDIT else "image_file"
        picture = PICTURE_LIMITS[operation].max_bytes
        # Several pictures may stand in one edit; all of them together are bounded too.
        together = 3 * picture if operation is Operation.EDIT else picture + _MIB
        self._limits = FormLimits(body=together, file=picture)
        self._parse = partial(parse_urlencoded, limits=self._limits)
        self._parse_again = lru_cache(_REPEATED)(self._parse)

    async def read(self, request: web.Request, tenant: Tenant) -> Draft:
        """Read query, headers and body. Raises InvalidRequest and BodyTooLarge."""
        mode = cache_mode(request)
        key = idempotency_key(request.headers.get(_IDEMPOTENCY), _IDEMPOTENCY)
        query = self._read_query(request.rel_url.raw_query_string)
        form = Form() if request.method == "GET" else await self._form(request, query)
        files = [WireFile(part.name, part.data, part.ref) for part in form.files]
        fields = query + form.fields
        draft = self._codec.read(fields, files, _lower(request.headers), tenant)
        if mode is CacheMode.DEFAULT and key is None:
            return draft
        return replace(draft, mode=mode, idempotency_key=key)

    def _read_query(self, raw: str) -> tuple[tuple[str, str], ...]:
        return (self._parse_again if len(raw) <= _LONGEST_REPEATED else self._parse)(raw)

    async def _form(self, request: web.Request, query: tuple[tuple[str, str], ...]) -> Form:
        """Read a body: a form, JSON of an older client, or the picture itself beside its query."""
        if not request.body_exists:
            raise InvalidRequest([Violation("body", Code.EMPTY_BODY, "is empty")])
        kind = media_type(request)
        if kind.startswith("image/"):
            data = await self._whole_body(request, self._limits.file)
            return Form(files=(FilePart(self._slot, None, kind, data, ImageRef.of(data)),))
        if self._operation is Operation.SEGMENT:
            if kind == "application/json":
                # Base64 is a third larger than the picture in it.
                limit = self._limits.file * 4 // 3 + _JSON_SLACK
                return _json_form(await self._whole_body(request, limit))
        elif query:
            raise InvalidRequest(
                [Violation(n, Code.QUERY_NOT_ALLOWED, "belongs into the form") for n, _ in query]
            )
        return await read_form(
            request.headers.get("Content-Type", ""),
            _chunks(request),
            self._limits,
            self._codec.is_slot,
        )

    async def _whole_body(self, request: web.Request, limit: int) -> bytes:
        chunks, size = [], 0
        async for chunk in _chunks(request):
            size += len(chunk)
            if size > limit:
                raise BodyTooLarge(f"the body is larger than {limit} bytes")
            chunks.append(chunk)
        return b"".join(chunks)


async def _chunks(request: web.Request) -> AsyncIterator[bytes]:
    """Yield the body as it comes. Raises InvalidRequest when its coding is broken."""
    try:
        async for chunk in request.content.iter_any():
            yield chunk
    except web.RequestPayloadError:
        text = "is not what Transfer-Encoding or Content-Encoding says"
        raise refusal("body", FormCode.BAD_CODING, text) from None


def _json_form(body: bytes) -> Form:
    """Read `{"image_file_b64": ..., "format": ...}`, the body of one older client."""
    try:
        # As pairs, so that a member that stands twice is seen.
        members: object = json.loads(body, object_pairs_hook=tuple)
    except (ValueError, RecursionError):
        members = None
    if not isinstance(members, tuple):
        raise _malformed("body", "must be a JSON object of texts")
    fields, files = [], []
    for name, value in members:
        if not _is_text(name):
            raise _malformed("body", "has a name that is no Unicode text")
        if name != "image_file_b64":
            fields.append((name, _member_text(name, value)))
        elif data := _member_bytes(name, value):
            files.append(FilePart("image_file", None, None, data, ImageRef.of(data)))
    return Form(tuple(fields), tuple(files))


def _member_text(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str) or not _is_text(value):
        raise _malformed(name[:_LONGEST_NAME], "must be a text")
    return value


def _member_bytes(name: str, value: object) -> bytes:
    try:
        return base64.b64decode(value if isinstance(value, str) else "?", validate=True)
    except ValueError:
        raise _malformed(name, "must be base64") from None


def _is_text(value: str) -> bool:
    r"""Whether it is Unicode text: JSON can escape half a character, as in `\ud800`."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _malformed(field: str, text: str) -> InvalidRequest:
    return InvalidRequest([Violation(field, Code.MALFORMED_JSON, text)])


def media_type(request: web.Request) -> str:
    """Return the media type of the body, in lower case and without parameters.

    aiohttp's own `content_type` parses the header as an e-mail's; half a millisecond for each new
    boundary, and every form has a new one.
    """
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def wants_json(request: web.Request) -> bool:
    """Whether the client takes JSON and no picture."""
    accept = request.headers.get("Accept", "").lower()
    return "application/json" in accept and "image/" not in accept and "*/*" not in accept


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): text for name, text in headers.items() if name[:3].lower() == "pr-"}
