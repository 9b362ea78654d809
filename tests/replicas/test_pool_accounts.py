"""Images of accounts over three replicas: what is booked is what is billed, and an old word misleads nobody."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path

import aiohttp

from gateway.emulator import EmulatorSettings
from gateway.v1.admin_service_pb2 import DrainKeyRequest
from gateway.v1.edit_service_pb2 import PlanEditRequest
from gateway.v1.edit_service_pb2_grpc import EditServiceStub
from gateway.v1.segment_pb2 import Segment
from tests.client.waiting import until
from tests.e2e.asks import Ask
from tests.e2e.fleet import ADMIN_KEY
from tests.e2e.harness import CATALOG_KEY, key_pair
from tests.replicas.calling import OK, Replica
from tests.replicas.edits import edit_number, segment_number, ways
from tests.replicas.ledger_numbers import Books
from tests.replicas.pool_worlds import UNHURRIED, WINDOW, Pool, account, account_fields, upstream_of
from tests.replicas.replicas import fleet
from tests.servers.fixtures import StartServer

REPLICAS = 3
PATIENCE = 60
CREDITS = 8 * 1000 + 8 * 200
"""What eight edits and eight background removals cost a tenant, in thousandths."""


async def test_credits_are_the_same_on_both_plans_and_images_are_those_of_the_bill(
    start_server: StartServer, tmp_path: Path, picture: bytes
) -> None:
    """The accounts themselves say which plan they have."""
    accounts = (
        account("basic", "k1", plan="basic", available=20_000, subscription=20_000),
        account("plus", "k2", plan="plus", available=20_000, subscription=20_000),
    )
    settings = EmulatorSettings(accounts, window_s=WINDOW)
    upstream = upstream_of(settings, tmp_path)
    server = start_server()
    limits = {"monthly_images": 100}
    async with (
        fleet(
            REPLICAS,
            tmp_path,
            server.url,
            settings=settings,
            upstream=upstream,
            time_out=UNHURRIED,
            limits=limits,
        ) as f,
        asyncio.timeout(PATIENCE),
    ):
        pool, books, bill = Pool(f, picture), Books(lambda: server), f.emulator.bill
        billed = []
        for resting in (("k2",), ("k1",), ()):
            for key in resting:
                request = DrainKeyRequest(key_id=key)
                await f.replicas[0].admin.DrainKey(request, metadata=key_pair(ADMIN_KEY))
            spent, charged = books.totals().spent, Counter(bill.by_account)
            await both_operations(pool)
            await books.until_nothing_is_held()
            assert CREDITS == books.totals().spent - spent
            billed.append(Counter(bill.by_account) - charged)
            for key in resting:
                await pool.resume(key)
        print(f"thousandths of images: {[dict(one) for one in billed]}")  # noqa: T201 - shown by `pytest -s`
        only_basic, only_plus, mixed = billed
        assert {"basic": 8 * 5000 + 8 * 1000} == only_basic
        assert {"plus": 8 * 1000 + 8 * 200} == only_plus
        assert {"basic", "plus"} == mixed.keys()
        booked = {id_: int(account_fields(server, id_)["spent"]) for id_ in ("basic", "plus")}
        assert dict(bill.by_account) == booked


async def both_operations(pool: Pool) -> None:
    """Eight edits and eight background removals, each at the price that its plan had said."""

    async def bought(replica: Replica, door: str, ask: Ask) -> None:
        planned = await price(replica, ask)
        answer = await replica.ask(door, ask)
        assert (OK, planned) == (answer.outcome, answer.cost)

    await asyncio.gather(
        *(
            bought(replica, door, make(next(pool.numbers), pool.picture))
            for make in (edit_number, segment_number)
            for replica, door in ways(pool.f, 8)
        )
    )


async def price(replica: Replica, ask: Ask) -> int:
    message = ask.message
    if isinstance(message, Segment):
        request = PlanEditRequest(segment=message)
    else:
        request = PlanEditRequest(edit=message)
    stub = EditServiceStub(replica.channel)
    return (await stub.PlanEdit(request, metadata=key_pair(CATALOG_KEY))).cost_milli_credits


async def test_what_others_spend_is_booked_within_two_polls(
    start_server: StartServer, tmp_path: Path, picture: bytes
) -> None:
    settings = EmulatorSettings((account("a", "k1"),), window_s=WINDOW)
    upstream = upstream_of(settings, tmp_path)
    server = start_server()
    async with (
        fleet(
            REPLICAS, tmp_path, server.url, settings=settings, upstream=upstream, time_out=UNHURRIED
        ) as f,
        asyncio.timeout(PATIENCE),
    ):
        pool = Pool(f, picture)
        await pool.served(12)
        for number in range(10):
            await call_outside(f.emulator.url, picture, number)
        done, polls = time.time() * 1000, set[int]()

        async def is_booked() -> bool:
            fields = account_fields(server, "a")
            if int(fields["polled"]) > done:
                polls.add(int(fields["polled"]))
            return fields["external"] == "10000"

        try:
            await until(is_booked)
        except TimeoutError:
            raise AssertionError(account_fields(server, "a")) from None
        print(f"booked at poll {len(polls)} after the calls")  # noqa: T201 - shown by `pytest -s`
        assert len(polls) <= 2
        await pool.served(12)
        assert "10000" == account_fields(server, "a")["external"]


async def call_outside(url: str, picture: bytes, number: int) -> None:
    form = aiohttp.FormData()
    form.add_field("padding", f"0.{number + 10}")
    form.add_field("imageFile", picture, filename="picture", content_type="image/png")
    headers = {"x-api-key": "secret-of-k1"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/v2/edit", data=form, headers=headers) as response,
    ):
        assert 200 == response.status


async def test_a_word_that_lags_neither_overspends_nor_refuses_what_is_left(
    start_server: StartServer, tmp_path: Path, picture: bytes
) -> None:
    """Forty images, over the lag and in bursts: all of them are spent, and no call meets an empty account."""
    accounts = (account("a", "k1", available=40, subscription=40),)
    settings = EmulatorSettings(accounts, window_s=WINDOW, account_lag_s=2)
    upstream = upstream_of(settings, tmp_path, poll="600ms", lag="2s")
    async with (
        fleet(
            REPLICAS,
            tmp_path,
            start_server().url,
            settings=settings,
            upstream=upstream,
            time_out=UNHURRIED,
        ) as f,
        asyncio.timeout(PATIENCE),
    ):
        pool = Pool(f, picture)
        for calls in (12, 12, 12):
            await pool.served(calls)
            await polls_of(pool, 3)
        outcomes = Counter(answer.outcome for answer in await pool.burst(12))
        await polls_of(pool, 30)
        outcomes += Counter(answer.outcome for answer in await pool.burst(12))
        print(f"the last four: {dict(outcomes)}, {f.billed} billed")  # noqa: T201 - shown by `pytest -s`
        assert {OK: 4, "UPSTREAM_UNAVAILABLE": 20} == outcomes
        assert {"200": 40} == f.emulator.bill.answers


async def polls_of(pool: Pool, number: int) -> None:
    """Wait until the account was asked so often."""
    questions = pool.f.emulator.bill.questions
    wanted = questions.total() + number
    await pool.f.emulator.until(lambda: questions.total() >= wanted)


async def test_a_new_period_and_a_top_up_are_told_apart(
    start_server: StartServer, tmp_path: Path, picture: bytes
) -> None:
    accounts = (account("a", "k1", available=40, subscription=100),)
    settings = EmulatorSettings(accounts, window_s=WINDOW)
    upstream = upstream_of(settings, tmp_path)
    server = start_server()
    async with (
        fleet(
            REPLICAS, tmp_path, server.url, settings=settings, upstream=upstream, time_out=UNHURRIED
        ) as f,
        asyncio.timeout(PATIENCE),
    ):
        pool = Pool(f, picture)
        for images, refill in ((70, "top_up"), (100, "period")):
            await pool.served(12)
            await polls_of(pool, 1)
            f.emulator.accounts.set_available("a", images)

            async def is_told(refill: str = refill) -> bool:
                return account_fields(server, "a").get("refill") == refill

            await until(is_told)
        await pool.served(12)
        await polls_of(pool, 3)
        fields = account_fields(server, "a")
        print(fields)  # noqa: T201 - shown by `pytest -s`
        assert ["period", "0", "0"] == [fields[name] for name in ("refill", "external", "returned")]
