"""A server and the twin of the choice of keys side by side: every call is made on both, and twice."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

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
from tests.store.keys_twin import Answer, Books, Line, Told, Twin, span
from tests.store.ledger_twin import OPEN
from tests.store.ledger_picture import WIPE
from tests.store.ledger_tools import NOON, timed_ledger

__all__ = ["ANY", "PATIENCE", "KeyBench", "a_claim", "an_account", "told"]

ANY = Tenant("any")
PATIENCE = 60.0
SWEPT = 100
START = NOON // 1000

READ = """
local all = {}
for _, key in ipairs(redis.call('KEYS', KEYS[1] .. '*')) do
  local kind = redis.call('TYPE', key).ok
  local value
  if kind == 'string' then
    value = { redis.call('GET', key) }
  elseif kind == 'hash' then
    value = redis.call('HGETALL', key)
  elseif kind == 'zset' then
    value = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  elseif kind == 'set' then
    value = redis.call('SMEMBERS', key)
  end
  all[#all + 1] = { string.sub(key, #KEYS[1] + 1), value or {} }
end
return all
"""
"""Answers name and content of every key that begins with KEYS[1]."""


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
    for number, (most, window, *places) in enumerate(keys, 1):
        key = f"{name}{number}"
        made.append(PoolKey(key, key, most, window, places[0] if places else None))
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


@dataclass(slots=True)
class Picture:
    """The books, and what follows from them: the places taken at each key, what each account holds and
    has spent."""

    books: Books = field(default_factory=Books)
    places: dict[str, dict[str, int]] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    since: dict[str, int] = field(default_factory=dict)


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
        return self._normal(_read(self._client.eval(READ, 1, self.root)))

    def expected(self) -> Picture:
        """What it should have."""
        books = self.twin.books
        named = {line.grant for line in books.lines.values() if line.grant != NO_KEY}
        keys, accounts = {one.key for one in named}, {one.account for one in named}
        return self._normal(
            Picture(
                books,
                {key: books.open_calls(key) for key in keys},
                {account: books.images(account, OPEN) for account in accounts},
                {account: books.images(account, ("posted", "presumed")) for account in accounts},
            )
        )

    def _twice(self, call: ScriptCall) -> tuple[list[Any], list[Any]]:
        """Make a call twice: it does what it does to the twin, and the second time nothing."""
        keys = [name.replace(LEDGER_ROOT, self.root) for name in call.keys]
        pipeline = self._client.pipeline(transaction=False)
        pipeline.execute_command("SET", self._clock, self.now * 1000)
        for _ in range(2):
            pipeline.execute_command("EVAL", call.script.text, len(keys), *keys, *call.arguments)
            pipeline.execute_command("EVAL", READ, 1, self.root)
        _, first, seen, second, again = pipeline.execute()
        assert self.expected() == self._normal(_read(seen))
        assert self._normal(_read(seen)) == self._normal(_read(again))
        return first, second

    def _normal(self, picture: Picture) -> Picture:
        """Without what counts no more, and without what is nothing."""
        windows = self.twin.windows
        books, minute = picture.books, self.now - 60_000
        fails = {
            operation: {name: at for name, at in failed.items() if at > minute}
            for operation, failed in books.fails.items()
        }
        books = replace(
            books,
            made={
                (name, call): at
                for (name, call), at in books.made.items()
                if at > self.now - span(windows[name])
            },
            fails={operation: failed for operation, failed in fails.items() if failed},
            bad={digest: bad for digest, bad in books.bad.items() if bad[1] > minute},
        )
        return Picture(
            books,
            {key: holds for key, holds in picture.places.items() if holds},
            {account: amount for account, amount in picture.held.items() if amount},
            {account: amount for account, amount in picture.since.items() if amount},
        )


def _answer(words: Sequence[Any]) -> Answer:
    match words:
        case [b"granted", key, account, images, *_]:
            return "granted", KeyGrant(key.decode(), account.decode(), images)
        case [word, wait]:
            return word.decode(), wait if wait >= 0 else None
        case [word]:
            return word.decode(), None
    raise AssertionError(words)


def _read(answer: Sequence[Any]) -> Picture:
    """Understand what READ answers."""
    picture = Picture()
    books = picture.books
    for raw, value in answer:
        kind, _, name = raw.decode().partition(":")
        if kind.startswith("slots@"):
            picture.places[_rest(raw, "slots@")] = _scores(value)
        elif kind.startswith("calls@"):
            books.made |= _log("@" + _rest(raw, "calls@"), value)
        elif kind == "calls":
            books.made |= _log(name, value)
        elif kind == "hold":
            books.lines[name] = _line(value[0].decode())
        elif kind == "key":
            _read_key(books, name, _pairs(value))
        elif kind == "account":
            _read_account(picture, name, _pairs(value))
        elif kind == "serves":
            books.serves[name] = {member.decode() for member in value}
        elif kind == "fails":
            books.fails[Operation(name)] = _scores(value)
        elif kind == "probe":
            books.probes[Operation(name)] = value[0].decode()
        elif kind == "bad":
            drawn = _pairs(value)
            books.bad[name] = int(drawn["times"]), int(drawn["at"])
    return picture


def _read_key(books: Books, key: str, words: dict[str, str]) -> None:
    for word, value in words.items():
        if word == "off":
            books.off[key] = value
        elif word in _QUOTAS:
            books.cool[key, _QUOTAS[word]] = int(value)
        else:
            books.masks[key, Operation(word.removeprefix("mask:"))] = int(value)


def _read_account(picture: Picture, account: str, words: dict[str, str]) -> None:
    books = picture.books
    picture.held[account] = int(words.get("held", 0))
    picture.since[account] = int(words.get("since", 0))
    if "available" in words:
        books.available[account] = int(words["available"])
    if "exhausted" in words:
        books.exhausted[account] = int(words["exhausted"])
    for word, sandbox in _QUOTAS.items():
        if word in words:
            books.cool[f"@{account}", sandbox] = int(words[word])
        other = word.replace("cool", "throttled")
        if other in words:
            at = int(words[other.replace("throttled", "throttled_at")])
            books.throttled[f"@{account}", sandbox] = words[other], at


_QUOTAS = {"cool": False, "cool:sandbox": True}


def _rest(raw: bytes, head: str) -> str:
    return raw.decode().removeprefix(head)


def _line(text: str) -> Line:
    state, _, operation, _, _, _, due, attempt, key, account, images = text.split(" ")
    grant = KeyGrant(key, account, int(images))
    return Line(state, Operation(operation), int(attempt), grant, int(due))


def _log(name: str, value: Sequence[bytes]) -> dict[tuple[str, str], int]:
    return {(name, call): at for call, at in _scores(value).items()}


def _pairs(flat: Sequence[bytes]) -> dict[str, str]:
    words = [word.decode() for word in flat]
    return dict(zip(words[::2], words[1::2], strict=True))


def _scores(flat: Sequence[bytes]) -> dict[str, int]:
    return {name: int(score) for name, score in _pairs(flat).items()}
