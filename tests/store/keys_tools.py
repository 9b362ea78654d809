"""A server and the twin of the choice of keys side by side: every call is made on both, and twice."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import redis

from gateway.domain.credits import PLUS, Price
from gateway.domain.edit import Operation
from gateway.domain.keys import NO_KEY, NOTHING_SEEN, KeyGrant, PoolAccount, PoolKey, Seen
from gateway.domain.periods import Period
from gateway.domain.tenant import Tenant
from gateway.ports import NO_TRAITS, CallTraits, Claim, Hold
from gateway.store.hold_table import Entry
from gateway.store.keyspace import LEDGER_ROOT
from gateway.store.ledger_calls import Attempt, LedgerCalls
from gateway.store.pool import Pool
from gateway.store.scripts import ScriptCall, load
from tests.servers.process import Server
from tests.store.keys_picture import READ, Picture, read_picture
from tests.store.keys_twin import Answer, Told, Twin
from tests.store.ledger_picture import WIPE
from tests.store.ledger_tools import NOON, timed_ledger
from tests.store.ledger_twin import OPEN

__all__ = ["ANY", "PATIENCE", "KeyBench", "a_claim", "an_account", "told"]

T = TypeVar("T")
ANY = Tenant("any")
PATIENCE = 60.0
SWEPT = 100
START = NOON // 1000


def an_account(
    name: str,
    *keys: tuple[int, int] | tuple[int, int, int | None],
    price: Price = PLUS,
    calls: int | None = None,
    window: int = 60_000,
    reserve: int = 0,
    tenants: frozenset[str] | None = None,
) -> PoolAccount:
    """An account whose keys are told by calls, window and places; they are named `<account>1` and so on."""
    made = []
    for number, (most, within, *places) in enumerate(keys, 1):
        key = f"{name}{number}"
        made.append(PoolKey(key, key, most, within, places[0] if places else None))
    return PoolAccount(name, tuple(made), price, calls, reserve, tenants, window)


def a_claim(
    name: str = "",
    *,
    tenant: Tenant = ANY,
    operation: Operation = Operation.EDIT,
    seconds: float = PATIENCE,
    traits: CallTraits = NO_TRAITS,
) -> Claim:
    """A claim of its own name, and of an edit of its own unless `traits` has one."""
    name = name or secrets.token_hex(8)
    if not traits.digest:
        traits = replace(traits, digest=f"d-{name}")
    return Claim(name, tenant, operation, 1_000, seconds, traits)


def told(
    claim: Claim,
    state: str,
    grant: KeyGrant,
    *,
    attempt: int = 1,
    seen: Seen = NOTHING_SEEN,
) -> Told:
    """What a replica tells of a claim that it was granted that key for."""
    period = Period(0, 2 * START)
    what = (claim.id, claim.tenant.id, claim.operation, claim.cost_milli, claim.seconds)
    return Told(Hold(*what, period, claim.traits, grant, attempt), state, seen)


class KeyBench:
    """A server whose books under a root of their own admit, with a clock that a test sets, and the twin."""

    def __init__(self, client: redis.Redis) -> None:
        self._client: Any = client
        self._clock = "test:{ctl}:time:" + secrets.token_hex(8)
        self.root = f"test:{{ctl}}:{secrets.token_hex(8)}:"
        self._calls = LedgerCalls("one", timed_ledger(self._clock), 0.0)
        self._switch = load("key_switch")
        self.begin()

    @classmethod
    @contextmanager
    def at(cls, server: Server) -> Iterator[KeyBench]:
        path = server.url.removeprefix("unix://")
        client = redis.Redis(unix_socket_path=path, protocol=2, socket_timeout=5)
        client.response_callbacks.clear()
        with client:
            bench = cls(client)
            try:
                yield bench
            finally:
                client.eval(WIPE, 1, bench.root)
                client.delete(bench._clock)

    def begin(self, *accounts: PoolAccount, gated: bool = False) -> None:
        """Empty books that admit, over these accounts; `gated`: by what they have left."""
        self._client.eval(WIPE, 1, self.root)
        self._client.hset(self.root + "gen", mapping={"id": "g1", "open_at": 0})
        self.pool = Pool(accounts, gated=gated)
        self.twin = Twin(accounts, gated, START)

    @property
    def now(self) -> int:
        return self.twin.now

    def wait(self, ms: int) -> None:
        """Let time pass."""
        self.twin.now += ms

    def admit(self, claim: Claim, attempt: Attempt | None = None) -> Answer:
        """Ask for a key."""
        attempt = attempt or Attempt(1)
        keys = self.pool.candidates(claim.tenant, claim.operation)
        answer = self.twin.admit(claim, attempt)
        assert answer == self.twin.admit(claim, attempt), "the twin: not a no-op"
        call = self._calls.admit(claim, attempt, keys, self.now / 1000)
        first, second = self._twice(call)
        assert (answer, answer) == (_answer(first[3:]), _answer(second[3:]))
        return answer

    def settle(self, *all_told: Told) -> None:
        """Tell of holds."""
        for _ in range(2):
            self.twin.settle(SWEPT, all_told)
        entries = [Entry(hold, state, "", 0.0, seen) for hold, state, seen in all_told]
        self._twice(self._calls.settle(entries))

    def hear_of(self, account: str, milli: int) -> None:
        """An account that was asked has so many thousandths of an image left."""
        self.twin.books.available[account] = milli
        self.twin.books.exhausted.pop(account, None)
        name = f"{self.root}account:{account}"
        self._client.hset(name, "available", milli)
        self._client.hdel(name, "exhausted")

    def drain(self, key: str) -> None:
        """What an operator does to a key that is to begin no call any more."""
        self.twin.books.off[key] = "drained"
        self._client.eval(self._switch.text, 1, self.root, "drained", key)

    def resume(self, key: str) -> None:
        """What an operator does to a key that is off or left alone."""
        self.twin.resume(key)
        self._client.eval(self._switch.text, 1, self.root, "resumed", key)

    def lapse(self, claim: Claim, attempt: int = 1) -> None:
        """Tell that the call was not made."""
        line = self.twin.books.lines[claim.id]
        self.settle(told(claim, "voided", line.grant, attempt=attempt))

    def picture(self) -> Picture:
        """What Redis has."""
        return self._standing(self._client.eval(READ, 1, self.root))

    def expected(self) -> Picture:
        """What it should have."""
        books = self.twin.books
        named = {line.grant for line in books.lines.values() if line.grant != NO_KEY}
        keys, accounts = {one.key for one in named}, {one.account for one in named}
        expected = Picture(
            books,
            {key: books.under_way(key) for key in keys},
            {account: books.images(account, OPEN) for account in accounts},
            {account: books.images(account, ("posted", "presumed")) for account in accounts},
        )
        return expected.standing(self.now)

    def _twice(self, call: ScriptCall) -> tuple[list[Any], list[Any]]:
        """Make a call twice: it does what it does to the twin, and the second time nothing."""
        keys = [name.replace(LEDGER_ROOT, self.root) for name in call.keys]
        pipeline = self._client.pipeline(transaction=False)
        pipeline.execute_command("SET", self._clock, self.now * 1000)
        for _ in range(2):
            pipeline.execute_command("EVAL", call.script.text, len(keys), *keys, *call.arguments)
            pipeline.execute_command("EVAL", READ, 1, self.root)
        _, first, seen, second, again = pipeline.execute()
        assert self.expected() == self._standing(seen) == self._standing(again)
        return first, second

    def _standing(self, answer: Sequence[Any]) -> Picture:
        return read_picture(answer).standing(self.now)


def _answer(words: Sequence[Any]) -> Answer:
    match words:
        case [b"granted", key, account, images, *_]:
            return "granted", KeyGrant(key.decode(), account.decode(), images)
        case [word, wait]:
            return word.decode(), wait if wait >= 0 else None
        case [word]:
            return word.decode(), None
    raise AssertionError(words)
