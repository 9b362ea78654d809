"""Accounts that are polled: what they have left is spent to the last image, and never more."""

from __future__ import annotations

import asyncio
import logging

import aiohttp
import pytest

from gateway.emulator.faults import FaultRule
from tests.e2e.asks import ask_rest, segment_of
from tests.e2e.harness import CATALOG_KEY, LAB_KEY, tenant
from tests.e2e.polled import Polled, account, polled
from tests.servers.fixtures import StartServer
from tests.servers.process import Server
from tests.support.pictures import png

SERVED = (200, "")
CLOSED = (503, "UPSTREAM_UNAVAILABLE")
NEVER = "1h"
"""So seldom that an account is asked once in a test."""


async def ended(p: Polled, *, key: str = CATALOG_KEY) -> tuple[int, str]:
    """How a call ended: its status, and the reason of an error."""
    reply = await p.buy(key=key)
    return reply.status, "" if reply.status == 200 else reply.json["error"]["type"]


async def until(p: Polled, metric: str, wanted: float, which: str = "plus") -> None:
    async def is_so() -> bool:
        return wanted == await p.number(metric, which)

    await p.until(is_so)


async def ask_again(p: Polled, server: Server) -> None:
    """Let the account be asked once more."""
    server.admin("HDEL", "pg1:{ctl}:account:plus", "asked")
    await p.until_polled(1)


async def test_an_account_is_asked_once_for_all_replicas(start_server: StartServer) -> None:
    server = start_server()
    async with polled(server, account("plus"), replicas=3, every=NEVER) as p:
        assert [200] * 3 == [(await p.buy(w)).status for w in p.worlds]
        assert {"GET /v2/account": 1} == dict(p.emulator.bill.questions)
        await ask_again(p, server)
        assert {"GET /v2/account": 2} == dict(p.emulator.bill.questions)


