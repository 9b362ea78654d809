"""What a REST request carries, read into a draft."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping

from aiohttp import web

from gateway.domain.edit import ImageRef, Operation
from gateway.domain.errors import BodyTooLarge, InvalidRequest, Violation
from gateway.domain.picture_rules import PICTURE_LIMITS
from gateway.domain.tenant import Tenant
from gateway.domain.violations import Code
from gateway.ports import Draft
from gateway.transport.codec import WireCodec, WireFile
from gateway.transport.form import FilePart, Form, FormLimits
from gateway.transport.multipart_reader import read_form
from gateway.transport.urlencoded import parse_urlencoded

__all__ = ["BodyReader", "wants_json"]

_MIB = 1024 * 1024
_JSON_SLACK = 64 * 1024


class BodyReader:
    """Reads requests of one operation."""

    def __init__(self, codec: WireCodec, operation: Operation) -> None:
        self._codec = codec
        self._operation = operation
        picture = PICTURE_LIMITS[operation].max_bytes
        # Several pictures may stand in one edit; all of them together are bounded too.
        together = 3 * picture if operation is Operation.EDIT else picture + _MIB
        self._limits = FormLimits(body=together, file=picture)

    async def read(self, request: web.Request, tenant: Tenant) -> Draft:
        """Read query and body. Raises InvalidRequest and BodyTooLarge."""
        query = parse_urlencoded(request.rel_url.raw_query_string, self._limits)
        if request.method == "GET":
            return self._draft(Form(fields=query), request, tenant)
        if request.content_type == "application/json" and self._operation is Operation.SEGMENT:
            form = self._json_form(await self._whole_body(request))
        else:
            if not request.body_exists:
                raise InvalidRequest([Violation("body", Code.EMPTY_BODY, "is empty")])
            form = await read_form(
                request.headers.get("Content-Type", ""),
                request.content.iter_any(),
                self._limits,
                self._codec.is_slot,
            )
        if query and self._operation is Operation.EDIT:
            raise InvalidRequest(
                [Violation(n, Code.QUERY_NOT_ALLOWED, "belongs into the form") for n, _ in query]
            )
        return self._draft(Form(query + form.fields, form.files), request, tenant)

    def _draft(self, form: Form, request: web.Request, tenant: Tenant) -> Draft:
        files = [WireFile(part.name, part.data, part.ref) for part in form.files]
        return self._codec.read(form.fields, files, _lower(request.headers), tenant)

    async def _whole_body(self, request: web.Request) -> bytes:
        """Read a JSON body: base64 is a third larger than the picture in it."""
        limit = self._limits.file * 4 // 3 + _JSON_SLACK
        chunks, size = [], 0
        async for chunk in request.content.iter_any():
            size += len(chunk)
            if size > limit:
                raise BodyTooLarge(f"the body is larger than {limit} bytes")
            chunks.append(chunk)
        return b"".join(chunks)

    @staticmethod
    def _json_form(body: bytes) -> Form:
        """Read `{"image_file_b64": ..., "format": ...}`, the body of one older client."""
        wrong = [Violation("body", Code.MALFORMED_JSON, "must be a JSON object of texts")]
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            raise InvalidRequest(wrong) from None
        if not isinstance(value, dict):
            raise InvalidRequest(wrong)
        encoded = value.pop("image_file_b64", "")
        fields = []
        for name, item in value.items():
            if isinstance(item, bool):
                fields.append((name, "true" if item else "false"))
            elif isinstance(item, str):
                fields.append((name, item))
            else:
                raise InvalidRequest([Violation(name[:256], Code.MALFORMED_JSON, "must be a text")])
        try:
            data = base64.b64decode(encoded, validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise InvalidRequest(
                [Violation("image_file_b64", Code.MALFORMED_JSON, "must be base64")]
            ) from None
        picture = FilePart("image_file", None, None, data, ImageRef.of(data))
        return Form(tuple(fields), (picture,) if encoded else ())


def wants_json(request: web.Request) -> bool:
    """Whether the client takes JSON and no picture."""
    accept = request.headers.get("Accept", "").lower()
    return "application/json" in accept and "image/" not in accept and "*/*" not in accept


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): text for name, text in headers.items() if name[:3].lower() == "pr-"}
