"""Replicas as processes of their own before one emulator, which runs in the test's process."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import grpc
from prometheus_client.parser import text_string_to_metric_families

from gateway.emulator import Emulator, EmulatorSettings
from gateway.v1.edit_pb2 import Edit
from gateway.v1.edit_service_pb2 import EditImageRequest
from gateway.v1.edit_service_pb2_grpc import EditServiceStub
from tests.e2e.asks import Ask
from tests.e2e.harness import CATALOG_KEY, key_pair, rpc_failure
from tests.e2e.serving import Serving, configuration, serving
from tests.servers.process import Server

__all__ = ["DEADLINE", "DOORS", "Answer", "Fleet", "Replica", "fleet", "followers", "phases"]

DOORS = ("rest", "grpc")
DEADLINE = 25.0
"""Seconds that every caller gives its call."""

_SLACK = 5.0
"""Seconds beyond the deadline after which a call hangs: this machine may be busy."""

_OK = "200"
_CUT = "cut"


@dataclass(frozen=True, slots=True)
class Answer:
    """`outcome` is 200, the reason of an error, or `cut` for a connection that was lost."""

    outcome: str
    body: bytes
    hit: bool = False


@dataclass(frozen=True, slots=True)
class Replica:
    """A gateway in a process, and a client at each of its doors."""

    served: Serving
    http: aiohttp.ClientSession
    channel: grpc.aio.Channel

    async def ask(self, door: str, ask: Ask) -> Answer:
        """Ask with a deadline; fails when nothing has come long after it."""
        async with asyncio.timeout(DEADLINE + _SLACK):
            return await (self._rest(ask, {}) if door == "rest" else self._grpc(ask))

    async def look(self, ask: Ask) -> Answer:
        """Ask for what is stored, and buy nothing."""
        async with asyncio.timeout(DEADLINE + _SLACK):
            return await self._rest(ask, {"Gateway-Cache": "only-if-cached"})

    async def _rest(self, ask: Ask, more: Mapping[str, str]) -> Answer:
        form = aiohttp.FormData()
        for name, text in ask.texts.items():
            form.add_field(name, text)
        for name, data in ask.files.items():
            form.add_field(name, data, filename="picture", content_type="image/png")
        headers = {"x-api-key": CATALOG_KEY, "Request-Timeout": str(DEADLINE), **more}
        url = f"{self.served.rest_url}/v2/edit"
        try:
            async with self.http.post(url, data=form, headers=headers) as response:
                body = await response.read()
                hit = "; hit" in response.headers.get("Cache-Status", "")
                if response.status == 200:
                    return Answer(_OK, body, hit)
                return Answer((await response.json())["error"]["type"], body)
        except aiohttp.ClientError:
            return Answer(_CUT, b"")

    async def _grpc(self, ask: Ask) -> Answer:
        message = ask.message
        assert isinstance(message, Edit)
        stub = EditServiceStub(self.channel)
        try:
            response = await stub.EditImage(
                EditImageRequest(edit=message), metadata=key_pair(), timeout=DEADLINE
            )
        except grpc.aio.AioRpcError as error:
            return Answer(rpc_failure(error).reason or _CUT, b"")
        return Answer(_OK, response.result.image, response.result.cache.hit)

    async def number(self, metric: str) -> float:
        """The sum of a metric's samples."""
        async with self.http.get(f"{self.served.ops_url}/metrics") as response:
            families = text_string_to_metric_families(await response.text())
        return sum(s.value for f in families for s in f.samples if s.name == metric)

    def freeze(self) -> None:
        """Let it hang."""
        self.served.process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        """End it without notice."""
        self.served.process.kill()


@dataclass(frozen=True, slots=True)
class Fleet:
    """Replicas and what they buy from."""

    emulator: Emulator
    replicas: Sequence[Replica]

    @property
    def billed(self) -> int:
        """Calls that the upstream has charged."""
        return self.emulator.bill.charges

    @property
    def bought(self) -> Counter[str]:
        """How often each edit was charged, by what the emulator drew."""
        return Counter(line.settings for line in self.emulator.bill.lines)

    async def in_flight(self) -> float:
        """Calls that the replicas are serving."""
        return sum([await r.number("gateway_requests_in_flight") for r in self.replicas])


@asynccontextmanager
async def fleet(
    count: int,
    folder: Path,
    redis: str,
    *,
    cache: str | None = None,
    time_out: str = "2s",
    settings: EmulatorSettings | None = None,
) -> AsyncIterator[Fleet]:
    """Run replicas on one Redis, or on one for state and one for the `cache`."""
    async with AsyncExitStack() as stack:
        emulator = await stack.enter_async_context(Emulator(settings))
        urls = {"state_url": redis} | ({"cache_url": cache} if cache else {})
        document = configuration(emulator, redis=urls)
        document["upstream"]["timeouts"] = {"edit": time_out, "generative": time_out}
        folders = [folder / f"replica{i}" for i in range(count)]
        for one in folders:
            one.mkdir()
        running = [stack.enter_async_context(serving(document, one)) for one in folders]
        replicas = [await _clients(served, stack) for served in await asyncio.gather(*running)]
        yield Fleet(emulator, replicas)


async def _clients(served: Serving, stack: AsyncExitStack) -> Replica:
    connector = aiohttp.TCPConnector(limit=0)
    http = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{served.grpc}")
    return Replica(served, http, await stack.enter_async_context(channel))


def phases(state: Server) -> list[str]:
    """The phase of every flight that the board knows."""
    return [state.admin("HGET", name, "phase").decode() for name in _flights(state)]


def followers(state: Server) -> int:
    """How many replicas follow a flight."""
    fields = [f for name in _flights(state) for f in state.admin("HKEYS", name)]
    return sum(f.startswith(b"follower:") for f in fields)


def _flights(state: Server) -> list[str]:
    return [name.decode() for name in state.admin("KEYS", "pg1:{ctl}:flight:*")]