async def test_ten_calls_outside_of_the_gateway_are_booked_within_two_polls(
    start_server: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    server = start_server()
    async with polled(server, account("plus"), replicas=2, every=NEVER) as p:
        assert SERVED == await ended(p)
        async with aiohttp.ClientSession(headers={"x-api-key": "upstream-plus"}) as session:
            for _ in range(10):
                form = aiohttp.FormData()
                form.add_field("imageFile", png(), filename="picture", content_type="image/png")
                async with session.post(f"{p.emulator.url}/v2/edit", data=form) as answer:
                    assert 200 == answer.status
        await ask_again(p, server)
        await until(p, "gateway_account_headroom_images", 989)
        assert 0 == await p.number("gateway_account_external_images_total", "plus")
        await ask_again(p, server)
        await until(p, "gateway_account_external_images_total", 10)
        assert [200, 200] == [(await p.buy(w)).status for w in p.worlds]
        await ask_again(p, server)
        await until(p, "gateway_account_available_images", 987)
        assert 10 == await p.number("gateway_account_external_images_total", "plus")
        assert 987 == await p.number("gateway_account_headroom_images", "plus")
    assert 1 == caplog.text.count("images were spent outside of the gateway")


@pytest.mark.parametrize("shown_after", [0.0, 0.5, 1.0])
async def test_a_lag_overspends_nothing_and_refuses_nothing_that_is_there(
    start_server: StartServer, shown_after: float
) -> None:
    """All that an account has is served while it is polled again and again, and not one call more."""
    images, replicas = 24, 2
    plus = account("plus", available=images)
    async with polled(
        start_server(), plus, replicas=replicas, every="300ms", lag="1s", shown_after=shown_after
    ) as p:
        for _ in range(3):
            calls = (p.buy(p.worlds[n % replicas]) for n in range(images // 3))
            assert {200} == {reply.status for reply in await asyncio.gather(*calls)}
            await p.until_polled(3)
        assert [CLOSED] * 3 == [await ended(p) for _ in range(3)]
        assert {"200": images} == dict(p.emulator.bill.answers)
        assert {"plus": 1000 * images} == dict(p.emulator.bill.by_account)
        assert 1 == await p.number("gateway_account_closed", "plus")


async def test_what_is_reserved_is_not_spent(start_server: StartServer) -> None:
    plus = account("plus", available=3)
    async with polled(start_server(), plus, every=NEVER, reserve=2) as p:
        assert [SERVED, CLOSED] == [await ended(p) for _ in range(2)]
        assert {"200": 1} == dict(p.emulator.bill.answers)


async def test_a_top_up_and_a_new_period_are_told_apart_and_are_no_drift(
    start_server: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    plus = account("plus", available=50, subscription=1000)
    with caplog.at_level(logging.INFO, "gateway.polling"):
        async with polled(start_server(), plus) as p:
            assert SERVED == await ended(p)
            for images in (300, 1000):
                p.emulator.accounts.set_available("plus", images)
                await until(p, "gateway_account_headroom_images", images)
            await p.until_polled(3)
            assert 0 == await p.number("gateway_account_external_images_total", "plus")
    refills = [
        vars(line)["refill"] for line in caplog.records if "was refilled" in line.getMessage()
    ]
    assert ["top_up", "period"] == refills


async def test_an_account_that_does_not_answer_serves_nobody_until_it_does(
    start_server: StartServer,
) -> None:
    """The gateway is ready all the same; the sandbox, which spends nothing, is served."""
    silence = FaultRule(operation="account", status=500)
    async with polled(start_server(), account("plus"), faults=[silence]) as p:
        assert CLOSED == await ended(p)
        assert {} == dict(p.emulator.bill.requests)
        assert SERVED == await ended(p, key=f"sandbox_{CATALOG_KEY}")
        assert 1 == await p.number("gateway_account_closed", "plus")
        p.emulator.faults.clear()
        await until(p, "gateway_account_closed", 0)
        assert SERVED == await ended(p)


async def test_an_account_that_was_emptied_meets_one_402_and_comes_back_when_it_is_filled(
    start_server: StartServer,
) -> None:
    async with polled(start_server(), account("plus"), every=NEVER, replicas=2) as p:
        p.emulator.accounts.set_available("plus", 0)
        assert [CLOSED] * 5 == [await ended(p) for _ in range(5)]
        assert {"402": 1} == dict(p.emulator.bill.answers)
    async with polled(start_server(), account("plus"), replicas=2) as p:
        p.emulator.accounts.set_available("plus", 0)
        assert CLOSED == await ended(p)
        p.emulator.accounts.set_available("plus", 500)
        await until(p, "gateway_account_closed", 0)
        assert SERVED == await ended(p)


async def test_basic_and_plus_are_mixed_and_each_pays_its_own_price(
    start_server: StartServer,
) -> None:
    """The plans are the accounts' own word. A tenant pays the same whichever serves."""
    server = start_server()
    accounts = account("basic", plan="basic", available=5000), account("plus", plan="plus")
    tenants = [tenant("catalog", CATALOG_KEY, monthly_images=100)]
    async with polled(server, *accounts, replicas=2, tenants=tenants) as p:
        costs = [(await p.buy(p.worlds[n % 2])).headers["Gateway-Cost"] for n in range(20)]
        for n in range(10):
            segment = segment_of({"bg_color": f"#{n:06x}"})
            costs.append((await ask_rest(p.worlds[n % 2], segment)).headers["Gateway-Cost"])
        assert ["1"] * 20 + ["0.2"] * 10 == costs
        images = dict(p.emulator.bill.by_account)
        assert {"basic", "plus"} == images.keys()
        assert 22 * 1000 == images["plus"] + images["basic"] // 5
        spent = {
            name: int(server.admin("HGET", f"pg1:{{ctl}}:account:{name}", "spent"))
            for name in images
        }
        assert spent == images
        await p.until_polled(6)
        for name in images:
            assert 0 == await p.number("gateway_account_external_images_total", name)
        account_of_tenant = await p.worlds[0].request("GET", "/v2/account")
        assert {"available": 78, "subscription": 100} == account_of_tenant.json["images"]


async def test_a_tenant_without_a_budget_sees_what_its_accounts_have_left(
    start_server: StartServer,
) -> None:
    """Without a question for each caller, and at once after each call."""
    accounts = account("one", available=10), account("two", available=20, plan="basic")
    tenants = [
        tenant("catalog", CATALOG_KEY),
        tenant("lab", LAB_KEY, accounts=["two"]),
    ]
    async with polled(start_server(), *accounts, every=NEVER, tenants=tenants) as p:
        [w] = p.worlds
        both = await w.request("GET", "/v2/account")
        assert {"images": {"available": 30, "subscription": 2000}, "plan": "plus"} == both.json
        assert SERVED == await ended(p)

        async def shows_less() -> bool:
            shown = (await w.request("GET", "/v2/account")).json["images"]["available"]
            assert shown in (29, 30)
            return bool(shown == 29)

        await p.until(shows_less)
        second = await w.request("GET", "/v1/account", key=LAB_KEY)
        assert {"credits": {"available": 20, "subscription": 1000}} == second.json
        assert 2 == p.questions


async def test_accounts_with_old_prices_are_asked_in_their_version(
    start_server: StartServer,
) -> None:
    async with polled(start_server(), account("plus", old_pricing=True), every=NEVER) as p:
        assert SERVED == await ended(p)
        assert {"GET /v2/account": 1, "GET /v1/account": 1} == dict(p.emulator.bill.questions)
