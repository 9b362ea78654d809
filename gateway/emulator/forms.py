"""Reads what a call carries: query, form, or the JSON that one older client sends."""

import base64
import binascii
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from aiohttp import web
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from gateway.emulator.reading import refuse_duplicates
from gateway.emulator.values import Refused

__all__ = ["FilePart", "Form", "read_form"]

_MOST_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file of a form, and what its sender said about it."""

    data: bytes
    filename: str | None
    content_type: str | None


@dataclass(slots=True)
class Form:
    """The parameters of a call in the order sent, and its files; `json` when it came as JSON."""

    params: list[tuple[str, str]] = field(default_factory=list)
    files: dict[str, FilePart] = field(default_factory=dict)
    json: bool = False


async def read_form(request: web.Request) -> Form:
    """Read a call to its last byte; raises `Refused` for a body that cannot be read."""
    form = Form(params=list(request.query.items()))
    if request.method != "POST":
        return form
    content_type, options = parse_options_header(request.headers.get("Content-Type", ""))
    if content_type == "multipart/form-data":
        await _read_multipart(request, options.get("boundary", ""), form)
        return form
    data = b"".join([chunk async for chunk in _chunks(request)])
    if content_type == "application/x-www-form-urlencoded":
        form.params += parse_qsl(data.decode(errors="replace"), keep_blank_values=True)
    elif content_type == "application/json":
        _read_json(data, form)
    elif data:
        raise Refused(400, "The body must be multipart/form-data", "invalid_request")
    return form


async def _chunks(request: web.Request) -> AsyncIterator[bytes]:
    total = 0
    async for chunk in request.content.iter_any():
        total += len(chunk)
        if total > _MOST_BYTES:
            raise Refused(413, "Request Entity Too Large", "too_large")
        yield chunk


async def _read_multipart(request: web.Request, boundary: str, form: Form) -> None:
    names = []
    try:
        with PushMultipartParser(boundary) as parser:
            segment: MultipartSegment | None = None
            data: list[bytes] = []
            async for chunk in _chunks(request):
                for event in parser.parse(chunk):
                    if isinstance(event, MultipartSegment):
                        segment, data = event, []
                    elif event:
                        data.append(bytes(event))
                    elif segment is not None:
                        names.append(segment.name or "")
                        _keep(segment, b"".join(data), form)
    except MultipartError:
        raise Refused(400, "The multipart body cannot be read", "invalid_request") from None
    refuse_duplicates(names)


def _keep(segment: MultipartSegment, data: bytes, form: Form) -> None:
    name = segment.name or ""
    typed = segment.content_type not in {None, "text/plain"}
    if segment.filename is not None or typed:
        form.files[name] = FilePart(data, segment.filename, segment.content_type)
    else:
        form.params.append((name, data.decode(errors="replace")))


def _read_json(data: bytes, form: Form) -> None:
    """`{"image_file_b64": ..., <options>}`, which `/v1/segment` takes."""
    form.json = True
    try:
        document = json.loads(data)
        if not isinstance(document, dict):
            raise Refused(400, "The body must be a JSON object", "invalid_request")
        encoded = document.pop("image_file_b64", None)
        if isinstance(encoded, str):
            form.files["image_file"] = FilePart(base64.b64decode(encoded), None, None)
    except (json.JSONDecodeError, UnicodeDecodeError, binascii.Error):
        raise Refused(400, "The JSON body cannot be read", "invalid_request") from None
    for name, value in document.items():
        form.params.append((name, value if isinstance(value, str) else json.dumps(value)))
