"""What an operator reads of the ledger and writes back to it, over every kind of Redis."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC

import pytest

from gateway.domain.periods import Period, months_around
from gateway.store.connect import connect
from gateway.store.journal import BooksChanged, Generation, Journal, Lost, Restored, Totals
from gateway.store.keyspace import JOURNAL, LEDGER_ROOT, budget_key
from gateway.store.link import Link
from tests.store.conftest import SERVERS

_, THIS, NEXT = months_around(time.time(), UTC)
LONG_AGO = Period(1_577_836_800_000, 1_580_515_200_000)


@dataclass(frozen=True, slots=True)
class Desk:
    """The ledger behind one link, and tenants of the test's own."""

    link: Link
    journal: Journal
    catalog: str = field(default_factory=lambda: f"catalog-{secrets.token_hex(4)}")
    web: str = field(default_factory=lambda: f"web-{secrets.token_hex(4)}")

    async def books(self) -> Generation:
        """Open books, if there are none, as a replica does."""
        gen = LEDGER_ROOT + "gen"
        await self.link.exchange(("HSETNX", gen, "id", uuid.uuid4().hex))
        await self.link.exchange(("HSETNX", gen, "open_at", 1))
        return await self.journal.generation()

    async def budget(self, tenant: str, period: Period, **parts: int) -> None:
        words = [word for part in parts.items() for word in part]
        await self.link.exchange(("HSET", budget_key(tenant, period.start), *words))

    async def total(self, tenant: str, period: Period) -> Totals:
        [total] = await self.journal.totals([(tenant, period.start)])
        return total


@pytest.fixture(params=SERVERS)
async def desk(request: pytest.FixtureRequest) -> AsyncIterator[Desk]:
    link = connect(request.getfixturevalue(request.param).url)
    try:
        yield Desk(link, Journal(link))
    finally:
        await link.aclose()


@pytest.fixture
async def valkey_desk(request: pytest.FixtureRequest) -> AsyncIterator[Desk]:
    link = connect(request.getfixturevalue("valkey").url)
    try:
        yield Desk(link, Journal(link))
    finally:
        await link.aclose()


async def test_what_was_lost_is_written_back_and_only_once(desk: Desk) -> None:
    books = await desk.books()
    await desk.budget(desk.catalog, THIS, posted=300, presumed=100)
    lost = [Lost(desk.catalog, THIS, 5000, 5400), Lost(desk.web, NEXT, 700, 700)]

    expected = [Restored(400, 0, 5000), Restored(0, 0, 700)]
    assert expected == await desk.journal.restore(books, lost, write=False)
    assert Totals(0, 300, 100) == await desk.total(desk.catalog, THIS)
    assert expected == await desk.journal.restore(books, lost, write=True)
    assert Totals(5000, 300, 100) == await desk.total(desk.catalog, THIS)
    again = [Restored(400, 5000, 5000), Restored(0, 700, 700)]
    assert again == await desk.journal.restore(books, lost, write=True)
    assert Totals(700) == await desk.total(desk.web, NEXT)
    assert Totals() == await desk.total(desk.web, THIS)


async def test_every_page_is_read_and_written(desk: Desk) -> None:
    """More holds, budgets and entries than one exchange is about."""
    books = await desk.books()
    periods = [Period(THIS.start + i, THIS.end + i) for i in range(1200)]
    lost = [Lost(desk.catalog, one, 1000 + i, 0) for i, one in enumerate(periods)]
    await desk.journal.restore(books, lost, write=True)
    totals = await desk.journal.totals([(desk.catalog, one.start) for one in periods])
    assert [Totals(1000 + i) for i in range(1200)] == totals

    holds = [uuid.uuid4().hex for _ in range(1200)]
    known = holds[::3]
    for hold in known:
        await desk.link.exchange(("SET", f"{LEDGER_ROOT}hold:{hold}", "sent", "EX", 60))
    assert set(known) == await desk.journal.known(holds)
    for hold in holds:
        await desk.link.exchange(_entry(hold, desk.web))
    said = [one.hold async for one in desk.journal.events() if one.tenant == desk.web]
    assert holds == said


def _entry(hold: str, tenant: str) -> tuple[str | int, ...]:
    what = ("e", "posted", "id", hold, "t", tenant, "o", "v2/edit", "c", 1000, "p", THIS.start)
    return ("XADD", JOURNAL, "*", *what)


async def test_a_hold_is_known_by_the_journal_when_its_record_is_forgotten(
    valkey_desk: Desk,
) -> None:
    hold = uuid.uuid4().hex
    await valkey_desk.link.exchange(_entry(hold, valkey_desk.web))
    assert {hold} == await valkey_desk.journal.known([hold, uuid.uuid4().hex])


async def test_an_entry_is_read_as_the_scripts_write_it(valkey_desk: Desk) -> None:
    hold = uuid.uuid4().hex
    await valkey_desk.link.exchange(_entry(hold, valkey_desk.web))
    [event] = [one async for one in valkey_desk.journal.events() if one.hold == hold]
    assert ("posted", valkey_desk.web, "v2/edit", 1000, THIS.start) == (
        event.state,
        event.tenant,
        event.operation,
        event.cost_milli,
        event.period_start,
    )


@pytest.mark.parametrize(
    ("parts", "before", "in_all", "base"),
    [
        ({}, 0, 0, 0),
        ({}, 500, 500, 500),
        ({"base": 900}, 500, 500, 900),
        ({"base": 100, "posted": 50}, 500, 550, 500),
        ({"base": 500, "posted": 50, "held": 20}, 500, 800, 730),
        ({"base": 500, "posted": 50, "presumed": 30, "held": 20}, 500, 600, 500),
        ({"posted": 500}, 0, 400, 0),
    ],
    ids=str,
)
async def test_base_rises_to_what_was_before_or_until_all_is_there(
    parts: dict[str, int], before: int, in_all: int, base: int, valkey_desk: Desk
) -> None:
    books = await valkey_desk.books()
    if parts:
        await valkey_desk.budget(valkey_desk.web, THIS, **parts)
    lost = [Lost(valkey_desk.web, THIS, before, in_all)]
    [restored] = await valkey_desk.journal.restore(books, lost, write=True)
    assert base == restored.base_after
    assert base == (await valkey_desk.total(valkey_desk.web, THIS)).base


async def test_a_period_that_is_not_kept_any_more_is_left_as_it_is(valkey_desk: Desk) -> None:
    books = await valkey_desk.books()
    lost = [Lost(valkey_desk.web, LONG_AGO, 500, 500)]
    assert [Restored(0, 0, 0)] == await valkey_desk.journal.restore(books, lost, write=True)


async def test_a_budget_that_was_written_back_lives_as_long_as_any(valkey_desk: Desk) -> None:
    books = await valkey_desk.books()
    lost = [Lost(valkey_desk.web, THIS, 500, 500)]
    await valkey_desk.journal.restore(books, lost, write=True)
    key = budget_key(valkey_desk.web, THIS.start)
    [expiry] = await valkey_desk.link.exchange(("PEXPIRETIME", key))
    assert THIS.end + 62 * 86_400_000 == expiry


async def test_other_books_than_were_read_are_not_written_to(valkey_desk: Desk) -> None:
    await valkey_desk.books()
    lost = [Lost(valkey_desk.web, THIS, 500, 500)]
    for other in (Generation("", 0), Generation("another", 1)):
        with pytest.raises(BooksChanged):
            await valkey_desk.journal.restore(other, lost, write=True)
    assert Totals() == await valkey_desk.total(valkey_desk.web, THIS)
