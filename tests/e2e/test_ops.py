"""The operators' view: metrics, liveness, readiness, gRPC health and reflection; and how it all closes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.reflection_pb2 import (
    ServerReflectionRequest,
    ServerReflectionResponse,
)

from gateway.emulator.faults import FaultRule
from gateway.transport.rpc.services import SERVICES
from gateway.v1.account_service_pb2 import GetAccountRequest
from tests.client.waiting import until
from tests.e2e.harness import Reply, World, key_pair, world
from tests.e2e.metric_lines import counted
from tests.support.pictures import png

PICTURE = png()
WAIT = 20  # seconds after which a test has failed
OWN = tuple(f"gateway.v1.{name}Service" for name in ("Edit", "Blob", "Account", "Admin"))


async def fetched(w: World, path: str) -> tuple[int, str]:
    async with w.http.get(w.ops_url + path) as response:
        return response.status, await response.text()


async def test_a_gateway_that_takes_calls_is_alive_and_ready() -> None:
    async with world() as w:
        assert (200, "alive\n") == await fetched(w, "/livez")
        assert (200, "ready\n") == await fetched(w, "/readyz")


async def test_the_operators_door_serves_no_tenants_and_theirs_no_metrics() -> None:
    async with world() as w:
        assert 404 == (await fetched(w, "/v2/account"))[0]
        assert 404 == (await w.request("GET", "/metrics")).status


async def test_metrics_are_in_the_format_of_prometheus() -> None:
    async with world() as w, w.http.get(f"{w.ops_url}/metrics") as response:
        assert "text/plain" == response.content_type
        assert "# TYPE gateway_requests_total counter" in await response.text()


async def test_each_call_is_counted_by_door_operation_tenant_and_outcome() -> None:
    async with world() as w:
        await w.post("/v2/edit", [], {"imageFile": PICTURE})
        await w.post("/v1/segment", [], {"image_file": PICTURE})
        await w.request("GET", "/v2/account")

        labels = ("door", "operation", "tenant", "outcome")
        assert {
            ("rest", "v2/edit", "catalog", "OK"): 1,
            ("rest", "v1/segment", "catalog", "OK"): 1,
            ("rest", "account", "catalog", "OK"): 1,
        } == await counted(w, "gateway_requests_total", *labels)
        spent = await counted(w, "gateway_spent_credits_total", "tenant", "operation")
        assert {("catalog", "v2/edit"): 1, ("catalog", "v1/segment"): 0.2} == spent
        assert {} == await counted(w, "gateway_requests_in_flight", "door")


async def test_a_call_that_is_served_is_in_flight() -> None:
    async with world() as w:
        w.emulator.faults.add(FaultRule(gate="held"))
        call = asyncio.ensure_future(w.post("/v2/edit", [], {"imageFile": PICTURE}))
        await held(w)
        assert {("rest",): 1} == await counted(w, "gateway_requests_in_flight", "door")

        w.emulator.gates.open("held")
        await call
        assert {} == await counted(w, "gateway_requests_in_flight", "door")


def reflection(w: World) -> Callable[..., grpc.aio.StreamStreamCall[Any, Any]]:
    """The reflection service; the stub of its package knows no asyncio channel."""
    return w.channel.stream_stream(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        request_serializer=ServerReflectionRequest.SerializeToString,
        response_deserializer=ServerReflectionResponse.FromString,
    )


async def held(w: World) -> None:
    """Wait until the emulator holds a call at its gate."""
    async with asyncio.timeout(WAIT):
        await w.emulator.until(lambda: w.emulator.gates.waiting("held") == 1)


@pytest.mark.parametrize("service", ["", *OWN])
async def test_every_service_says_that_it_serves(service: str) -> None:
    async with world() as w:
        answer = await HealthStub(w.channel).Check(HealthCheckRequest(service=service))

        assert HealthCheckResponse.SERVING == answer.status


async def test_the_health_of_a_service_that_does_not_exist_is_not_found() -> None:
    async with world() as w:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await HealthStub(w.channel).Check(HealthCheckRequest(service="gateway.v1.Nothing"))

        assert grpc.StatusCode.NOT_FOUND == caught.value.code()


async def test_reflection_lists_the_services_and_their_messages() -> None:
    async def asked() -> AsyncIterator[ServerReflectionRequest]:
        yield ServerReflectionRequest(list_services="")
        yield ServerReflectionRequest(file_containing_symbol=OWN[0])

    async with world() as w:
        stream = reflection(w)(asked())
        listed, files = [answer async for answer in stream]

        names = {service.name for service in listed.list_services_response.service}
        assert {*OWN, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"} == names
        assert set(SERVICES) == set(OWN)
        assert files.file_descriptor_response.file_descriptor_proto


async def test_an_open_health_watch_hears_that_the_gateway_leaves_and_does_not_hold_it_up() -> None:
    async with world() as w:
        watch = HealthStub(w.channel).Watch(HealthCheckRequest())
        statuses = aiter(watch)
        assert HealthCheckResponse.SERVING == (await anext(statuses)).status

        async with asyncio.timeout(WAIT):
            stopping = asyncio.ensure_future(w.gateway.stop())
            assert HealthCheckResponse.NOT_SERVING == (await anext(statuses)).status
            await stopping


async def test_a_stream_that_nobody_ends_does_not_hold_up_the_closing_for_long() -> None:
    async def asked() -> AsyncIterator[ServerReflectionRequest]:
        yield ServerReflectionRequest(list_services="")
        await asyncio.Event().wait()

    async with world() as w:
        stream = reflection(w)(asked())
        await anext(aiter(stream))
        w.gateway.last_words = 0.1

        async with asyncio.timeout(WAIT):
            await w.gateway.stop()


async def rpc_is_refused(w: World) -> bool:
    """Whether a new RPC is not served; grpc may forget one that meets the closing itself."""
    try:
        await w.accounts.GetAccount(GetAccountRequest(), metadata=key_pair(), timeout=1)
    except grpc.aio.AioRpcError as error:
        return error.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
    return False


async def test_a_gateway_that_stops_answers_what_it_has_taken_and_takes_no_more() -> None:
    async with world() as w:
        w.emulator.faults.add(FaultRule(gate="held", times=1))
        call = asyncio.ensure_future(w.post("/v2/edit", [], {"imageFile": PICTURE}))
        await held(w)
        w.gateway.last_words = 0.1
        async with asyncio.timeout(WAIT):
            stopping = asyncio.ensure_future(w.gateway.stop())
            await until(lambda: rpc_is_refused(w))
            with pytest.raises(aiohttp.ClientConnectorError):  # REST closes first
                await w.request("GET", "/v2/account")
            assert (503, "not ready\n") == await fetched(w, "/readyz")
            assert (200, "alive\n") == await fetched(w, "/livez")
            assert not call.done()
            w.emulator.gates.open("held")
            reply: Reply = await call
            await stopping

        assert 200 == reply.status
        assert 1 == w.emulator.bill.charges
        assert 0 == len(w.gateway.flights)
