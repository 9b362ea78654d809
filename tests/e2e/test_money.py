"""One call is one purchase, whatever breaks: nothing is sent twice, nothing that is paid is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp
import pytest

from gateway.emulator.faults import Cut, FaultRule, Wrong
from gateway.v1.edit_service_pb2 import EditImageRequest
from tests.client.waiting import until
from tests.e2e.harness import CATALOG_KEY, Reply, World, key_pair, world
from tests.e2e.metric_lines import counted
from tests.e2e.raw_http import head, wire
from tests.support.pictures import png

PICTURE = png()
REPETITIONS = 5


async def by_url(w: World, number: int) -> Reply:
    """An edit that goes upstream as a GET; each number is another edit."""
    return await w.request("GET", f"/v2/edit?imageUrl=https://shop.example/{number}.png")


async def by_bytes(w: World, number: int) -> Reply:
    """An edit that goes upstream as a POST."""
    return await w.post("/v2/edit", [("padding", f"0.{number + 1:02}")], {"imageFile": PICTURE})


Send = Callable[[World, int], Awaitable[Reply]]
WAIT = 20  # seconds after which a test has failed


async def held(w: World, calls: int = 1) -> None:
    """Wait until the emulator holds so many calls at its gate."""
    async with asyncio.timeout(WAIT):
        await w.emulator.until(lambda: w.emulator.gates.waiting("held") == calls)


SENDS = pytest.mark.parametrize(
    ("send", "method"), [(by_url, "GET"), (by_bytes, "POST")], ids=["get", "post"]
)


async def settled(w: World) -> None:
    """Wait until the emulator has answered, or cut, every request that it was sent."""
    bill = w.emulator.bill
    async with asyncio.timeout(WAIT):
        await w.emulator.until(lambda: bill.requests.total() == bill.answers.total())


@SENDS
@pytest.mark.parametrize("cut", Cut)
async def test_a_connection_that_is_cut_is_never_answered_by_a_second_request(
    cut: Cut, send: Send, method: str
) -> None:
    charged = cut in {Cut.AFTER_CHARGE, Cut.AFTER_HEAD, Cut.MID_BODY}
    async with world() as w:
        w.emulator.faults.add(FaultRule(cut=cut))
        for number in range(REPETITIONS):
            assert 200 != (await send(w, number)).status
        await settled(w)

        assert {f"{method} /v2/edit": REPETITIONS} == dict(w.emulator.bill.requests)
        assert (REPETITIONS if charged else 0) == w.emulator.bill.charges


@SENDS
@pytest.mark.parametrize("cut", Cut)
async def test_a_kept_connection_that_is_cut_is_not_tried_again_either(
    cut: Cut, send: Send, method: str
) -> None:
    """Every second call is cut: it meets the connection that the call before has left open."""
    async with world() as w:
        statuses = []
        for number in range(2 * REPETITIONS):
            if number % 2:
                w.emulator.faults.add(FaultRule(cut=cut, times=1))
            statuses.append((await send(w, number)).status)
        await settled(w)

        assert [200] * REPETITIONS == statuses[::2]
        assert 200 not in statuses[1::2]
        assert {f"{method} /v2/edit": 2 * REPETITIONS} == dict(w.emulator.bill.requests)


@SENDS
@pytest.mark.parametrize("wrong", Wrong)
async def test_a_paid_answer_without_a_picture_is_not_bought_again(
    wrong: Wrong, send: Send, method: str
) -> None:
    async with world() as w:
        w.emulator.faults.add(FaultRule(wrong=wrong))
        for number in range(REPETITIONS):
            assert 502 == (await send(w, number)).status

        assert {f"{method} /v2/edit": REPETITIONS} == dict(w.emulator.bill.requests)
        assert REPETITIONS == w.emulator.bill.charges


async def hang_up_rest(w: World) -> None:
    """Send an edit and close the connection once the emulator holds the purchase."""
    body = PICTURE
    async with wire(w) as connection:
        length = f"Content-Length: {len(body)}"
        await connection.send(head("POST /v2/edit", "Content-Type: image/png", length), body)
        await held(w)


async def hang_up_rest_client(w: World) -> None:
    """The same with a client library whose caller gives up."""
    async with aiohttp.ClientSession() as session:
        headers = {"x-api-key": CATALOG_KEY, "Content-Type": "image/png"}
        call = asyncio.ensure_future(
            session.post(f"{w.rest_url}/v2/edit", data=PICTURE, headers=headers)
        )
        await held(w)
        call.cancel()
        await asyncio.wait([call])


async def hang_up_grpc(w: World) -> None:
    """Cancel an RPC once the emulator holds the purchase."""
    request = EditImageRequest()
    request.edit.image_file.data = PICTURE
    call = w.edits.EditImage(request, metadata=key_pair())
    outcome = asyncio.ensure_future(call.code())
    await held(w)
    call.cancel()
    assert "CANCELLED" == (await outcome).name


@pytest.mark.parametrize("hang_up", [hang_up_rest, hang_up_rest_client, hang_up_grpc])
async def test_a_purchase_is_finished_and_charged_once_though_its_caller_has_left(
    hang_up: Callable[[World], Awaitable[None]],
) -> None:
    async with world() as w:
        w.emulator.faults.add(FaultRule(gate="held", times=1))
        await hang_up(w)
        await cancelled(w)
        assert 1 == len(w.gateway.flights)

        w.emulator.gates.open("held")
        assert 0 == await w.gateway.flights.drain(WAIT)

        assert 0 == len(w.gateway.flights)
        assert 1 == w.emulator.bill.charges
        assert {"POST /v2/edit": 1} == dict(w.emulator.bill.requests)
        bought = await counted(w, "gateway_upstream_calls_total", "outcome", "ending")
        assert {("OK", "spent"): 1} == bought


async def cancelled(w: World) -> None:
    """Wait until the gateway knows that the caller has left."""

    async def counts() -> dict[tuple[str, ...], float]:
        return await counted(w, "gateway_requests_total", "outcome")

    async def is_noted() -> bool:
        return bool(await counts())

    await until(is_noted)
    assert {("CANCELLED",): 1} == await counts()


async def test_a_caller_that_leaves_while_it_sends_its_picture_buys_nothing() -> None:
    async with world() as w:
        async with wire(w) as connection:
            length = f"Content-Length: {len(PICTURE) + 1}"
            started = head(
                "POST /v2/edit", "Content-Type: image/png", length, "Expect: 100-continue"
            )
            await connection.send(started)
            await connection.read_head()  # the gateway reads the body from here on
            await connection.send(PICTURE)
        await cancelled(w)

        assert 0 == len(w.gateway.flights)
        assert 0 == w.emulator.bill.requests.total()


async def test_many_callers_who_leave_at_once_are_charged_once_each() -> None:
    callers = 20
    async with world() as w, aiohttp.ClientSession() as session:
        w.emulator.faults.add(FaultRule(gate="held"))
        url, key = f"{w.rest_url}/v2/edit", {"x-api-key": CATALOG_KEY}
        calls = [
            asyncio.ensure_future(
                session.get(url, params={"imageUrl": f"https://shop.example/{n}.png"}, headers=key)
            )
            for n in range(callers)
        ]
        await held(w, callers)
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)
        w.emulator.gates.open("held")

        assert 0 == await w.gateway.flights.drain(WAIT)
        assert callers == w.emulator.bill.charges
        assert {"GET /v2/edit": callers} == dict(w.emulator.bill.requests)
