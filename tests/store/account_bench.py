"""Accounts in the ledger of a real server: every script is called twice, by a clock that a test sets."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Self

import redis

from gateway.domain.accounts import Rhythm, Standing
from gateway.domain.answer import AccountState
from gateway.domain.edit import Operation
from gateway.domain.keys import NOTHING_SEEN, KeyGrant, PoolAccount, Seen, Verdict
from gateway.domain.periods import Period
from gateway.ports import Findings, Hold, Look, Question
from gateway.store.accounts import AccountCalls, AccountScripts, read_findings, read_look
from gateway.store.hold_table import Entry
from gateway.store.keyspace import LEDGER_ROOT
from gateway.store.ledger_calls import LedgerCalls
from gateway.store.scripts import Script, ScriptCall
from tests.servers.process import Server
from tests.store.flight_tools import NOW
from tests.store.ledger_picture import READ, WIPE
from tests.store.ledger_tools import timed_ledger

__all__ = ["RHYTHM", "AccountBench", "account", "word"]

RHYTHM = Rhythm(every=60.0, soon=10.0, lag=120.0)
START = 1_800_000_000_000
_LONG = 1e6
"""Seconds: no hold of a test is swept."""

_PERIOD = Period(START - 10**9, START + 10**9)


def account(name: str = "plus", *, reserve: int = 0) -> PoolAccount:
    return PoolAccount(name, (), None, reserve_milli=reserve)


def word(available: int, subscription: int = 1_000_000, plan: str = "plus") -> AccountState:
    return AccountState(available, subscription, plan)


def timed_accounts(clock: str) -> AccountScripts:
    """The scripts with another `now()`: microseconds from the key `clock`, in the slot of `{ctl}`."""
    shipped = AccountScripts.load()
    line = f"local function now() return tonumber(redis.call('GET', '{clock}')) end"
    text, lines = NOW.subn(lambda _: line, shipped.poll.text)
    assert (1, None) == (lines, NOW.search(shipped.polled.text)), "only `poll` tells the time"
    return AccountScripts(Script.of(text), shipped.polled)


@dataclass(slots=True)
class AccountBench:
    """One server under a root of its own. `now` is in milliseconds."""

    client: redis.Redis
    now: int = START
    rhythm: Rhythm = RHYTHM
    clock: str = field(default_factory=lambda: "test:{ctl}:time:" + secrets.token_hex(8))
    root: str = field(default_factory=lambda: f"test:{{ctl}}:{secrets.token_hex(8)}:")

    @classmethod
    @contextmanager
    def at(cls, server: Server) -> Iterator[Self]:
        path = server.url.removeprefix("unix://")
        client = redis.Redis(unix_socket_path=path, protocol=2, socket_timeout=5)
        client.response_callbacks.clear()
        with client:
            bench = cls(client)
            bench.open_books()
            try:
                yield bench
            finally:
                bench.lose_all()

    def open_books(self) -> None:
        self.command("HSET", "gen", "id", "g1", "open_at", "0")

    def command(self, word: str, key: str, *more: str | int) -> Any:
        """Run a command on a key of the ledger."""
        pipeline: Any = self.client.pipeline(transaction=False)
        pipeline.execute_command(word, self.root + key, *more)
        [answer] = pipeline.execute()
        return answer

    def lose_all(self) -> None:
        self.client.eval(WIPE, 1, self.root)

    def look(self, *accounts: PoolAccount, replica: str = "one") -> Look:
        return read_look(accounts, self._alike(self._accounts(replica).poll(accounts)))

    def note(
        self, question: Question, said: AccountState | None, *, replica: str = "one"
    ) -> Findings:
        return read_findings(self._alike(self._accounts(replica).polled(question, said)))

    def standing(self, which: PoolAccount | None = None) -> Standing:
        """How an account stands; nobody is made to ask it."""
        which = which or account()
        lease = f"poll@{which.id}"
        nobody_asks = self.command("SET", lease, "somebody", "NX")
        [known] = self.look(which, replica="an onlooker").standings
        if nobody_asks:
            self.command("DEL", lease)
        return replace(known, is_asked=not nobody_asks)

    def poll(self, said: AccountState | None, *, which: PoolAccount | None = None) -> Findings:
        """Ask at once, whether it is due or not."""
        return self.note(Question(which or account(), self.now), said)

    def tell(
        self, name: str, state: str, images: int, *, seen: Seen = NOTHING_SEEN, of: str = "plus"
    ) -> None:
        """Tell the ledger of a hold of the account."""
        grant = KeyGrant("k" * 16, of, images)
        hold = Hold(name, "catalog", Operation.EDIT, 1000, _LONG, _PERIOD, key=grant)
        calls = LedgerCalls("one", timed_ledger(self.clock), 0.75)
        self._twice(calls.settle([Entry(hold, state, "", 0.0, seen)]))

    def refuse(self, name: str, *, of: str = "plus") -> None:
        """Let a call meet a 402."""
        self.tell(name, "voided", 1000, seen=Seen(Verdict.EXHAUSTED), of=of)

    def fields(self, of: str = "plus") -> dict[str, str]:
        """The account's hash."""
        flat = self.command("HGETALL", f"account:{of}")
        words = [one.decode() for one in flat]
        return dict(zip(words[::2], words[1::2], strict=True))

    def number(self, name: str, of: str = "plus") -> int | None:
        text = self.fields(of).get(name)
        return None if text is None else int(text)

    def posts(self, of: str = "plus") -> int:
        """How many posts a poll may not know of."""
        return int(self.command("ZCARD", f"posts@{of}"))

    def _accounts(self, replica: str) -> AccountCalls:
        return AccountCalls(replica, self.rhythm, timed_accounts(self.clock))

    def _alike(self, call: ScriptCall) -> list[Any]:
        first, second = self._twice(call)
        assert first == second
        return first

    def _twice(self, call: ScriptCall) -> tuple[list[Any], list[Any]]:
        """Make a call twice: the second changes nothing but the ledger's count of calls."""
        keys = [name.replace(LEDGER_ROOT, self.root) for name in call.keys]
        in_full = ("EVAL", call.script.text, len(keys), *keys, *call.arguments)
        pipeline: Any = self.client.pipeline(transaction=False)
        pipeline.execute_command("SET", self.clock, self.now * 1000)
        for _ in range(2):
            pipeline.execute_command(*in_full)
            pipeline.execute_command("EVAL", READ, 1, self.root)
        _, first, seen, second, seen_again = pipeline.execute()
        assert _lasting(seen) == _lasting(seen_again)
        return first, second


def _lasting(keys: list[Any]) -> dict[bytes, Any]:
    """Names and contents, without the counts of calls."""
    return {name: value for name, _, value in keys if not name.startswith(b"seq:")}
