"""What is measured, running: the gateway with its cache filled, bare servers, and the idle upstream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path

from bench.asks import HttpAsk, edit_message, get, multipart, picture, raw
from bench.load import BadAnswer, GrpcLoad, HttpLoad, Load
from bench.machine import GENERATOR_CORE, SERVER_CORE
from bench.processes import KEY, Emulator, bare_server, free_ports, write_config
from bench.rounds import Contestant
from gateway.v1.edit_service_pb2 import EditImageResponse

__all__ = ["Scenario", "World", "running_world"]

_METHOD = "/gateway.v1.EditService/EditImage"
_METADATA = (("x-api-key", KEY),)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of hit. `goal` is the share of the bare server's rate that is wanted, if any."""

    name: str
    goal: float | None
    gateway: Contestant
    bare: Contestant


@dataclass(frozen=True, slots=True)
class World:
    """All contestants, ready; `charges` is what filling the cache cost."""

    scenarios: tuple[Scenario, ...]
    emulator: Emulator
    charges: int
    asked_bytes: int
    answered_bytes: int


@dataclass(frozen=True, slots=True)
class _Asks:
    """The same edit for every door."""

    multipart: HttpAsk
    raw: HttpAsk
    get: HttpAsk
    message: bytes = field(repr=False)

    def http(self, ask: HttpAsk, port: int, path: str = "/v2/edit") -> Load:
        return HttpLoad(port, repeat(ask.to(path)))

    def grpc(self, port: int) -> Load:
        return GrpcLoad(port, _METHOD, self.message, _METADATA)


@asynccontextmanager
async def running_world(folder: Path) -> AsyncIterator[World]:
    """Start everything, buy each answer once, and check that all doors give the same picture."""
    data = picture()
    with ExitStack() as stack:
        emulator = Emulator(free_ports(1)[0], folder / "emulator.log")
        stack.enter_context(emulator.running(GENERATOR_CORE))
        source = stack.enter_context(bare_server(folder, "source", "http", data, GENERATOR_CORE))
        gateway = write_config(folder, "gateway", emulator.url)
        pid = stack.enter_context(gateway.running())
        no_memory = write_config(folder, "no-memory", emulator.url, cache={"memory": "0B"})
        no_memory_pid = stack.enter_context(no_memory.running())

        url = f"http://127.0.0.1:{source.port}/get"
        asks = _Asks(multipart(data), raw(data), get(url), edit_message(data).SerializeToString())
        answer = await asks.http(asks.multipart, gateway.rest).once()
        message = await asks.grpc(gateway.grpc).once()
        http = stack.enter_context(bare_server(folder, "http", "http", answer, SERVER_CORE))
        rpc = stack.enter_context(bare_server(folder, "grpc", "grpc", message, SERVER_CORE))

        def rest(name: str, goal: float | None, ask: HttpAsk, path: str) -> Scenario:
            ours = Contestant(pid, asks.http(ask, gateway.rest))
            return Scenario(name, goal, ours, Contestant(http.pid, asks.http(ask, http.port, path)))

        cold = Contestant(no_memory_pid, asks.http(asks.raw, no_memory.rest))
        raw_body = rest("REST raw body", 0.5, asks.raw, "/raw")
        scenarios = (
            rest("REST multipart", 0.45, asks.multipart, "/multipart"),
            raw_body,
            rest("REST GET", 0.5, asks.get, "/get"),
            Scenario(
                "gRPC",
                0.65,
                Contestant(pid, asks.grpc(gateway.grpc)),
                Contestant(rpc.pid, asks.grpc(rpc.port)),
            ),
            Scenario("REST raw body, from Redis", None, cold, raw_body.bare),
        )
        await _check(scenarios, answer)
        yield World(scenarios, emulator, emulator.charges(), len(data), len(answer))


async def _check(scenarios: Iterable[Scenario], answer: bytes) -> None:
    """Make each call once. Raises BadAnswer when they do not all give the same picture."""
    for scenario in scenarios:
        for load in (scenario.gateway.load, scenario.bare.load):
            body = await load.once()
            if isinstance(load, GrpcLoad):
                body = EditImageResponse.FromString(body).result.image
            if body != answer:
                raise BadAnswer(f"{scenario.name}: another picture")
