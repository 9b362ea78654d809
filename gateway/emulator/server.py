"""Serves an emulator on an address: inside a test's loop, or for as long as a command runs."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from aiohttp import web

from gateway.emulator.accounts import Accounts
from gateway.emulator.app import create_app
from gateway.emulator.bill import Bill
from gateway.emulator.config import EmulatorSettings
from gateway.emulator.faults import Faults, Gates
from gateway.emulator.state import RecordedRequest, State

__all__ = ["Emulator", "serve"]

_LAST_WORDS_S = 0.1  # what calls in progress have when the emulator stops


class Emulator:
    """A Photoroom that lives in the current loop, in an `async with`.

    It listens on loopback; port 0 takes a free one. Its parts are there to be read and scripted
    directly: `bill`, `accounts`, `faults`, `gates`, `requests`.
    """

    def __init__(
        self,
        settings: EmulatorSettings | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings or EmulatorSettings()
        self._state = State(self.settings, clock)
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None

    def __repr__(self) -> str:
        return f"Emulator({self.url}, charges={self.bill.charges})"

    async def __aenter__(self) -> Self:
        """Start to listen."""
        app = create_app(self.settings, self._state)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_LAST_WORDS_S)
        await runner.setup()
        site = web.TCPSite(runner, self._host, self._port)
        await site.start()
        self._port = runner.addresses[0][1]
        self._runner = runner
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let held calls go, close every connection."""
        self.gates.open_all()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def url(self) -> str:
        """The base URL of both endpoints, without a slash at its end."""
        return f"http://{self._host}:{self._port}"

    @property
    def bill(self) -> Bill:
        """What was charged and asked."""
        return self._state.bill

    @property
    def accounts(self) -> Accounts:
        """What accounts have left; to set it, and the status of keys."""
        return self._state.accounts

    @property
    def faults(self) -> Faults:
        """The scripted faults."""
        return self._state.faults

    @property
    def gates(self) -> Gates:
        """The gates that faults hold calls at."""
        return self._state.gates

    @property
    def requests(self) -> deque[RecordedRequest]:
        """The last thousand requests that were read to their end."""
        return self._state.requests

    async def until(self, fact: Callable[[], bool]) -> None:
        """Wait until `fact` holds, such as `lambda: emulator.bill.charges == 2`.

        It is asked again after every request, charge, answer, and arrival at a gate.
        """
        await self._state.until(fact)

    def reset(self) -> None:
        """Forget everything that happened and every fault."""
        self._state.reset()


async def serve(settings: EmulatorSettings, host: str, port: int) -> None:
    """Serve an emulator until the task is cancelled."""
    async with Emulator(settings, host=host, port=port):
        await asyncio.Event().wait()
