"""The scripts of the ledger as calls: what goes into each, and how its answer reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

from gateway.domain.keys import NOTHING_SEEN, KeyGrant, Seen, Verdict
from gateway.domain.periods import Period, months_around
from gateway.ports import CallTraits, Claim
from gateway.store.books import Books
from gateway.store.hold_table import BudgetName, Entry, Spent
from gateway.store.keyspace import LEDGER_ROOT
from gateway.store.scripts import Script, ScriptCall, load

__all__ = [
    "Admitted",
    "Answer",
    "Attempt",
    "Closed",
    "LedgerCalls",
    "LedgerScripts",
    "NoKey",
    "Over",
    "Refused",
    "Trouble",
    "read_admitted",
]

HELD_MS: Final = 10_000
"""Milliseconds after which a hold that was not sent lapses."""

_HOUR: Final = 3600

_SWEPT: Final = 100
"""Open holds that one call resolves because nobody waits for them any more."""

Limit: TypeAlias = Literal["edits", "max_in_flight", "monthly_images"]


@dataclass(frozen=True, slots=True)
class LedgerScripts:
    """The scripts, each with what they share before it."""

    admit: Script
    settle: Script
    rebuild: Script

    @classmethod
    def load(cls) -> LedgerScripts:
        """Read them from the package."""
        return cls(
            admit=load("hold", "health", "keys", "admit"),
            settle=load("hold", "health", "keys", "settle"),
            rebuild=load("hold", "rebuild"),
        )


@dataclass(frozen=True, slots=True)
class Admitted:
    """The claim is granted. `full_at` is that of the edit rate's bucket, in microseconds."""

    key: KeyGrant
    spent: Spent
    full_at: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A limit refuses the claim, for `wait` seconds."""

    limit: Limit
    wait: float
    spent: Spent
    full_at: int


@dataclass(frozen=True, slots=True)
class NoKey:
    """No key can serve the claim for `wait` seconds; None: nobody knows for how long."""

    wait: float | None


@dataclass(frozen=True, slots=True)
class Trouble:
    """The endpoint, or this edit, is not asked for `wait` seconds."""

    wait: float


@dataclass(frozen=True, slots=True)
class Closed:
    """These books admit after `wait` seconds; None: there are no books."""

    wait: float | None


@dataclass(frozen=True, slots=True)
class Over:
    """The claim's hold was resolved before."""


Answer: TypeAlias = Admitted | Refused | NoKey | Trouble | Closed | Over


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt of a claim: its number, what the one before has shown, the keys that were tried."""

    number: int
    seen: Seen = NOTHING_SEEN
    tried: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class LedgerCalls:
    """Makes the calls of one replica, which knows what `books` says. New ones admit after `window` seconds."""

    replica: str
    scripts: LedgerScripts
    window: float
    books: Books = field(default_factory=Books)

    def admit(self, claim: Claim, attempt: Attempt, keys: str, now: float) -> ScriptCall:
        """Ask for a hold and a key among `keys`, as `Pool.candidates` writes them.

        `now` is in seconds since the epoch: it says which periods may be meant.
        """
        limits = claim.tenant.limits
        rate = limits.edits
        arguments = (
            self.replica,
            claim.id,
            claim.tenant.id,
            claim.operation.value,
            claim.cost_milli,
            rate.interval_us if rate else 0,
            rate.burst if rate else 0,
            _bound(limits.in_flight),
            _bound(limits.budget_milli),
            HELD_MS,
            _life_ms(claim.seconds),
            attempt.number,
            keys,
            _facts(claim.traits, attempt.tried) if keys else "",
            _shown(claim.traits, attempt.seen),
            *_months(limits.zone, int(now // _HOUR)),
        )
        return self._call(self.scripts.admit, arguments)

    def settle(self, entries: Sequence[Entry]) -> ScriptCall:
        """Tell the states of holds, and that the replica lives."""
        arguments: list[str | int] = [self.replica, _SWEPT]
        for entry in entries:
            hold = entry.hold
            period = hold.period
            what = (hold.tenant, hold.operation.value, hold.cost_milli, period.start, period.end)
            arguments += (hold.id, entry.state, *what, _life_ms(hold.seconds), hold.attempt)
            grant = hold.key
            arguments += (grant.key, grant.account, grant.images_milli)
            arguments.append(_shown(hold.traits, entry.seen))
        return self._call(self.scripts.settle, arguments)

    def rebuild(
        self, gen: str, full_at: Mapping[str, int], spent: Mapping[BudgetName, Spent]
    ) -> ScriptCall:
        """Open books under the name `gen` where there are none, and write back what was known."""
        arguments: list[str | int] = [self.replica, gen, round(self.window * 1000), len(full_at)]
        for tenant, at in full_at.items():
            arguments += (tenant, at)
        for (tenant, start), known in spent.items():
            arguments += (tenant, start, known.period.end, known.settled)
        return self._call(self.scripts.rebuild, arguments)

    def _call(self, script: Script, arguments: Sequence[str | int]) -> ScriptCall:
        return ScriptCall(script, (LEDGER_ROOT,), (*arguments, self.books.seq))


def read_admitted(answer: Sequence[Any]) -> Answer:
    """Return what an answer of `admit` says, behind generation, count and time."""
    match answer:
        case [b"granted", key, account, images, *standing]:
            grant = KeyGrant(key.decode(), account.decode(), images)
            return Admitted(grant, *_standing(standing))
        case [b"no key", wait]:
            return NoKey(wait / 1000 if wait >= 0 else None)
        case [b"trouble", wait]:
            return Trouble(wait / 1000)
        case [b"refused", limit, wait, *standing]:
            return Refused(limit.decode(), wait / 1000, *_standing(standing))
        case [b"closed", wait]:
            return Closed(wait / 1000)
        case [b"lost"]:
            return Closed(None)
        case [b"over"]:
            return Over()
    raise ValueError(f"admit.lua does not answer {answer[:1]!r}")


def _standing(words: Sequence[int]) -> tuple[Spent, int]:
    start, end, settled, held, full_at = words
    return Spent(Period(start, end), settled, held), full_at


@lru_cache(maxsize=64)
def _months(zone: tzinfo, hour: int) -> tuple[int, ...]:
    """Start and end of each month around an hour since the epoch: all of its moments are in them."""
    return tuple(
        edge for month in months_around(hour * _HOUR, zone) for edge in (month.start, month.end)
    )


def _facts(traits: CallTraits, tried: frozenset[str]) -> str:
    return json.dumps(
        {
            "sandbox": traits.sandbox,
            "digest": traits.digest,
            "template": traits.template,
            "tried": dict.fromkeys(tried, True),
        }
    )


def _shown(traits: CallTraits, seen: Seen) -> str:
    if seen.verdict is Verdict.NOTHING:
        return ""
    return json.dumps(
        {
            "verdict": seen.verdict,
            "wait": round(seen.wait * 1000),
            "masks": seen.masks,
            "sandbox": traits.sandbox,
            "digest": traits.digest,
            "template": traits.template,
        }
    )


def _life_ms(seconds: float) -> int:
    """How long a hold whose call may take so many seconds is waited for."""
    return round(seconds * 1000) + HELD_MS


def _bound(limit: int | None) -> int:
    return -1 if limit is None else limit
