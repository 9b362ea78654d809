"""The ledger as an operator reads it, and writes back to it what was lost.

Nothing here is on the way of a call: whoever asks is a command beside the gateway.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from gateway.domain.periods import Period
from gateway.store.hold_table import BudgetName
from gateway.store.keyspace import BUDGET_FIELDS, JOURNAL, LEDGER_ROOT, budget_key
from gateway.store.link import Link
from gateway.store.scripts import Script, ScriptCall, load, run

__all__ = ["BooksChanged", "Event", "Generation", "Journal", "Lost", "Restored", "Totals"]

_PAGE: Final = 500
"""Entries, holds or budgets that one exchange is about: a few milliseconds of Redis's time."""

T = TypeVar("T")


class BooksChanged(Exception):
    """Redis has lost its books meanwhile, or others were opened: begin anew."""


@dataclass(frozen=True, slots=True)
class Generation:
    """The books' own name, and the time in milliseconds from which they admit. No name: no books."""

    id: str
    open_at: int


@dataclass(frozen=True, slots=True)
class Event:
    """A hold has come into a state. `at` is when, in milliseconds since the epoch, by Redis's clock."""

    at: int
    hold: str
    state: str
    tenant: str
    operation: str
    cost_milli: int
    period_start: int


@dataclass(frozen=True, slots=True)
class Totals:
    """What a budget has, in thousandths of a credit. `base` was spent in earlier generations."""

    base: int = 0
    posted: int = 0
    presumed: int = 0
    held: int = 0


@dataclass(frozen=True, slots=True)
class Lost:
    """What was spent of a budget by the log: in generations `before` these books', and `in_all`."""

    tenant: str
    period: Period
    before: int
    in_all: int


@dataclass(frozen=True, slots=True)
class Restored:
    """What a budget has spent in this generation, and in earlier ones before and after the import."""

    spent: int
    base_before: int
    base_after: int


class Journal:
    """The ledger behind a link. Each method raises RedisTrouble."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._known = load("known")
        self._import = load("hold", "import")

    async def generation(self) -> Generation:
        """Return which books these are."""
        gen, open_at = await self._run(self._known)
        return Generation(gen.decode(), open_at)

    async def events(self) -> AsyncIterator[Event]:
        """Yield what the stream still has, the oldest first."""
        after = "-"
        while True:
            [entries] = await self._link.exchange(("XRANGE", JOURNAL, after, "+", "COUNT", _PAGE))
            for name, fields in entries:
                yield _event(name, fields)
            if len(entries) < _PAGE:
                return
            after = "(" + entries[-1][0].decode()

    async def totals(self, names: Sequence[BudgetName]) -> list[Totals]:
        """Return what each budget has, in order; nothing where there is none."""
        totals = []
        for page in _pages(names):
            commands = [("HMGET", budget_key(*name), *BUDGET_FIELDS) for name in page]
            replies = await self._link.exchange(*commands)
            totals += [Totals(*(int(part or 0) for part in reply)) for reply in replies]
        return totals

    async def known(self, holds: Sequence[str]) -> set[str]:
        """Return those of the holds that these books know: they count in them already, or will."""
        known = {event.hold async for event in self.events()}
        for page in _pages(holds):
            _, _, *flags = await self._run(self._known, *page)
            known |= {hold for hold, flag in zip(page, flags, strict=True) if flag}
        return known.intersection(holds)

    async def restore(
        self, generation: Generation, lost: Sequence[Lost], *, write: bool
    ) -> list[Restored]:
        """Raise what the budgets have of earlier generations, if `write`; say what that makes of them.

        Done twice, it is as done once. Raises BooksChanged.
        """
        restored = []
        for page in _pages(lost):
            arguments: list[str | int] = [generation.id, int(write)]
            for one in page:
                period = one.period
                arguments += (one.tenant, period.start, period.end, one.before, one.in_all)
            gen, *numbers = await self._run(self._import, *arguments)
            if gen.decode() != generation.id:
                raise BooksChanged
            restored += [Restored(*numbers[i : i + 3]) for i in range(0, len(numbers), 3)]
        return restored

    async def _run(self, script: Script, *arguments: str | int) -> list[Any]:
        answer: list[Any]
        [answer] = await run(self._link, ScriptCall(script, (LEDGER_ROOT,), arguments))
        return answer


def _pages(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[i : i + _PAGE] for i in range(0, len(items), _PAGE))


def _event(name: bytes, fields: dict[bytes, bytes]) -> Event:
    said = {key.decode(): value.decode() for key, value in fields.items()}
    return Event(
        at=int(name.partition(b"-")[0]),
        hold=said["id"],
        state=said["e"],
        tenant=said["t"],
        operation=said["o"],
        cost_milli=int(said["c"]),
        period_start=int(said["p"]),
    )
