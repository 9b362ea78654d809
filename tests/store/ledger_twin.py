"""The scripts of the ledger once more, in Python, written from what they promise.

What a budget has spent and who has a place is not counted here: it follows from the holds. Held against
the Lua by `test_ledger_twin.py`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from gateway.domain.limits import Rate
from gateway.domain.periods import Period
from tests.model.board import Board, Mine, Record
from tests.store.ledger_picture import Line, Note, Picture

__all__ = ["Answer", "Ask", "Told", "Twin"]

Answer: TypeAlias = list[str | int]

OPEN = ("held", "sent")
GRANTED = ("granted", "-", "-", 0)
"""No key goes with it: those have a test of their own."""

REBUILD_MS = 750
HELD_MS = 10_000

MAY_BECOME = {
    "": ("sent", "posted", "voided", "presumed"),
    "lapsed": ("sent", "posted", "voided", "presumed"),
    "held": ("sent", "posted", "voided", "presumed"),
    "sent": ("sent", "posted", "voided", "presumed"),
    "presumed": ("sent", "posted", "voided"),
    "posted": (),
    "voided": (),
}
"""What a hold may be told to be; the empty word stands for one that the books do not know."""


class Ask(NamedTuple):
    """A claim as `admit` is asked."""

    id: str
    tenant: str
    operation: str
    cost: int
    rate: Rate | None
    places: int | None
    budget: int | None
    periods: tuple[Period, ...]


class Told(NamedTuple):
    """A hold as `settle` and `sent` are told of it."""

    id: str
    state: str
    tenant: str
    operation: str
    cost: int
    period: Period
    wait_ms: int

    def line(self, due: int) -> Line:
        return Line(self.state, self.tenant, self.operation, self.cost, self.period, due)


@dataclass(slots=True)
class Twin:
    """The books. `now` is in microseconds."""

    board: Board
    now: int
    gen: tuple[str, int] | None = None
    seq: dict[str, int] = field(default_factory=dict)
    lines: dict[str, Line] = field(default_factory=dict)
    base: dict[tuple[str, int], int] = field(default_factory=dict)
    full_at: dict[str, int] = field(default_factory=dict)
    journal: list[Note] = field(default_factory=list)
    flights: dict[str, Record] = field(default_factory=dict)

    @property
    def ms(self) -> int:
        return self.now // 1000

    def picture(self) -> Picture:
        """What Redis should hold."""
        waiting = {name: line for name, line in self.lines.items() if line.state in OPEN}
        slots: dict[str, dict[str, int]] = defaultdict(dict)
        for name, line in waiting.items():
            slots[line.tenant][name] = line.due
        return Picture(
            gen=self.gen,
            seq=dict(self.seq),
            lines=dict(self.lines),
            waiting={name: line.due for name, line in waiting.items()},
            slots=dict(slots),
            full_at={tenant: at for tenant, at in self.full_at.items() if at},
            budgets=self._budgets(),
            journal=list(self.journal),
        )

    def admit(self, replica: str, ask: Ask) -> Answer:
        head = self._turn(replica)
        if self.gen is None:
            return [*head, "lost"]
        if self.ms < self.gen[1]:
            return [*head, "closed", self.gen[1] - self.ms]
        self._sweep(16)
        full_at = self.full_at.get(ask.tenant, 0) if ask.rate else 0
        if ask.rate and full_at > self.now + ask.rate.depth_us:
            full_at = self.full_at[ask.tenant] = self.now + ask.rate.depth_us
        known = self.lines.get(ask.id)
        if known is not None and known.state in OPEN:
            return [*head, *GRANTED, *self._standing(known.tenant, known.period), full_at]
        if known is not None and known.state != "lapsed":
            return [*head, "over"]
        now = [period for period in ask.periods if period.start <= self.ms < period.end]
        if not now:
            return [*head, "no period"]
        limit, wait = self._refusal(ask, now[0])
        if limit:
            return [*head, "refused", limit, wait, *self._standing(ask.tenant, now[0]), full_at]
        if ask.rate:
            full_at = ask.rate.take(full_at, self.now).full_at
            self.full_at[ask.tenant] = full_at
        due = self.ms + HELD_MS
        line = Line("held", ask.tenant, ask.operation, ask.cost, now[0], due)
        self._write(ask.id, line, before="")
        return [*head, *GRANTED, *self._standing(ask.tenant, now[0]), full_at]

    def sent(
        self, replica: str, flight: str, mine: Mine, told: Told | None, *, trusted: bool
    ) -> Answer:
        """Mark flight and hold in one step, or neither."""
        books: Answer = ["", 0]
        if told is not None:
            books = self._turn(replica)[:2]
            known = self.lines.get(told.id)
            state = known.state if known else ""
            if not (state in OPEN or (trusted and state in ("", "lapsed"))):
                return [-1, *books]
        step = self.board.sent(self.flights.get(flight), self.ms, mine)
        [sent_at] = step.answer
        if sent_at and step.record is not None:
            self.flights[flight] = step.record
        if sent_at and told is not None:
            state = "" if state == "lapsed" else state
            line = told.line(self.ms + told.wait_ms) if not state else self.lines[told.id]
            line = line._replace(state="sent", due=self.ms + told.wait_ms)
            self._write(told.id, line, before=state)
        return [sent_at, *books]

    def settle(self, replica: str, swept: int, all_told: list[Told]) -> Answer:
        answer = self._turn(replica)
        if self.gen is None:
            return answer
        self._sweep(swept)
        for told in all_told:
            known = self.lines.get(told.id)
            before = known.state if known else ""
            due = self.ms + told.wait_ms
            if told.state in MAY_BECOME[before]:
                line = (known or told.line(due))._replace(state=told.state, due=due)
                self._write(told.id, line, before=before)
            line = self.lines[told.id]
            _, _, settled, held = self._standing(line.tenant, line.period)
            answer.extend((line.state, settled, held))
        return answer

    def rebuild(
        self, replica: str, gen: str, full_at: dict[str, int], spent: dict[tuple[str, int], int]
    ) -> Answer:
        if self.gen is None:
            self.gen = (gen, self.ms + REBUILD_MS)
        for tenant, at in full_at.items():
            if at > self.now:
                self.full_at[tenant] = max(at, self.full_at.get(tenant, 0))
        for name, settled in spent.items():
            self.base[name] = max(settled, self.base.get(name, 0))
        return self._turn(replica)

    def _turn(self, replica: str) -> Answer:
        self.seq[replica] = self.seq.get(replica, 0) + 1
        return [self.gen[0] if self.gen else "", self.seq[replica], self.now]

    def _refusal(self, ask: Ask, period: Period) -> tuple[str, int]:
        _, _, settled, held = self._standing(ask.tenant, period)
        if ask.budget is not None and ask.cost and settled + held + ask.cost > ask.budget:
            return "monthly_images", period.end - self.ms
        if ask.rate:
            wait = ask.rate.take(self.full_at.get(ask.tenant, 0), self.now).wait_us
            if wait:
                return "edits", -(-wait // 1000)
        under_way = [one for one in self._open() if one.tenant == ask.tenant]
        if ask.places is not None and len(under_way) >= ask.places:
            return "max_in_flight", 0
        return "", 0

    def _standing(self, tenant: str, period: Period) -> tuple[int, int, int, int]:
        budget = self._budgets().get((tenant, period.start), {})
        settled = sum(budget.get(name, 0) for name in ("base", "posted", "presumed"))
        return period.start, period.end, settled, budget.get("held", 0)

    def _budgets(self) -> dict[tuple[str, int], dict[str, int]]:
        """What each budget has spent and holds: the sum over its holds, nothing else."""
        budgets: dict[tuple[str, int], dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for line in self.lines.values():
            account = "held" if line.state in OPEN else line.state
            if account not in ("lapsed", "voided") and line.cost:
                budgets[line.tenant, line.period.start][account] += line.cost
        for name, base in self.base.items():
            if base:
                budgets[name]["base"] = base
        return {name: dict(budget) for name, budget in budgets.items()}

    def _open(self) -> list[Line]:
        return [line for line in self.lines.values() if line.state in OPEN]

    def _sweep(self, most: int) -> None:
        late = sorted(
            (line.due, name)
            for name, line in self.lines.items()
            if line.state in OPEN and line.due <= self.ms
        )
        for _, name in late[:most]:
            line = self.lines[name]
            state = "presumed" if line.state == "sent" else "lapsed"
            self._write(name, line._replace(state=state), before=line.state)

    def _write(self, name: str, line: Line, *, before: str) -> None:
        self.lines[name] = line
        if before != line.state:
            self.journal.append(
                Note(line.state, name, line.tenant, line.operation, line.cost, line.period.start)
            )
