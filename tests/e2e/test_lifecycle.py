"""The process from its start to its end: what it says, what it finishes, and how it exits."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from pathlib import Path

import aiohttp
import grpc
import pytest

from gateway.emulator import Emulator
from gateway.emulator.faults import FaultRule
from gateway.v1.edit_service_pb2 import EditImageRequest, EditImageResponse
from gateway.v1.edit_service_pb2_grpc import EditServiceStub
from tests.client.waiting import until
from tests.e2e.harness import CATALOG_KEY, key_pair
from tests.e2e.serving import PATIENCE, Serving, configuration, serving, start
from tests.support.pictures import png

PICTURE = png()
KEY = {"x-api-key": CATALOG_KEY}


async def status_of(http: aiohttp.ClientSession, url: str) -> int | None:
    """The status of a GET, None when the connection is refused or lost."""
    try:
        async with asyncio.timeout(PATIENCE), http.get(url, headers=KEY) as response:
            return response.status
    except aiohttp.ClientError:
        return None


async def until_it_answers(http: aiohttp.ClientSession, url: str, status: int | None) -> None:
    """Ask until the status is that one; None: until the connection is refused."""

    async def is_so() -> bool:
        return await status_of(http, url) == status

    await until(is_so)


async def edited(http: aiohttp.ClientSession, served: Serving) -> tuple[int, bytes]:
    headers = {**KEY, "Content-Type": "image/png"}
    async with http.post(f"{served.rest_url}/v2/edit", data=PICTURE, headers=headers) as response:
        return response.status, await response.read()


async def edited_over_grpc(channel: grpc.aio.Channel) -> EditImageResponse:
    request = EditImageRequest()
    request.edit.image_file.data = PICTURE
    request.edit.padding.ratio = 0.1
    return await EditServiceStub(channel).EditImage(request, metadata=key_pair())


async def test_sigterm_lets_calls_in_flight_finish_takes_no_more_and_exits_with_0(
    tmp_path: Path,
) -> None:
    async with (
        Emulator() as emulator,
        serving(configuration(emulator), tmp_path) as served,
        aiohttp.ClientSession() as http,
        grpc.aio.insecure_channel(f"127.0.0.1:{served.grpc}") as channel,
        asyncio.timeout(PATIENCE),
    ):
        assert 200 == await status_of(http, f"{served.ops_url}/readyz")
        emulator.faults.add(FaultRule(gate="held"))
        rest = asyncio.ensure_future(edited(http, served))
        rpc = asyncio.ensure_future(edited_over_grpc(channel))
        await emulator.until(lambda: emulator.gates.waiting("held") == 2)

        served.process.send_signal(signal.SIGTERM)
        await until_it_answers(http, f"{served.ops_url}/readyz", 503)
        await until_it_answers(http, f"{served.rest_url}/v2/account", None)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await edited_over_grpc(channel)
        assert grpc.StatusCode.UNAVAILABLE == caught.value.code()
        assert not rest.done()
        assert not rpc.done()

        emulator.gates.open("held")
        status, body = await rest
        result = (await rpc).result
        code = await served.ended()

        assert (200, True) == (status, body.startswith(b"\x89PNG"))
        assert "image/png" == result.media_type
        assert 0 == code
        assert 2 == emulator.bill.charges
        assert [] == served.plain
        messages = [line["message"] for line in served.log]
        assert messages.index("serving") < messages.index(
            "stopping: no more calls are taken, those in flight are finished"
        )


async def test_an_idle_gateway_stops_at_ctrl_c(tmp_path: Path) -> None:
    began = time.monotonic()
    async with (
        Emulator() as emulator,
        serving(configuration(emulator), tmp_path) as served,
        aiohttp.ClientSession() as http,
    ):
        await until_it_answers(http, f"{served.ops_url}/readyz", 200)
        print(f"ready after {time.monotonic() - began:.2f} s")  # noqa: T201 - shown by `pytest -s`
        served.process.send_signal(signal.SIGINT)

        assert 0 == await served.ended()
        assert [] == served.plain


@pytest.mark.parametrize("door", ["rest", "grpc"])
async def test_an_address_that_is_taken_ends_the_start_with_a_plain_message(
    door: str, tmp_path: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        async with Emulator() as emulator:
            document = configuration(emulator)
            document["listen"][door] = address
            served = await start(document, tmp_path)

            assert 1 == await served.ended()
    message = served.plain[-1]  # grpc may have said something of its own before
    assert message.startswith("cannot start: ")
    assert not [line for line in served.plain if "Traceback" in line]
    assert address.partition(":")[2] in message


async def test_a_wrong_configuration_ends_the_start_with_every_mistake(tmp_path: Path) -> None:
    async with Emulator() as emulator:
        document = configuration(emulator, tenant=[], listen={"rest": "nowhere"})
        served = await start(document, tmp_path)

        assert 1 == await served.ended()
    assert [] == served.log
    text = "\n".join(served.plain)
    assert "tenant" in text
    assert "listen.rest" in text
    assert "Traceback" not in text
