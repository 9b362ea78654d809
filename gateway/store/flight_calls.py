"""The five scripts of flights as calls: what goes into each, and how its answer reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway.domain.errors import OutcomeUnknown
from gateway.ports import Ended, Follow, Hold, Joined, Lead
from gateway.store.keyspace import LEDGER_ROOT, WAKE_PREFIX, flight_key
from gateway.store.scripts import Script, ScriptCall, load

__all__ = ["LONGEST_MESSAGE", "FlightCalls", "FlightRules", "FlightScripts", "Held", "read_joined"]

LONGEST_MESSAGE = 500
"""Characters of a message that the board keeps."""

_ALL_UNKNOWN = "Every attempt was sent and none has told its end; it may have been charged."


@dataclass(frozen=True, slots=True)
class FlightRules:
    """Times in milliseconds, and what takeovers may pay.

    `lease` is how long a leader that does not renew is taken for alive, `longest_wait` what a lost
    wake-up costs, `keep` how long what is over is told. `takeovers` is how many attempts may be paid
    for after the leader of the first died with it.
    """

    lease: int = 10_000
    longest_wait: int = 1_000
    keep: int = 60_000
    takeovers: int = 1


@dataclass(frozen=True, slots=True)
class FlightScripts:
    """The scripts, each with what they share before it."""

    join: Script
    sent: Script
    renew: Script
    complete: Script
    fail: Script

    @classmethod
    def load(cls) -> FlightScripts:
        """Read them from the package."""
        return cls(
            join=load("flight", "join"),
            sent=load("flight", "hold", "sent"),
            renew=load("flight", "renew"),
            complete=load("flight", "complete"),
            fail=load("flight", "fail"),
        )


@dataclass(frozen=True, slots=True)
class Held:
    """A lead as its replica knows it: enough to write a lost record anew.

    `timeout` and `sent_at` are milliseconds; `sent_at` is Redis's time of the mark, 0 before it.
    """

    lead: Lead
    timeout: int
    sent_at: int = 0


@dataclass(frozen=True, slots=True)
class FlightCalls:
    """Makes the calls of one replica."""

    replica: str
    rules: FlightRules
    scripts: FlightScripts

    def join(self, flight: str, *, timeout: int, seen: int, token: str) -> ScriptCall:
        """Lead, follow or hear the end."""
        rules = self.rules
        times = (timeout, rules.lease, rules.longest_wait, rules.takeovers, rules.keep)
        return ScriptCall(
            self.scripts.join, (flight_key(flight),), (self.replica, token, seen, *times)
        )

    def sent(self, held: Held, hold: Hold | None, known: int = 0) -> ScriptCall:
        """Mark as sent, the hold with it; answers the time of the mark, 0 or -1, and what Books read.

        `known` is the replica's count of calls, as its books say.
        """
        lead = held.lead
        who = (self.replica, lead.token, lead.epoch, lead.attempts)
        times = (held.timeout, self.rules.lease, self.rules.keep)
        keys = (flight_key(lead.flight), LEDGER_ROOT)
        return ScriptCall(self.scripts.sent, keys, (*who, *times, *_hold_words(hold), known))

    def renew(self, held: Sequence[Held]) -> ScriptCall:
        """Renew the leases; answers 1 for each that is still held, else 0."""
        arguments: list[str | int] = [self.replica, self.rules.lease, self.rules.keep]
        for one in held:
            lead = one.lead
            arguments += (lead.token, lead.epoch, lead.attempts, one.timeout, one.sent_at)
        keys = tuple(flight_key(one.lead.flight) for one in held)
        return ScriptCall(self.scripts.renew, keys, tuple(arguments))

    def complete(self, lead: Lead, outcome: str, message: str) -> ScriptCall:
        """End the flight."""
        who = (lead.flight, self.replica, lead.token, lead.epoch)
        ending = (outcome, message[:LONGEST_MESSAGE], self.rules.keep, WAKE_PREFIX)
        return ScriptCall(self.scripts.complete, (flight_key(lead.flight),), (*who, *ending))

    def fail(self, lead: Lead) -> ScriptCall:
        """Give the flight back."""
        who = (lead.flight, self.replica, lead.token, lead.epoch, lead.attempts)
        return ScriptCall(
            self.scripts.fail,
            (flight_key(lead.flight),),
            (*who, self.rules.keep, WAKE_PREFIX),
        )


def _hold_words(hold: Hold | None) -> tuple[str | int, ...]:
    if hold is None:
        return ("",)
    what = (hold.tenant, hold.operation.value, hold.cost_milli)
    grant = hold.key
    attempt = (hold.attempt, grant.key, grant.account, grant.images_milli)
    return (hold.id, int(hold.trusted), *what, hold.period.start, hold.period.end, *attempt)


def read_joined(flight: str, token: str, answer: Sequence[Any]) -> Joined:
    """Return what an answer of `join` says."""
    kind, epoch, *rest = answer
    match kind:
        case b"lead" | b"alone":
            return Lead(flight, epoch, token, attempts=rest[0])
        case b"follow":
            return Follow(flight, epoch, wait=rest[0] / 1000)
        case b"ended":
            outcome, message = (text.decode() for text in rest)
            return Ended(flight, epoch, outcome, message)
        case b"unknown":
            return Ended(flight, epoch, OutcomeUnknown.reason, _ALL_UNKNOWN)
        case _:
            raise ValueError(f"join.lua does not answer {kind!r}")
