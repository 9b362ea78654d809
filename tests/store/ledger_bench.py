"""A server and the twin of the ledger's scripts side by side: every call is made on both, twice."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from typing import Any

import redis

from gateway.domain.edit import Operation
from gateway.domain.limits import Limits
from gateway.domain.tenant import Tenant
from gateway.ports import Claim, Hold, Lead
from gateway.store.flight_calls import FlightCalls, FlightRules, Held
from gateway.store.hold_table import Entry, Spent
from gateway.store.keyspace import LEDGER_ROOT
from gateway.store.ledger_calls import Attempt, LedgerCalls
from gateway.store.scripts import ScriptCall
from tests.model.board import Board, Mine
from tests.servers.process import Server
from tests.store.ledger_picture import DUMP, READ, RESTORE, WIPE, Picture, read_picture
from tests.store.ledger_tools import timed_board, timed_ledger
from tests.store.ledger_twin import HELD_MS, REBUILD_MS, Answer, Ask, Told, Twin

__all__ = ["RULES", "Bench"]

RULES = FlightRules(lease=10_000)
SWEPT = 100
UNENDING = ("gen", "holds", "slots", "journal")
"""Keys without a life: one, one, one a tenant that has open holds, and one that is cut."""


class Bench:
    """One server under a root of its own, the scripts with a clock that a test sets, and the twin."""

    def __init__(self, client: redis.Redis, now: int) -> None:
        self._client = client
        self._clock = "test:{ctl}:time:" + secrets.token_hex(8)
        self._root = f"test:{{ctl}}:{secrets.token_hex(8)}:"
        self._scripts = timed_ledger(self._clock)
        self._board = timed_board(self._clock)
        self._saved: tuple[list[Any], Twin] | None = None
        self.start = now
        self.twin = Twin(Board(RULES), now)

    @classmethod
    @contextmanager
    def at(cls, server: Server, now: int) -> Iterator[Bench]:
        path = server.url.removeprefix("unix://")
        client = redis.Redis(unix_socket_path=path, protocol=2, socket_timeout=5)
        client.response_callbacks.clear()
        with client:
            bench = cls(client, now)
            try:
                yield bench
            finally:
                bench.lose_all()

    def begin(self) -> None:
        """An emptied server, at the first moment."""
        self.lose_all()
        self.twin = Twin(Board(RULES), self.start)
        self._saved = None

    def admit(self, replica: str, ask: Ask, wall: float) -> Answer:
        """Ask for a hold, by the clock `wall` of the replica."""
        limits = Limits(edits=ask.rate, in_flight=ask.places, budget_milli=ask.budget)
        tenant = Tenant(ask.tenant, limits=limits)
        claim = Claim(ask.id, tenant, Operation(ask.operation), ask.cost, 60.0)
        call = self._calls(replica).admit(claim, Attempt(1), "", wall)
        return self._twice(call, lambda: self.twin.admit(replica, ask))

    def sent(self, mine: Mine, flight: str, told: Told | None, *, trusted: bool) -> Answer:
        lead = Lead(flight, mine.epoch, mine.token, mine.attempts)
        hold = None if told is None else replace(_hold(told), trusted=trusted)
        calls = FlightCalls(mine.replica, RULES, self._board)
        return self._twice(
            calls.sent(Held(lead, mine.timeout), hold),
            lambda: self.twin.sent(mine.replica, flight, mine, told, trusted=trusted),
        )

    def settle(self, replica: str, *told: Told) -> Answer:
        entries = [Entry(_hold(one), one.state, "", 0.0) for one in told]
        call = self._calls(replica).settle(entries)
        return self._twice(call, lambda: self.twin.settle(replica, SWEPT, list(told)))

    def rebuild(
        self, replica: str, gen: str, full_at: dict[str, int], spent: dict[tuple[str, int], Spent]
    ) -> Answer:
        call = self._calls(replica).rebuild(gen, full_at, spent)
        settled = {name: known.settled for name, known in spent.items()}
        return self._twice(call, lambda: self.twin.rebuild(replica, gen, full_at, settled))

    def lose_all(self) -> None:
        """Empty the books, as FLUSHALL does."""
        self._client.eval(WIPE, 1, self._root)
        twin = self.twin
        self.twin = Twin(twin.board, twin.now)

    def save(self) -> None:
        """Replication stops here."""
        self._saved = (self._client.eval(DUMP, 1, self._root), deepcopy(self.twin))

    def go_back(self) -> None:
        """The books go back to what was saved; the time goes on."""
        if self._saved is None:
            return
        dumped, twin = self._saved
        self._client.eval(RESTORE, 1, self._root, *dumped)
        now = self.twin.now
        self.twin = deepcopy(twin)
        self.twin.now = now

    def picture(self) -> Picture:
        return read_picture(self._client.eval(READ, 1, self._root))

    def _calls(self, replica: str) -> LedgerCalls:
        return LedgerCalls(replica, self._scripts, REBUILD_MS / 1000)

    def _twice(self, call: ScriptCall, step: Callable[[], Answer]) -> Answer:
        """Make a call twice on server and twin: they agree, and the second time nothing changes."""
        answer, picture = step(), self.twin.picture()
        again, unchanged = step(), self.twin.picture()
        assert replace(picture, seq={}) == replace(unchanged, seq={}), "the twin: not a no-op"
        keys = [name.replace(LEDGER_ROOT, self._root) for name in call.keys]
        in_full = ("EVAL", call.script.text, len(keys), *keys, *call.arguments)
        pipeline: Any = self._client.pipeline(transaction=False)
        pipeline.execute_command("SET", self._clock, self.twin.now)
        for _ in range(2):
            pipeline.execute_command(*in_full)
            pipeline.execute_command("EVAL", READ, 1, self._root)
        _, first, seen, second, seen_again = pipeline.execute()
        assert (answer, picture) == (_plain(first), read_picture(seen))
        assert (again, unchanged) == (_plain(second), read_picture(seen_again))
        self._check_lives(read_picture(seen))
        return answer

    def _check_lives(self, picture: Picture) -> None:
        """Every key ends by itself, or there are few of it."""
        for name, life in picture.lives.items():
            kind, _, rest = name.partition(":")
            if kind in UNENDING:
                assert -1 == life, name
            elif kind == "hold" and rest in picture.waiting:
                assert life > picture.waiting[rest] - self.twin.ms, "swept before it is forgotten"
            else:
                assert 0 < life, name


def _hold(told: Told) -> Hold:
    operation = Operation(told.operation)
    seconds = (told.wait_ms - HELD_MS) / 1000
    return Hold(told.id, told.tenant, operation, told.cost, seconds, told.period)


def _plain(answer: list[Any]) -> Answer:
    return [word.decode() if isinstance(word, bytes) else word for word in answer]
