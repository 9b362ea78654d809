"""The emulator's HTTP application: the vendor's four endpoints and the control calls."""

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from gateway.emulator.answers import fault_answer, not_found, refusal_answer
from gateway.emulator.calls import answer_call, cut_connection, record, wait_as_scripted
from gateway.emulator.config import EmulatorSettings
from gateway.emulator.control import CONTROL_PREFIX, add_control_routes
from gateway.emulator.faults import FaultRule
from gateway.emulator.forms import Form
from gateway.emulator.state import State
from gateway.emulator.values import Refused

__all__ = ["create_app"]

_OPERATIONS = {
    "/v2/edit": "edit",
    "/v1/segment": "segment",
    "/v2/account": "account",
    "/v1/account": "account",
}


def create_app(settings: EmulatorSettings, state: State | None = None) -> web.Application:
    """An application that serves one emulator; `state` when the caller keeps it."""
    state = state or State(settings)
    app = web.Application(middlewares=[_counting(state)])
    endpoints = _Endpoints(state)
    app.router.add_get("/v2/edit", endpoints.edit, allow_head=False)
    app.router.add_post("/v2/edit", endpoints.edit)
    app.router.add_post("/v1/segment", endpoints.segment)
    app.router.add_get("/v2/account", endpoints.account, allow_head=False)
    app.router.add_get("/v1/account", endpoints.account, allow_head=False)
    add_control_routes(app, state)
    return app


def _counting(state: State) -> Middleware:
    """A middleware that counts every head that arrives and every answer, and words refusals.

    Account calls cost nothing and may come at any time: they are counted apart, and only once.
    """

    @web.middleware
    async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(CONTROL_PREFIX):
            return await handler(request)
        operation = _OPERATIONS.get(request.path, "unknown")
        if operation == "account":
            state.bill.count_question(request.method, request.path)
            state.changed()
            return await _answer(handler, request, operation)
        key = state.accounts.key_id(request.headers.get("x-api-key"))
        path = request.path if operation != "unknown" else "(unknown)"
        state.bill.count_request(request.method, path, key)
        state.changed()
        try:
            answer = await _answer(handler, request, operation)
        except ConnectionError:
            state.bill.count_answer("cut")
            state.changed()
            raise
        state.bill.count_answer(str(answer.status))
        state.changed()
        return answer

    return count


async def _answer(handler: Handler, request: web.Request, operation: str) -> web.StreamResponse:
    """The handler's answer, or the one that its refusal is worded as."""
    try:
        return await handler(request)
    except Refused as refused:
        return refusal_answer(operation, refused)
    except web.HTTPException as error:
        return not_found() if error.status == 404 else error


class _Endpoints:
    def __init__(self, state: State) -> None:
        self._state = state

    async def edit(self, request: web.Request) -> web.StreamResponse:
        return await answer_call(self._state, request, "edit", self._rule(request, "edit"))

    async def segment(self, request: web.Request) -> web.StreamResponse:
        return await answer_call(self._state, request, "segment", self._rule(request, "segment"))

    async def account(self, request: web.Request) -> web.StreamResponse:
        state, rule = self._state, self._rule(request, "account")
        if rule.cut is not None:
            cut_connection(request)
        record(state, request, Form(params=list(request.query.items())))
        await wait_as_scripted(state, rule)
        if rule.status is not None:
            return fault_answer("account", rule)
        secret = request.headers.get("x-api-key")
        if secret is None:
            raise Refused(400, "apiKey: Required")
        version = 1 if request.path.startswith("/v1/") else 2
        shown = state.accounts.shown(state.accounts.access(secret), version, state.clock())
        images = {"available": shown.available, "subscription": shown.subscription}
        document: dict[str, object] = {"images": images, "plan": shown.plan}
        return web.json_response({"credits": images} if version == 1 else document)

    def _rule(self, request: web.Request, operation: str) -> FaultRule:
        key = self._state.accounts.key_id(request.headers.get("x-api-key"))
        return self._state.faults.take(operation, key, request.method, request.path)
