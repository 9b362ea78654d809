"""The choice of keys once more, in Python, written from what the scripts promise.

How loaded a key is, and what an account holds and has spent, is not counted here: it follows from the
calls and the holds. Held against the Lua by `test_keys_twin.py`. Times are milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeAlias

from gateway.domain.edit import Operation
from gateway.domain.keys import NO_KEY, KeyGrant, PoolAccount, PoolKey, Seen, Verdict
from gateway.ports import CallTraits, Claim, Hold
from gateway.store.ledger_calls import Attempt
from tests.store.ledger_twin import HELD_MS, MAY_BECOME, OPEN

__all__ = ["Answer", "Books", "Line", "Told", "Twin", "span"]

Answer: TypeAlias = tuple[str, KeyGrant | int | None]

HOUR = 3_600_000
MINUTE = 60_000
TOGETHER = 1_000
PROBE = 5_000
SOON = 250
"""When to look again for what comes nobody knows when: a place at a key, the end of a probe."""


def span(window: int) -> int:
    """For how long a call counts under a rate: a window and a fiftieth more."""
    return math.ceil(window * 1.02)


class Told(NamedTuple):
    """A hold in a state, as a replica tells it, and what its last attempt has shown."""

    hold: Hold
    state: str
    seen: Seen


@dataclass(slots=True)
class Line:
    """A hold. Its key is `NO_KEY` while it is between two."""

    state: str
    operation: Operation
    attempt: int
    grant: KeyGrant
    due: int


@dataclass(slots=True)
class Books:
    """What has to be the same in Redis. `made` is a log: by key or `@account` and call, when it leaves the window.

    `cool` and `throttled` are by key or `@account` and quota, `bad` is how often and when last.
    """

    lines: dict[str, Line] = field(default_factory=dict)
    made: dict[tuple[str, str], int] = field(default_factory=dict)
    off: dict[str, str] = field(default_factory=dict)
    cool: dict[tuple[str, bool], int] = field(default_factory=dict)
    masks: dict[tuple[str, Operation], int] = field(default_factory=dict)
    available: dict[str, int] = field(default_factory=dict)
    exhausted: dict[str, int] = field(default_factory=dict)
    throttled: dict[tuple[str, bool], tuple[str, int]] = field(default_factory=dict)
    serves: dict[str, set[str]] = field(default_factory=dict)
    fails: dict[Operation, dict[str, int]] = field(default_factory=dict)
    bad: dict[str, tuple[int, int]] = field(default_factory=dict)
    probes: dict[Operation, str] = field(default_factory=dict)

    def images(self, account: str, states: Iterable[str]) -> int:
        """What the holds in these states cost an account."""
        return sum(
            line.grant.images_milli
            for line in self.lines.values()
            if line.grant.account == account and line.state in states
        )

    def under_way(self, key: str) -> int:
        """How many calls of a key are."""
        lines = self.lines.values()
        return sum(line.grant.key == key and line.state in OPEN for line in lines)


class _Free(NamedTuple):
    """A key that can take so many calls; ordered by what is preferred."""

    serves: bool
    calls: float
    spare: int
    key: PoolKey
    account: PoolAccount


@dataclass(slots=True)
class Twin:
    """The books and the pool whose keys are chosen; `gated`: by what the accounts have left."""

    accounts: Sequence[PoolAccount]
    gated: bool
    now: int
    books: Books = field(default_factory=Books)

    def admit(self, claim: Claim, attempt: Attempt) -> Answer:
        self._sweep(16)
        line = self.books.lines.get(claim.id)
        goes_on = line is not None and line.state in OPEN
        if line is not None and goes_on:
            if line.attempt >= attempt.number:
                return "granted", line.grant
            self._let_go(line, claim, attempt.seen)
        elif line is not None and line.state != "lapsed":
            return "over", None
        state, due = "held", self.now + HELD_MS
        if line is not None and goes_on:
            state, due = line.state, self.now + _life(claim.seconds)
        if not self.accounts:
            grant = NO_KEY
            self.books.lines[claim.id] = Line(state, claim.operation, attempt.number, grant, due)
            return "granted", grant
        ahead, probes = self.trouble(claim, goes_on=goes_on)
        free = self.free(claim, self.now)
        best = max((one for one in free if one.key.fingerprint not in attempt.tried), default=None,
                   key=lambda one: one[:3])  # fmt: skip
        if best is None or ahead:
            wait = None if best else self.first_return(claim)
            return ("trouble", max(ahead, wait or 0)) if ahead else ("no key", wait)
        if probes:
            self.books.probes[claim.operation] = claim.id
        grant = self._grant(claim, best)
        self.books.lines[claim.id] = Line(state, claim.operation, attempt.number, grant, due)
        self._count(claim.id, attempt.number, best)
        return "granted", grant

    def settle(self, swept: int, all_told: Sequence[Told]) -> None:
        self._sweep(swept)
        for hold, state, seen in all_told:
            line = self.books.lines.get(hold.id)
            before = line.state if line else ""
            if state not in MAY_BECOME[before]:
                continue
            if line is None:
                line = Line("", hold.operation, hold.attempt, hold.key, 0)
            elif before not in ("presumed", state) and _is_news(line, hold):
                line = replace(line, attempt=hold.attempt, grant=hold.key)
            line = replace(line, state=state, due=self.now + _life(hold.seconds))
            self.books.lines[hold.id] = line
            is_its_own = line.grant.key == hold.key.key != NO_KEY.key
            if is_its_own and line.attempt == hold.attempt:
                self._judge(line, seen, hold.traits)

    def free(self, claim: Claim, at: int) -> list[_Free]:
        """The keys that can take a call at a time, if nothing else happens until then."""
        return [one for one in self._keys(claim, at) if one.calls >= 1]

    def first_return(self, claim: Claim) -> int | None:
        """Milliseconds until a key that cannot take a call now can; None: nobody knows."""
        free_now = {one.key for one in self.free(claim, self.now)}
        for at in sorted(self._events()):
            if any(one.key not in free_now for one in self.free(claim, at)):
                return at - self.now
        return None

    def trouble(self, claim: Claim, *, goes_on: bool) -> tuple[int, bool]:
        """For how long the endpoint, or the edit, is not asked; and whether this call finds out."""
        times, at = self.books.bad.get(claim.traits.digest, (0, 0))
        ahead = max(0, at + MINUTE - self.now) if times >= 2 and not goes_on else 0
        fails = [
            at
            for at in self.books.fails.get(claim.operation, {}).values()
            if at > self.now - MINUTE
        ]
        if len(fails) < 3:
            return ahead, False
        ahead = max(ahead, max(fails) + PROBE - self.now)
        is_this = self.books.probes.get(claim.operation) == claim.id
        if not ahead and not is_this and self._is_probed(claim.operation):
            return SOON, False
        return ahead, True

    def awaits_others(self, claim: Claim) -> bool:
        """Whether a claim may wait for the end of a call or for images: nobody knows when that is."""
        if not self.free(claim, self.now) and self.first_return(claim) is None:
            return True
        keys = [key for account in self.accounts for key in account.keys]
        busy = (
            k.places is not None and self.books.under_way(k.fingerprint) >= k.places for k in keys
        )
        return any(busy) or self._is_probed(claim.operation)

    def resume(self, key: str) -> None:
        """What an operator does."""
        books = self.books
        books.off.pop(key, None)
        books.cool = {name: until for name, until in books.cool.items() if name[0] != key}
        books.masks = {name: until for name, until in books.masks.items() if name[0] != key}

    def made(self, name: str, at: int) -> int:
        """How many calls of a key or `@account` count under its rate."""
        return sum(leaves > at for (who, _), leaves in self.books.made.items() if who == name)

    def _keys(self, claim: Claim, at: int) -> Iterator[_Free]:
        for account in self.accounts:
            if claim.tenant.accounts is not None and account.id not in claim.tenant.accounts:
                continue
            if account.tenants is not None and claim.tenant.id not in account.tenants:
                continue
            left = self._account_left(account, claim, at)
            serves = account.id in self.books.serves.get(claim.traits.template, ())
            for key in account.keys:
                calls = min(left, self._key_left(key, claim, at))
                spare = -self.books.under_way(key.fingerprint)
                yield _Free(serves and bool(claim.traits.template), calls, spare, key, account)

    def _account_left(self, account: PoolAccount, claim: Claim, at: int) -> float:
        books, sandbox = self.books, claim.traits.sandbox
        left = math.inf
        assert account.price is not None
        price = account.price.of(claim.operation)
        if self.gated and not sandbox:
            if account.id not in books.available or account.id in books.exhausted:
                return 0
            spoken_for = books.images(account.id, (*OPEN, "posted", "presumed"))
            headroom = books.available[account.id] - spoken_for - account.reserve_milli
            left = headroom // price if price else math.inf
        if books.cool.get((f"@{account.id}", sandbox), 0) > at:
            return 0
        if account.calls is not None:
            left = min(left, account.calls - self.made(f"@{account.id}", at))
        return left

    def _key_left(self, key: PoolKey, claim: Claim, at: int) -> float:
        books, name = self.books, key.fingerprint
        if name in books.off or books.cool.get((name, claim.traits.sandbox), 0) > at:
            return 0
        if books.masks.get((name, claim.operation), 0) > at:
            return 0
        places = math.inf if key.places is None else key.places - books.under_way(name)
        if places < 1 and at >= self.now + SOON:
            places = 1
        return min(places, key.calls - self.made(name, at))

    def _is_probed(self, operation: Operation) -> bool:
        probe = self.books.lines.get(self.books.probes.get(operation, ""))
        return probe is not None and probe.state in OPEN

    def _events(self) -> set[int]:
        """The times at which a key may return."""
        books = self.books
        times = {*books.made.values(), *books.cool.values(), *books.masks.values(), self.now + SOON}
        return {at for at in times if at > self.now}

    def _grant(self, claim: Claim, free: _Free) -> KeyGrant:
        assert free.account.price is not None
        images = free.account.price.of(claim.operation, sandbox=claim.traits.sandbox)
        return KeyGrant(free.key.fingerprint, free.account.id, images)

    def _count(self, name: str, attempt: int, free: _Free) -> None:
        call = f"{name}:{attempt}"
        self.books.made[free.key.fingerprint, call] = self.now + span(free.key.window_ms)
        if free.account.calls is not None:
            leaves = self.now + span(free.account.window_ms)
            self.books.made[f"@{free.account.id}", call] = leaves

    def _let_go(self, line: Line, claim: Claim, seen: Seen) -> None:
        if line.grant != NO_KEY:
            self._judge(line, seen, claim.traits)
            line.grant = NO_KEY

    def _judge(self, line: Line, seen: Seen, traits: CallTraits) -> None:
        books, key, account = self.books, line.grant.key, line.grant.account
        match seen.verdict:
            case Verdict.SERVED:
                books.masks |= {(other, line.operation): self.now + HOUR for other in seen.masks}
                books.fails.pop(line.operation, None)
                books.probes.pop(line.operation, None)
                if traits.template:
                    books.serves.setdefault(traits.template, set()).add(account)
            case Verdict.REJECTED | Verdict.FORBIDDEN:
                books.off.setdefault(key, seen.verdict.value)
            case Verdict.EXHAUSTED if not traits.sandbox:
                books.exhausted[account] = self.now
            case Verdict.THROTTLED:
                self._throttle(
                    key, f"@{account}", traits.sandbox, self.now + round(seen.wait * 1000)
                )
            case Verdict.REFUSED:
                books.bad[traits.digest] = (2, self.now)
            case Verdict.FAILED:
                books.fails.setdefault(line.operation, {})[traits.digest] = self.now
                times, at = books.bad.get(traits.digest, (0, 0))
                books.bad[traits.digest] = (times + 1 if at > self.now - MINUTE else 1, self.now)

    def _throttle(self, key: str, account: str, sandbox: bool, until: int) -> None:  # noqa: FBT001 - a trait
        other, at = self.books.throttled.get((account, sandbox), (key, 0))
        self.books.throttled[account, sandbox] = key, self.now
        together = other != key and self.now - at <= TOGETHER
        for name in (key, account) if together else (key,):
            self.books.cool[name, sandbox] = max(until, self.books.cool.get((name, sandbox), 0))

    def _sweep(self, most: int) -> None:
        late = sorted(
            (line.due, name)
            for name, line in self.books.lines.items()
            if line.state in OPEN and line.due <= self.now
        )
        for _, name in late[:most]:
            line = self.books.lines[name]
            line.state = "presumed" if line.state == "sent" else "lapsed"


def _is_news(line: Line, hold: Hold) -> bool:
    """Whether the replica went on with another key by itself, while Redis could not be heard."""
    if hold.attempt != line.attempt:
        return hold.attempt > line.attempt
    return line.grant != NO_KEY and line.grant.key != hold.key.key


def _life(seconds: float) -> int:
    return round(seconds * 1000) + HELD_MS
