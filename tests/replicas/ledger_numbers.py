"""What the books in Redis say, read past the gateway."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from tests.client.waiting import until
from tests.servers.process import Server

__all__ = ["Books", "Event", "Totals"]

_ROOT = "pg1:{ctl}:"


@dataclass(frozen=True, slots=True)
class Event:
    """A hold has come into a state, `at` milliseconds since the epoch by Redis's clock."""

    at: int
    hold: str
    state: str
    cost: int


@dataclass(frozen=True, slots=True)
class Totals:
    """What a tenant's budgets have, in thousandths of a credit. `base` is of earlier books."""

    base: int
    posted: int
    presumed: int
    held: int

    @property
    def spent(self) -> int:
        """What counts as spent."""
        return self.base + self.posted + self.presumed


@dataclass(frozen=True, slots=True)
class Books:
    """The books in a server, of one tenant. `server` says which it is now: it may fail over."""

    server: Callable[[], Server]
    tenant: str = "catalog"

    def events(self) -> list[Event]:
        """All that the journal has, the oldest first."""
        entries = self.server().admin("XRANGE", _ROOT + "journal", "-", "+")
        return [event for event, tenant in map(_event, entries) if tenant == self.tenant]

    def times(self, state: str) -> list[int]:
        """When holds came into a state, in milliseconds, in order."""
        return [event.at for event in self.events() if event.state == state]

    def totals(self) -> Totals:
        """The sums over all months: one may end under a test."""
        sums: Counter[str] = Counter()
        for name in self.server().admin("KEYS", f"{_ROOT}budget:{self.tenant}:*"):
            fields = self.server().admin("HGETALL", name.decode())
            for field, value in zip(fields[::2], fields[1::2], strict=True):
                sums[field.decode()] += int(value)
        return Totals(sums["base"], sums["posted"], sums["presumed"], sums["held"])

    def totals_of_the_journal(self) -> Totals:
        """The same by the last state of each hold: what no event told has no place in the books."""
        last = {event.hold: event for event in self.events()}
        sums: Counter[str] = Counter()
        for event in last.values():
            sums[event.state] += event.cost
        return Totals(0, sums["posted"], sums["presumed"], sums["held"] + sums["sent"])

    def places(self) -> int:
        """How many of its calls are under way."""
        return int(self.server().admin("ZCARD", f"{_ROOT}slots:{self.tenant}"))

    def open_holds(self) -> int:
        """How many holds are open, of all tenants."""
        return int(self.server().admin("ZCARD", _ROOT + "holds"))

    async def until_nothing_is_held(self) -> None:
        """Wait until no hold is open, no place is taken, and no credit is held."""

        async def is_quiet() -> bool:
            return not (self.open_holds() or self.places() or self.totals().held)

        await until(is_quiet)


def _event(entry: tuple[bytes, list[bytes]]) -> tuple[Event, str]:
    name, flat = entry
    said = {k.decode(): v.decode() for k, v in zip(flat[::2], flat[1::2], strict=True)}
    at = int(name.partition(b"-")[0])
    return Event(at, said["id"], said["e"], int(said["c"])), said["t"]
