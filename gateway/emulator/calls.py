"""The way of a paid call: admit, read, draw, charge, answer; and where a fault meets it."""

import asyncio
import base64
import hashlib
from collections.abc import Mapping
from typing import NoReturn

from aiohttp import web

from gateway.emulator.accounts import Access
from gateway.emulator.answers import fault_answer
from gateway.emulator.drawing import Drawn, draw_edit
from gateway.emulator.faults import Cut, FaultRule, Wrong
from gateway.emulator.fetching import fetch_images
from gateway.emulator.forms import Form, read_form
from gateway.emulator.reading import read_edit, read_segment
from gateway.emulator.segment import draw_segment
from gateway.emulator.state import RecordedFile, RecordedRequest, State
from gateway.emulator.values import Refused, Settings

__all__ = ["answer_call", "cut_connection", "record", "wait_as_scripted"]

_GENERATIVE = (
    "background.prompt",
    "beautify.mode",
    "describeAnyChange.mode",
    "editWithAI.mode",
    "expand.mode",
    "flatLay.mode",
    "ghostMannequin.mode",
    "imageFromPrompt.prompt",
    "uncrop.mode",
    "virtualModel.mode",
)


async def answer_call(
    state: State, request: web.Request, operation: str, rule: FaultRule
) -> web.StreamResponse:
    """Answer a call of `operation` (edit, segment); raises `Refused` for every error.

    The limiter sees a call when its head arrives, as a proxy's does; the body is read to its end
    before any refusal, as clients that are still writing would not read it.
    """
    if rule.cut is Cut.BEFORE_BODY:
        cut_connection(request)
    access = _admitted(state, request, operation)
    form = await read_form(request)
    record(state, request, form)
    if isinstance(access, Refused):
        raise access
    if rule.status is not None and not rule.charged:
        await wait_as_scripted(state, rule)
        return fault_answer(operation, rule)
    settings = _read(request, operation, form)
    _check_template(state, access, settings)
    await wait_as_scripted(state, rule, _latency(state, settings))
    drawn = await _draw(settings, form, watermark=access.sandbox)
    if rule.cut is Cut.BEFORE_CHARGE:
        cut_connection(request)
    charge = state.charge(access, settings)
    state.changed()
    if rule.gate is not None and rule.gate_after_charge:
        await state.pass_gate(rule.gate)
    if rule.cut is Cut.AFTER_CHARGE:
        cut_connection(request)
    if rule.status is not None:
        return fault_answer(operation, rule)
    headers = _headers(drawn, settings, rule, charge.id)
    return _answer(request, form, drawn, headers, rule)


async def wait_as_scripted(
    state: State, rule: FaultRule, configured: tuple[float, float] = (0.0, 0.0)
) -> None:
    """Let the configured latency pass, or the rule's; then wait at its gate."""
    seconds = state.latency_s(rule.latency_s or configured)
    if seconds:
        await asyncio.sleep(seconds)
    if rule.gate is not None and not rule.gate_after_charge:
        await state.pass_gate(rule.gate)


def cut_connection(request: web.Request, *last: bytes) -> NoReturn:
    """Close the connection after the `last` bytes, if any, and end the call without an answer."""
    if request.transport is not None:
        for data in last:
            request.transport.write(data)
        request.transport.close()
    raise ConnectionResetError("cut by a scripted fault")


def record(state: State, request: web.Request, form: Form) -> None:
    """Keep what was asked, without the key itself."""
    files = tuple(
        RecordedFile(
            name,
            hashlib.sha256(file.data).hexdigest(),
            len(file.data),
            file.filename,
            file.content_type,
        )
        for name, file in form.files.items()
    )
    headers = tuple(
        (name.lower(), text)
        for name, text in request.headers.items()
        if name.lower() != "x-api-key"
    )
    key = state.accounts.key_id(request.headers.get("x-api-key"))
    state.requests.append(
        RecordedRequest(request.method, request.path, tuple(form.params), files, headers, key)
    )


def _admitted(state: State, request: web.Request, operation: str) -> Access | Refused:
    try:
        access = state.accounts.access(request.headers.get("x-api-key"))
        state.accounts.admit(access, operation, state.clock())
    except Refused as refused:
        return refused
    return access


def _read(request: web.Request, operation: str, form: Form) -> Settings:
    files = {name: file.data for name, file in form.files.items()}
    headers = {name.lower(): text for name, text in request.headers.items()}
    if operation == "segment":
        return read_segment(form.params, files, headers)
    if form.json:
        raise Refused(400, "The body must be multipart/form-data")
    if request.method == "POST" and request.query:
        raise Refused(400, "Parameters in the query string are not allowed in a POST request")
    return read_edit(form.params, files, headers, request.method)


def _check_template(state: State, access: Access, settings: Settings) -> None:
    template = settings.text("templateId")
    if template is not None and not state.accounts.owns_template(access, template):
        raise Refused(400, f"Template {template} was not found")


def _latency(state: State, settings: Settings) -> tuple[float, float]:
    latency = state.settings.latency
    if settings.operation == "segment":
        return latency.segment
    return latency.generative if any(map(settings.has, _GENERATIVE)) else latency.edit


async def _draw(settings: Settings, form: Form, *, watermark: bool) -> Drawn:
    images = {name: file.data for name, file in form.files.items()}
    if settings.operation == "segment":
        data = images["image_file"]
        return await asyncio.to_thread(draw_segment, settings, data, watermark=watermark)
    images.update(await fetch_images(settings))
    return await asyncio.to_thread(draw_edit, settings, images, watermark=watermark)


def _headers(drawn: Drawn, settings: Settings, rule: FaultRule, charge: int) -> dict[str, str]:
    headers = dict(drawn.headers)
    unsupported = settings.unsupported + rule.unsupported
    if unsupported:
        names = ", ".join(unsupported)
        headers["pr-unsupported-attributes"] = f"Unsupported attributes: {names}"
    if settings.operation == "edit":
        headers["pr-edit-further-url"] = f"https://app.photoroom.com/emulated/{charge}"
    return headers


def _answer(
    request: web.Request, form: Form, drawn: Drawn, headers: Mapping[str, str], rule: FaultRule
) -> web.Response:
    if rule.wrong is Wrong.JSON:
        return web.json_response({"status": "ok"}, headers=headers)
    accept = request.headers.get("Accept", "")
    body, content_type = drawn.body, drawn.content_type
    segment = request.path == "/v1/segment"
    if segment and (form.json or ("application/json" in accept and "image/" not in accept)):
        name = "result_b64" if form.json else "base64img"
        body = b'{"%s":"%s"}' % (name.encode(), base64.b64encode(body))
        content_type = "application/json"
    if rule.wrong is Wrong.EMPTY:
        body = b""
    if rule.cut is not None:
        half = body[: len(body) // 2] if rule.cut is Cut.MID_BODY else b""
        cut_connection(request, _head(body, content_type, headers), half)
    return web.Response(body=body, content_type=content_type, headers=headers)


def _head(body: bytes, content_type: str, headers: Mapping[str, str]) -> bytes:
    """The head of a 200 as it goes over the wire."""
    lines = {"Content-Type": content_type, "Content-Length": str(len(body)), **headers}
    text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 200 OK\r\n{text}\r\n".encode()
