"""A server and the scripts' twin in Python side by side: every call is made on both, twice."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import redis

from gateway.ports import Lead
from gateway.store.flight_calls import FlightCalls, FlightRules, Held
from gateway.store.keyspace import WAKE_PREFIX, flight_key
from gateway.store.scripts import ScriptCall
from tests.model.board import Board, Mine, Phase, Record, Step
from tests.servers.process import Server
from tests.store.flight_tools import set_time, timed_scripts

__all__ = ["REPLICAS", "RULES", "TIMEOUT", "Bench", "Case", "Word"]

REPLICAS = ("one", "two", "three")
RULES = FlightRules(lease=100, longest_wait=30, keep=60_000, takeovers=1)
TIMEOUT = 300
SLACK = 5_000
"""Milliseconds that a test may take between a write and the look at its life."""

NO_BOOKS = ("", 0)
"""What `sent` says of the ledger where there is no hold; `test_ledger_twin` is about holds."""


@dataclass(frozen=True, slots=True)
class Word:
    """A call of the script `name` for the lead `mine`."""

    name: str
    mine: Mine
    seen: int = -1
    outcome: str = ""

    def call(self, calls: FlightCalls, flight: str) -> ScriptCall:
        mine = self.mine
        lead = Lead(flight, mine.epoch, mine.token, mine.attempts)
        held = Held(lead, mine.timeout, mine.sent_at)
        match self.name:
            case "join":
                return calls.join(flight, timeout=mine.timeout, seen=self.seen, token=mine.token)
            case "sent":
                return calls.sent(held, None)
            case "renew":
                return calls.renew([held])
            case "complete":
                return calls.complete(lead, self.outcome, "so")
            case _:
                return calls.fail(lead)

    def step(self, record: Record | None, now: int) -> Step:
        """What the twin makes of it."""
        board, mine = Board(RULES), self.mine
        match self.name:
            case "join":
                who = {"replica": mine.replica, "token": mine.token}
                return board.join(record, now, **who, seen=self.seen, timeout=mine.timeout)
            case "sent":
                return board.sent(record, now, mine._replace(sent_at=0))
            case "renew":
                return board.renew(record, now, mine)
            case "complete":
                return board.complete(record, now, mine, self.outcome, "so")
            case _:
                return board.fail(record, now, mine)


@dataclass(frozen=True, slots=True)
class Case:
    """A record, and the word that is said to it."""

    record: Record | None
    word: Word


class Bench:
    """One server, a subscriber of every replica's channel, and scripts whose clock a test sets."""

    def __init__(self, client: redis.Redis, heard: Any, now: int) -> None:
        self._client = client
        self._heard = heard
        self._clock = "pg1:{ctl}:test-time:" + secrets.token_hex(8)
        scripts = timed_scripts(self._clock)
        self._calls = {name: FlightCalls(name, RULES, scripts) for name in REPLICAS}
        self.now = now

    @classmethod
    @contextmanager
    def at(cls, server: Server, now: int) -> Iterator[Bench]:
        path = server.url.removeprefix("unix://")
        client = redis.Redis(unix_socket_path=path, protocol=2, socket_timeout=5)
        client.response_callbacks.clear()
        subscribe: Callable[[], Any] = client.pubsub
        with client, subscribe() as heard:
            heard.subscribe(*(WAKE_PREFIX + replica for replica in REPLICAS))
            for _ in REPLICAS:
                heard.get_message(timeout=5)
            yield cls(client, heard, now)

    def check(self, cases: Sequence[Case]) -> list[Step]:
        """Say each word twice on server and twin, all in one exchange; they must agree throughout."""
        flights = [secrets.token_hex(8) for _ in cases]
        replies = self._say(cases, flights)
        woken = self._woken()
        steps = []
        for i, (case, flight) in enumerate(zip(cases, flights, strict=True)):
            first = case.word.step(case.record, self.now)
            again = case.word.step(first.record, self.now)
            assert first._replace(woken=frozenset()) == again, f"not a no-op: {case}"
            said = (*first.answer, *NO_BOOKS) if case.word.name == "sent" else first.answer
            expected = [said, fields(first.record)] * 2
            answer, hashed, answer2, hashed2, left = replies[5 * i : 5 * i + 5]
            assert expected == [plain(answer), read(hashed), plain(answer2), read(hashed2)], case
            assert sorted(first.woken) == sorted(woken.get(flight, [])), case
            if first.record is not None:
                life = first.record.until - self.now
                assert life - SLACK < left <= life, case
            steps.append(first)
        return steps

    def _say(self, cases: Sequence[Case], flights: Sequence[str]) -> list[Any]:
        """Five replies a case: answer and hash of each call, and the life that is left."""
        pipeline: Any = self._client.pipeline(transaction=False)
        kept: list[int] = []
        pipeline.execute_command(*set_time(self._clock, self.now))
        for case, flight in zip(cases, flights, strict=True):
            key = flight_key(flight)
            for command in writing(key, case.record, self.now):
                pipeline.execute_command(*command)
            call = case.word.call(self._calls[case.word.mine.replica], flight)
            start = len(pipeline)
            for _ in range(2):
                pipeline.execute_command(*call.in_full())
                pipeline.execute_command("HGETALL", key)
            pipeline.execute_command("PTTL", key)
            pipeline.execute_command("DEL", key)
            kept += range(start, start + 5)
        replies = pipeline.execute()
        return [replies[index] for index in kept]

    def _woken(self) -> dict[str, list[str]]:
        """Replicas woken since the last question, by flight: an answered PING says that it was all."""
        self._heard.ping()
        found: dict[str, list[str]] = {}
        while (message := self._heard.get_message(timeout=5))["type"] != "pong":
            replica = message["channel"].decode().removeprefix(WAKE_PREFIX)
            found.setdefault(message["data"].decode(), []).append(replica)
        return found


def writing(key: str, record: Record | None, now: int) -> Iterator[tuple[str | int, ...]]:
    """The commands that write a record of the twin."""
    if record is not None:
        yield ("HSET", key, *(word for field in fields(record).items() for word in field))
        yield ("PEXPIRE", key, record.until - now)


def fields(record: Record | None) -> dict[str, str]:
    """The fields of the hash that a record of the twin stands for."""
    if record is None:
        return {}
    named: dict[str, str | int] = {
        "phase": record.phase,
        "epoch": record.epoch,
        "token": record.token,
        "replica": record.replica,
        "attempts": record.attempts,
    }
    if record.flying:
        named |= {"lease": record.lease, "timeout": record.timeout}
    if record.phase is Phase.SENT:
        named["sent_at"] = record.sent_at
    if record.phase is Phase.ENDED:
        named |= {"outcome": record.outcome, "message": record.message}
    named |= {f"follower:{replica}": 1 for replica in record.followers}
    named |= {f"buyer:{replica}": token for replica, token in record.buyers}
    return {name: str(value) for name, value in named.items()}


def read(flat: Sequence[bytes]) -> dict[str, str]:
    """A hash as the server tells it."""
    words = [word.decode() for word in flat]
    return dict(zip(words[::2], words[1::2], strict=True))


def plain(answer: Any) -> tuple[str | int, ...]:
    """An answer of the server as the twin says it."""
    items = answer if isinstance(answer, list) else [answer]
    return tuple(item.decode() if isinstance(item, bytes) else item for item in items)
