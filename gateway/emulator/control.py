"""The control calls under `/_emulator/`: read the bill, script faults, open gates."""

import json
from dataclasses import asdict

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from gateway.emulator.faults import read_rules
from gateway.emulator.state import State

__all__ = ["CONTROL_PREFIX", "add_control_routes"]

CONTROL_PREFIX = "/_emulator/"


class _AccountChange(BaseModel):
    """A change of an account's images, or of a key's status (null: the key works again)."""

    model_config = ConfigDict(extra="forbid")

    account: str | None = None
    available: float | None = None
    key: str | None = None
    status: int | None = None


def add_control_routes(app: web.Application, state: State) -> None:
    """Put the control calls into an application."""
    control = _Control(state)
    app.router.add_get("/_emulator/healthz", control.healthz)
    app.router.add_get("/_emulator/bill", control.bill)
    app.router.add_get("/_emulator/requests", control.requests)
    app.router.add_post("/_emulator/faults", control.add_faults)
    app.router.add_delete("/_emulator/faults", control.clear_faults)
    app.router.add_post("/_emulator/reset", control.reset)
    app.router.add_post("/_emulator/gates/{name}/open", control.open_gate)
    app.router.add_post("/_emulator/accounts", control.change_account)


class _Control:
    def __init__(self, state: State) -> None:
        self._state = state

    async def healthz(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def bill(self, _: web.Request) -> web.Response:
        return web.json_response(self._state.bill.document())

    async def requests(self, _: web.Request) -> web.Response:
        return web.json_response([asdict(request) for request in self._state.requests])

    async def add_faults(self, request: web.Request) -> web.Response:
        try:
            rules = read_rules(await request.read())
        except ValueError as error:
            return _bad(str(error))
        self._state.faults.add(*rules)
        return web.json_response({"added": len(rules)})

    async def clear_faults(self, _: web.Request) -> web.Response:
        self._state.faults.clear()
        return web.json_response({})

    async def reset(self, _: web.Request) -> web.Response:
        self._state.reset()
        return web.json_response({})

    async def open_gate(self, request: web.Request) -> web.Response:
        self._state.gates.open(request.match_info["name"])
        return web.json_response({})

    async def change_account(self, request: web.Request) -> web.Response:
        try:
            change = _AccountChange.model_validate(json.loads(await request.read()))
            if change.account is not None and change.available is not None:
                self._state.accounts.set_available(change.account, change.available)
            if change.key is not None:
                self._state.accounts.set_status(change.key, change.status)
        except (ValidationError, ValueError) as error:
            return _bad(str(error))
        except KeyError as error:
            return _bad(f"no such account or key: {error}")
        return web.json_response({})


def _bad(message: str) -> web.Response:
    return web.json_response({"error": {"message": message}}, status=400)
