"""What was spent, by tenant, month and operation: counted, chosen and written out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final

from gateway.cli.table import table
from gateway.domain.credits import milli_text
from gateway.domain.periods import months_around
from gateway.domain.tenant import Tenant

__all__ = ["BudgetRow", "CallRow", "Choice", "Fate", "Report", "count", "moment", "month_of"]

_HALF_A_MONTH: Final = 15 * 86400

_COLUMN: Final = {
    "posted": "posted",
    "presumed": "presumed",
    "voided": "voided",
    "lapsed": "voided",
    "held": "open",
    "sent": "open",
}
"""Under what a hold in each state is counted. One that has lapsed was never sent."""


def month_of(period_start: int) -> str:
    """Return the month, such as 2026-07, that a period of any time zone is."""
    return f"{datetime.fromtimestamp(period_start / 1000 + _HALF_A_MONTH, UTC):%Y-%m}"


def moment(ms: int) -> str:
    """Write milliseconds since the epoch as a time of UTC."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True, slots=True)
class Choice:
    """Of which tenants and which month is asked. No `tenant`: of all; no `month`: each one's own at `now`."""

    tenants: Mapping[str, Tenant]
    now: float
    tenant: str | None = None
    month: str | None = None

    def takes(self, tenant: str, period_start: int) -> bool:
        """Whether a period of a tenant is asked for."""
        wanted = self.tenant in {None, tenant}
        return wanted and month_of(period_start) == self._month(tenant)

    def periods(self) -> list[tuple[str, int]]:
        """Return the tenants of the configuration that are asked for, each with the period's start."""
        names = [name for name in self.tenants if self.tenant in {None, name}]
        return [(name, self._start(name)) for name in names]

    def budget(self, tenant: str, period_start: int) -> int | None:
        """Return what the configuration gives a tenant for the period, in thousandths of a credit."""
        known = self.tenants.get(tenant)
        if known is None or period_start != self._start(tenant):
            return None
        return known.limits.budget_milli

    def _month(self, tenant: str) -> str:
        zone = self.tenants[tenant].limits.zone if tenant in self.tenants else UTC
        return self.month or month_of(months_around(self.now, zone)[1].start)

    def _start(self, tenant: str) -> int:
        middle = datetime.strptime(f"{self._month(tenant)}-15", "%Y-%m-%d").replace(tzinfo=UTC)
        return months_around(middle.timestamp(), self.tenants[tenant].limits.zone)[1].start


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a hold so far; the state is one of `store/lua/hold.lua`."""

    tenant: str
    operation: str
    period_start: int
    state: str
    cost_milli: int


@dataclass(frozen=True, slots=True)
class CallRow:
    """Calls of a tenant to an operation in a month, and their credits in thousandths."""

    tenant: str
    month: str
    operation: str
    posted: int
    presumed: int
    voided: int
    open: int
    posted_milli: int
    presumed_milli: int
    held_milli: int


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """A tenant's credits of a month, in thousandths. None: there is no budget, or nobody knows."""

    tenant: str
    period_start_ms: int
    posted_milli: int
    presumed_milli: int
    earlier_milli: int = 0
    held_milli: int | None = None
    budget_milli: int | None = None

    @property
    def month(self) -> str:
        """Which month it is."""
        return month_of(self.period_start_ms)

    @property
    def left_milli(self) -> int | None:
        """What may still be spent; None without a budget."""
        if self.budget_milli is None:
            return None
        spent = self.posted_milli + self.presumed_milli + self.earlier_milli
        return max(0, self.budget_milli - spent - (self.held_milli or 0))


@dataclass(frozen=True, slots=True)
class Report:
    """Calls as `source` has them since `since_ms`, and budgets as they are."""

    source: str
    since_ms: int | None
    books_since_ms: int | None
    calls: list[CallRow]
    budgets: list[BudgetRow]

    def json(self) -> str:
        """Write it for programs. Amounts are thousandths of a credit, times milliseconds since the epoch."""
        budgets = [
            asdict(one) | {"month": one.month, "left_milli": one.left_milli} for one in self.budgets
        ]
        return json.dumps(asdict(self) | {"budgets": budgets}, indent=2)

    def text(self) -> str:
        """Write it for people."""
        parts = [self._about_calls()]
        if self.calls:
            parts.append(_call_table(self.calls))
        parts += ["", self._about_budgets()]
        if self.budgets:
            parts.append(_budget_table(self.budgets))
        return "\n".join(parts)

    def _about_calls(self) -> str:
        if self.since_ms is None:
            return f"The {self.source} has no calls."
        forgets = "; it forgets the oldest" if self.source == "journal" else ""
        return f"Calls since {moment(self.since_ms)}, as the {self.source} has them{forgets}."

    def _about_budgets(self) -> str:
        if self.books_since_ms is None:
            return f"Credits, as the {self.source} has them: it knows nothing of calls under way."
        since = moment(self.books_since_ms)
        return f"Credits of the whole month, exact. The books are of {since}; `earlier` is from before."


def count(fates: Iterable[Fate]) -> list[CallRow]:
    """Count holds, each of them once, by tenant, month and operation."""
    calls: Counter[tuple[str, str, str, str]] = Counter()
    milli: Counter[tuple[str, str, str, str]] = Counter()
    for fate in fates:
        key = (fate.tenant, month_of(fate.period_start), fate.operation, _COLUMN[fate.state])
        calls[key] += 1
        milli[key] += fate.cost_milli
    return [
        CallRow(
            *row,
            *(calls[*row, column] for column in ("posted", "presumed", "voided", "open")),
            *(milli[*row, column] for column in ("posted", "presumed", "open")),
        )
        for row in sorted({key[:3] for key in calls})
    ]


def _call_table(rows: Iterable[CallRow]) -> str:
    named = ("tenant", "month", "operation")
    credit = ("credits posted", "credits presumed", "credits held")
    head = (*named, "posted", "presumed", "voided", "open", *credit)
    cells = [
        (
            *(one.tenant, one.month, one.operation),
            *map(str, (one.posted, one.presumed, one.voided, one.open)),
            *map(milli_text, (one.posted_milli, one.presumed_milli, one.held_milli)),
        )
        for one in rows
    ]
    return table(head, cells, names=len(named))


def _budget_table(rows: Iterable[BudgetRow]) -> str:
    head = ("tenant", "month", "posted", "presumed", "earlier", "held", "budget", "left")
    cells = [
        (
            *(one.tenant, one.month),
            *map(milli_text, (one.posted_milli, one.presumed_milli, one.earlier_milli)),
            *map(_or_dash, (one.held_milli, one.budget_milli, one.left_milli)),
        )
        for one in rows
    ]
    return table(head, cells, names=2)


def _or_dash(milli: int | None) -> str:
    return "-" if milli is None else milli_text(milli)
