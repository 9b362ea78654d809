"""Replicas that ask accounts for each other, over a real book, with accounts that say what a test wants."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

import pytest

from gateway.domain.accounts import Rhythm
from gateway.domain.answer import AccountState
from gateway.domain.credits import BASIC, PLUS
from gateway.domain.errors import UpstreamUnavailable
from gateway.domain.keys import PoolAccount, PoolKey
from gateway.domain.tenant import Tenant
from gateway.polling import Poller
from gateway.ports import AccountSource
from gateway.store.accounts import RedisAccounts
from gateway.store.connect import connect
from gateway.store.keyspace import LEDGER_ROOT
from gateway.store.link import Link, TimeOuts
from gateway.store.pool import Pool
from tests.servers.fixtures import StartServer
from tests.servers.process import Server

QUICK = Rhythm(every=0.1, soon=0.05, look=0.02, patience=5.0, lag=0.1)
SELDOM = Rhythm(every=600.0, soon=600.0, look=0.02, patience=5.0, lag=0.1)
TENANT = Tenant("catalog")
PATIENT = TimeOuts(connect=10.0, operation=10.0)
WORD = AccountState(100_000, 1_000_000, "plus")


def account(name: str, *, tenants: frozenset[str] | None = None) -> PoolAccount:
    """An account of an id that no other test uses."""
    key = PoolKey(name, secrets.token_hex(8), 60, 60_000)
    return PoolAccount(f"{name}-{secrets.token_hex(4)}", (key,), None, tenants=tenants)


@dataclass
class Desk:
    """What each account says, by id; one without a word does not answer, one in `hangs` never does."""

    words: dict[str, AccountState | Exception] = field(default_factory=dict)
    hangs: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    async def ask(self, account: str) -> AccountState:
        self.asked.append(account)
        await asyncio.sleep(0)
        if account in self.hangs:
            await asyncio.Event().wait()
        word = self.words.get(account) or UpstreamUnavailable("no answer")
        if isinstance(word, Exception):
            raise word
        return word


@dataclass
class Replica:
    poller: Poller
    pool: Pool
    desk: Desk
    link: Link

    async def until(self, happened: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not happened():  # noqa: ASYNC110 - it comes by a look at the book
                await asyncio.sleep(0.005)

    async def tell(self, account: PoolAccount, **fields: int) -> None:
        """Write into the account as calls do."""
        name = f"{LEDGER_ROOT}account:{account.id}"
        for field_, amount in fields.items():
            await self.link.exchange(("HINCRBY", name, field_, amount))


@asynccontextmanager
async def replica(
    url: str,
    desk: Desk,
    *accounts: PoolAccount,
    rhythm: Rhythm = QUICK,
    clock: Callable[[], float] | None = None,
    time_outs: TimeOuts = PATIENT,
) -> AsyncIterator[Replica]:
    """A poller that polls until the end of the context. It is not waited for."""
    link = connect(url, time_outs=time_outs)
    pool = Pool(accounts)
    book = RedisAccounts(link, secrets.token_hex(8), rhythm)
    poller = Poller(book, desk, pool, rhythm, **({"clock": clock} if clock else {}))
    polling = asyncio.create_task(poller.polls())
    try:
        yield Replica(poller, pool, desk, link)
        assert not polling.done()
    finally:
        polling.cancel()
        with suppress(asyncio.CancelledError):
            await polling
        await link.aclose()


async def left(source: AccountSource, tenant: Tenant = TENANT) -> AccountState:
    return await source.account(tenant)


async def unavailable(call: Awaitable[object]) -> UpstreamUnavailable:
    with pytest.raises(UpstreamUnavailable) as caught:
        await call
    return caught.value


async def test_all_accounts_were_asked_once_when_it_has_begun(valkey: Server) -> None:
    accounts = [account(f"a{number}") for number in range(5)]
    desk = Desk({one.id: WORD for one in accounts})
    async with replica(valkey.url, desk, *accounts, rhythm=SELDOM) as one:
        await one.poller.began()
        assert [WORD] * 5 == [standing.word for standing in one.poller.standings]
        assert sorted(one.id for one in accounts) == sorted(desk.asked)


async def test_replicas_hear_what_one_of_them_asked(valkey: Server) -> None:
    which, desk = account("a"), Desk()
    desk.words[which.id] = WORD
    async with (
        replica(valkey.url, desk, which, rhythm=SELDOM) as one,
        replica(valkey.url, desk, which, rhythm=SELDOM) as two,
    ):
        for each in (one, two):
            await each.poller.began()
            assert WORD == await left(each.poller)
        assert [which.id] == desk.asked


async def test_an_account_that_does_not_answer_holds_nobody_up_and_is_asked_again(
    valkey: Server,
) -> None:
    mute, other, desk = account("mute"), account("other"), Desk()
    desk.words[other.id] = WORD
    async with replica(valkey.url, desk, mute, other) as one:
        await one.poller.began()
        assert [True, False] == [standing.is_closed for standing in one.poller.standings]
        assert WORD == await left(one.poller)
        desk.words[mute.id] = WORD
        await one.until(lambda: not one.poller.standings[0].is_closed)


async def test_one_that_hangs_is_given_up_and_asked_again(valkey: Server) -> None:
    stuck, other, desk = account("stuck"), account("other"), Desk()
    desk.words = {stuck.id: WORD, other.id: WORD}
    desk.hangs.add(stuck.id)
    async with replica(valkey.url, desk, stuck, other, rhythm=replace(QUICK, patience=0.05)) as one:
        await one.poller.began()
        await one.until(lambda: desk.asked.count(stuck.id) > 1)
        assert [True, False] == [standing.is_closed for standing in one.poller.standings]
        desk.hangs.clear()
        await one.until(lambda: not one.poller.standings[0].is_closed)


async def test_a_mistake_of_ours_with_one_account_does_not_stop_the_others(
    valkey: Server, caplog: pytest.LogCaptureFixture
) -> None:
    wrong, other, desk = account("wrong"), account("other"), Desk()
    desk.words = {wrong.id: ValueError("unforeseen"), other.id: WORD}
    async with replica(valkey.url, desk, wrong, other) as one:
        await one.until(lambda: desk.asked.count(other.id) > 2)
        assert "by a mistake of ours" in caplog.text
        desk.words[wrong.id] = WORD
        await one.until(lambda: not any(standing.is_closed for standing in one.poller.standings))


async def test_a_book_that_is_away_is_not_waited_for_and_what_is_known_holds(
    start_server: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    server, which, desk = start_server(), account("a"), Desk()
    desk.words[which.id] = WORD
    short = TimeOuts(connect=0.2, operation=0.2)
    async with (
        replica(server.url, desk, which, time_outs=short) as one,
        replica("redis://127.0.0.1:1", desk, which, time_outs=short) as lost,
    ):
        await lost.poller.began()
        assert () == lost.poller.standings
        assert 1 == caplog.text.count("the book of accounts is silent")
        await one.poller.began()
        server.kill()
        await one.until(lambda: caplog.text.count("the book of accounts is silent") == 2)
        assert WORD == await left(one.poller)


async def test_an_account_that_the_configuration_brings_is_asked(valkey: Server) -> None:
    old, new, desk = account("old"), account("new"), Desk()
    desk.words = {old.id: WORD, new.id: WORD}
    async with replica(valkey.url, desk, old, rhythm=SELDOM) as one:
        await one.poller.began()
        one.pool.replace([new])
        await one.until(lambda: [new] == [standing.account for standing in one.poller.standings])
        await one.until(lambda: not one.poller.standings[0].is_closed)
        assert [old.id, new.id] == desk.asked


async def test_a_tenant_sees_the_sum_of_what_may_serve_it(valkey: Server) -> None:
    """Less what is held and was spent since; an overdrawn account takes nothing from another one."""
    mine, ours = account("mine", tenants=frozenset({"catalog"})), account("ours")
    theirs, empty = account("theirs", tenants=frozenset({"lab"})), account("empty")
    desk = Desk({one.id: WORD for one in (mine, ours, theirs)})
    desk.words[empty.id] = AccountState(-5_000, 1_000_000, "basic")
    async with replica(valkey.url, desk, mine, ours, theirs, empty, rhythm=SELDOM) as one:
        await one.poller.began()
        assert AccountState(200_000, 3_000_000, "plus") == await left(one.poller)
        await one.tell(mine, held=1_000, since=200)
        await one.until(lambda: one.poller.standings[0].since == 200)
        assert AccountState(198_800, 3_000_000, "plus") == await left(one.poller)
        named = Tenant("lab", accounts=frozenset({theirs.id}))
        assert WORD == await left(one.poller, named)
        nowhere = Tenant("lab", accounts=frozenset({mine.id}))
        refusal = await unavailable(one.poller.account(nowhere))
        assert SELDOM.soon == refusal.retry_after


async def test_an_old_word_is_told_for_a_while_and_then_no_more(valkey: Server) -> None:
    which, desk = account("a"), Desk()
    desk.words[which.id] = WORD
    late = [0.0]
    loop = asyncio.get_running_loop()
    rhythm = replace(SELDOM, look=600.0)
    async with replica(
        valkey.url, desk, which, rhythm=rhythm, clock=lambda: loop.time() + late[0]
    ) as one:
        await one.poller.began()
        await one.until(lambda: not one.poller.standings[0].is_closed)
        late[0] = 10 * rhythm.every - 60
        assert WORD == await left(one.poller)
        late[0] = 10 * rhythm.every
        await unavailable(one.poller.account(TENANT))


@pytest.mark.parametrize(("plan", "price"), [("plus", PLUS), ("basic", BASIC), ("other", BASIC)])
async def test_every_replica_learns_the_price_that_a_plan_says(
    valkey: Server, plan: str, price: object
) -> None:
    which, desk = account("a"), Desk()
    desk.words[which.id] = replace(WORD, plan=plan)
    async with (
        replica(valkey.url, desk, which, rhythm=SELDOM) as one,
        replica(valkey.url, desk, which, rhythm=SELDOM) as two,
    ):
        for each in (one, two):
            await each.poller.began()
            assert price == each.pool.price_of(which)


async def test_when_the_book_is_lost_what_the_account_does_not_show_yet_is_still_spent(
    valkey: Server,
) -> None:
    which, desk = account("a"), Desk()
    desk.words[which.id] = WORD
    rhythm = replace(SELDOM, lag=60.0)
    async with replica(valkey.url, desk, which, rhythm=rhythm) as one:
        await one.poller.began()
        await one.tell(which, since=30_000)
        await one.until(lambda: one.poller.standings[0].since == 30_000)
        await one.link.exchange(("DEL", f"{LEDGER_ROOT}account:{which.id}"))
        await one.until(lambda: len(desk.asked) == 2)
        await one.until(lambda: not one.poller.standings[0].is_closed)
        assert replace(WORD, available_milli=70_000) == await left(one.poller)


async def test_what_others_spend_and_what_refills_an_account_is_logged(
    valkey: Server, caplog: pytest.LogCaptureFixture
) -> None:
    which, desk = account("a"), Desk()
    desk.words[which.id] = WORD
    with caplog.at_level(logging.INFO, "gateway.polling"):
        async with replica(valkey.url, desk, which) as one:
            await one.poller.began()
            desk.words[which.id] = replace(WORD, available_milli=90_000)
            await one.until(lambda: one.poller.standings[0].external == 10_000)
            desk.words[which.id] = replace(WORD, available_milli=900_000)
            await one.until(lambda: one.poller.standings[0].left == 900_000)
            desk.words[which.id] = replace(WORD, available_milli=1_000_000)
            await one.until(lambda: one.poller.standings[0].left == 1_000_000)
    told = {record.getMessage(): vars(record) for record in caplog.records}
    assert 10.0 == told["images were spent outside of the gateway"]["images"]
    assert "top_up" == told["an upstream account was refilled"]["refill"]
    assert 100.0 == told["images that were presumed to be spent were not"]["images"]
    assert {which.id} == {line["account"] for line in told.values()}
