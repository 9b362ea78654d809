"""All that Redis holds of the choice of keys, read in one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from gateway.domain.edit import Operation
from gateway.domain.keys import KeyGrant
from tests.store.keys_twin import Books, Line

__all__ = ["READ", "Picture", "read_picture"]

T = TypeVar("T")
_QUOTAS = {"cool": False, "cool:sandbox": True}

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


@dataclass(slots=True)
class Picture:
    """The books, and what follows from them: how many calls each key has under way, what each account
    holds and has spent."""

    books: Books = field(default_factory=Books)
    places: dict[str, int] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    since: dict[str, int] = field(default_factory=dict)

    def standing(self, now: int) -> Picture:
        """The same without what counts no more, and without what is nothing."""
        books, minute = self.books, now - 60_000
        fails = {
            operation: {name: at for name, at in failed.items() if at > minute}
            for operation, failed in books.fails.items()
        }
        books = replace(
            books,
            made=_after(now, books.made),
            cool=_after(now, books.cool),
            masks=_after(now, books.masks),
            fails={operation: failed for operation, failed in fails.items() if failed},
            bad={digest: bad for digest, bad in books.bad.items() if bad[1] > minute},
        )
        return Picture(books, _after(0, self.places), _after(0, self.held), _after(0, self.since))


def _after(bound: int, numbers: dict[T, int]) -> dict[T, int]:
    return {name: number for name, number in numbers.items() if number > bound}


def read_picture(answer: Sequence[Any]) -> Picture:
    """Understand what READ answers, and see that its counts are those of what is there."""
    picture = Picture()
    told: dict[str, Any] = {"made": [], "leaving": [], "troubled": []}
    for raw, value in answer:
        kind, _, name = raw.decode().partition(":")
        if kind in told:
            told[kind] = value
        elif kind in ("open", "account"):
            _read_use(picture, name, _pairs(value))
        else:
            _read_books(picture.books, kind, name, value)
    _check_counts(picture.books, told)
    return picture


def _read_books(books: Books, kind: str, name: str, value: Sequence[bytes]) -> None:
    match kind:
        case "calls":
            books.made |= {(name, call): leaves for call, leaves in _scores(value).items()}
        case "hold":
            books.lines[name] = _line(value[0].decode())
        case "key":
            _read_key(books, name, _pairs(value))
        case "serves":
            books.serves[name] = {member.decode() for member in value}
        case "fails":
            books.fails[Operation(name)] = _scores(value)
        case "probe":
            books.probes[Operation(name)] = value[0].decode()
        case "bad":
            drawn = _pairs(value)
            books.bad[name] = int(drawn["times"]), int(drawn["at"])


def _check_counts(books: Books, told: dict[str, Any]) -> None:
    """What is counted is what is there, and what is looked for is found."""
    logs = {name for name, _ in books.made}
    made = {log: [at for (name, _), at in books.made.items() if name == log] for log in logs}
    assert {log: len(times) for log, times in made.items()} == _scores(told["made"])
    leaving = _scores(told["leaving"])
    assert made.keys() == leaving.keys()
    assert all(leaving[log] <= min(times) for log, times in made.items()), (
        "none is counted too long"
    )
    closed = books.off.keys() | {key for key, _ in books.masks} | {key for key, _ in books.cool}
    troubled = {member.decode() for member in told["troubled"]}
    assert {key for key in closed if not key.startswith("@")} == troubled


def _read_key(books: Books, key: str, words: dict[str, str]) -> None:
    for word, value in words.items():
        if word == "off":
            books.off[key] = value
        elif word in _QUOTAS:
            books.cool[key, _QUOTAS[word]] = int(value)
        else:
            books.masks[key, Operation(word.removeprefix("mask:"))] = int(value)


def _read_use(picture: Picture, account: str, words: dict[str, str]) -> None:
    """Read the hash `open`, or that of an account."""
    if not account:
        picture.places = {key: int(calls) for key, calls in words.items()}
        return
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


def _line(text: str) -> Line:
    state, _, operation, _, _, _, due, attempt, key, account, images = text.split(" ")
    grant = KeyGrant(key, account, int(images))
    return Line(state, Operation(operation), int(attempt), grant, int(due))


def _pairs(flat: Sequence[bytes]) -> dict[str, str]:
    words = [word.decode() for word in flat]
    return dict(zip(words[::2], words[1::2], strict=True))


def _scores(flat: Sequence[bytes]) -> dict[str, int]:
    return {name: int(score) for name, score in _pairs(flat).items()}
