"""An import over any history: no hold is counted twice, none is lost, and a second one changes nothing."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.cli.ledger import write_back
from gateway.domain.edit import Operation
from gateway.domain.periods import months_around
from gateway.ports import Hold, Settlement
from gateway.store.connect import connect
from gateway.store.hold_table import BudgetName, Entry, Spent
from gateway.store.journal import Journal, Totals
from gateway.store.ledger_calls import LedgerCalls, LedgerScripts
from gateway.store.link import Link
from gateway.store.scripts import run
from gateway.telemetry.usage_lines import UsageLine
from tests.servers.process import Server

TENANTS = ("catalog", "web")
_, THIS, NEXT = months_around(time.time(), UTC)
SECOND = 1000

Sums: TypeAlias = dict[BudgetName, int]


@dataclass(frozen=True, slots=True)
class Call:
    """A call, and when it was settled.

    `age` is `old`: in the books that were lost; `told late`: before, but only the books that are there
    now have heard of it; `new`: in these books; `unlogged`: in these books, its replica died before it
    wrote a line. `again` is an earlier line that presumes what became of it.
    """

    hold: Hold
    outcome: Settlement
    age: str
    again: bool

    @property
    def spent(self) -> int:
        return 0 if self.outcome is Settlement.VOIDED else self.hold.cost_milli

    def lines(self, opened_at: int) -> list[UsageLine]:
        """What its replicas have logged."""
        if self.age == "unlogged":
            return []
        late = {"old": -3600 * SECOND, "told late": -SECOND, "new": 2 * SECOND}[self.age]
        outcomes = [Settlement.PRESUMED, self.outcome] if self.again else [self.outcome]
        return [self._line(outcome, opened_at + late - SECOND) for outcome in outcomes]

    def _line(self, outcome: Settlement, at: int) -> UsageLine:
        hold = self.hold
        when = datetime.fromtimestamp(at / 1000, UTC)
        what = (hold.id, hold.tenant, hold.operation, outcome, hold.cost_milli)
        return UsageLine("gateway.usage", when, *what, hold.period.start, hold.period.end)


calls = st.lists(
    st.builds(
        Call,
        hold=st.builds(
            Hold,
            id=st.uuids().map(lambda name: name.hex),
            tenant=st.sampled_from(TENANTS),
            operation=st.just(Operation.EDIT),
            cost_milli=st.sampled_from([0, 200, 1000]),
            seconds=st.just(60.0),
            period=st.sampled_from([THIS, NEXT]),
        ),
        outcome=st.sampled_from(Settlement),
        age=st.sampled_from(["old", "told late", "new", "unlogged"]),
        again=st.booleans(),
    ),
    max_size=12,
    unique_by=lambda call: call.hold.id,
)


def sums(history: Iterable[Call]) -> Sums:
    """What is spent of every budget."""
    spent: Sums = {(tenant, month.start): 0 for tenant in TENANTS for month in (THIS, NEXT)}
    for call in history:
        spent[call.hold.tenant, call.hold.period.start] += call.spent
    return spent


def chosen(lines: Iterable[UsageLine]) -> list[UsageLine]:
    """One line for each hold, as the logs are read."""
    found: dict[str, UsageLine] = {}
    for line in lines:
        known = found.get(line.hold)
        if known is None or line.outweighs(known):
            found[line.hold] = line
    return [*found.values()]


async def open_books(link: Link, history: Sequence[Call], remembered: float) -> None:
    """Open books after a loss: replicas write back a part of what they knew, and tell what is new."""
    made = LedgerCalls("replica", LedgerScripts.load(), 0.0)
    old = sums(call for call in history if call.age == "old")
    ends = {THIS.start: THIS, NEXT.start: NEXT}
    known = {name: Spent(ends[name[1]], int(milli * remembered), 0) for name, milli in old.items()}
    await run(link, made.rebuild(uuid.uuid4().hex, {}, known))
    entries = [Entry(one.hold, one.outcome.value, "", 0.0) for one in history if one.age != "old"]
    await run(link, made.settle(entries))


async def spent_in(journal: Journal) -> Sums:
    names = [*sums([])]
    totals = await journal.totals(names)
    return {name: _sum(total) for name, total in zip(names, totals, strict=True)}


def _sum(total: Totals) -> int:
    return total.base + total.posted + total.presumed


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(calls, st.floats(0, 1), st.integers(0))
async def test_an_import_gives_back_all_that_was_lost_and_no_more(
    valkey: Server, history: list[Call], remembered: float, some: int
) -> None:
    """Whatever part of the log comes first, and however often: twice is as once."""
    valkey.admin("FLUSHALL")
    link = connect(valkey.url)
    try:
        journal = Journal(link)
        await open_books(link, history, remembered)
        some_of_them = [call for i, call in enumerate(history) if some >> i & 1]
        opened_at = (await journal.generation()).open_at
        lines = [line for call in history for line in call.lines(opened_at)]
        truth = sums(history)
        part = [line for call in some_of_them for line in call.lines(opened_at)]

        await write_back(journal, chosen(part), write=True)
        partly = await spent_in(journal)
        assert all(partly[name] <= milli for name, milli in truth.items())
        await write_back(journal, chosen(lines), write=True)
        assert truth == await spent_in(journal)
        await write_back(journal, chosen(reversed(lines)), write=True)
        await write_back(journal, chosen(part), write=True)
        assert truth == await spent_in(journal)
    finally:
        await link.aclose()
