"""All that Redis holds of the ledger, read in one step, and written back as it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gateway.domain.periods import Period

__all__ = ["DUMP", "READ", "RESTORE", "WIPE", "Line", "Note", "Picture", "read_picture"]

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
  elseif kind == 'stream' then
    value = redis.call('XRANGE', key, '-', '+')
  end
  all[#all + 1] = { string.sub(key, #KEYS[1] + 1), redis.call('PTTL', key), value }
end
return all
"""
"""Answers name, life and content of every key that begins with KEYS[1]."""

DUMP = """
local all = {}
for _, key in ipairs(redis.call('KEYS', KEYS[1] .. '*')) do
  all[#all + 1] = key
  all[#all + 1] = math.max(redis.call('PTTL', key), 0)
  all[#all + 1] = redis.call('DUMP', key)
end
return all
"""

WIPE = """
for _, key in ipairs(redis.call('KEYS', KEYS[1] .. '*')) do
  redis.call('DEL', key)
end
"""

RESTORE = (
    WIPE
    + """
for i = 1, #ARGV, 3 do
  redis.call('RESTORE', ARGV[i], ARGV[i + 1], ARGV[i + 2])
end
"""
)
"""Makes of the keys that begin with KEYS[1] what DUMP has told."""


class Line(NamedTuple):
    """A hold as the books write it, but for the key that it goes with."""

    state: str
    tenant: str
    operation: str
    cost: int
    period: Period
    due: int


class Note(NamedTuple):
    """An entry of the journal."""

    state: str
    id: str
    tenant: str
    operation: str
    cost: int
    start: int


@dataclass(slots=True)
class Picture:
    """What the keys say; a number that is nothing is left out. `waiting` is the set `holds`.

    `lives` are milliseconds by the name of the key, `others` names that are none of the ledger's.
    """

    gen: tuple[str, int] | None = None
    seq: dict[str, int] = field(default_factory=dict)
    lines: dict[str, Line] = field(default_factory=dict)
    waiting: dict[str, int] = field(default_factory=dict)
    slots: dict[str, dict[str, int]] = field(default_factory=dict)
    full_at: dict[str, int] = field(default_factory=dict)
    budgets: dict[tuple[str, int], dict[str, int]] = field(default_factory=dict)
    journal: list[Note] = field(default_factory=list)
    lives: dict[str, int] = field(default_factory=dict, compare=False)
    others: list[str] = field(default_factory=list, compare=False)

    def spent(self, tenant: str) -> dict[str, int]:
        """What the only budget of a tenant says."""
        budgets = [budget for (name, _), budget in self.budgets.items() if name == tenant]
        assert len(budgets) <= 1, f"{tenant} has budgets of several months"
        return budgets[0] if budgets else {}

    def states(self) -> dict[str, str]:
        """The state of each hold."""
        return {name: line.state for name, line in self.lines.items()}

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is held."""
        held = any("held" in budget for budget in self.budgets.values())
        return not (held or self.waiting or self.slots)


def read_picture(answer: Sequence[Any]) -> Picture:  # noqa: C901 - one kind of key after the other
    """Understand what READ answers."""
    picture = Picture()
    for raw, life, value in answer:
        name = raw.decode()
        picture.lives[name] = life
        kind, _, rest = name.partition(":")
        match kind:
            case "gen":
                gen = _pairs(value)
                picture.gen = (gen["id"], int(gen["open_at"]))
            case "seq":
                picture.seq[rest] = int(value[0])
            case "hold":
                picture.lines[rest] = _line(value[0].decode())
            case "holds":
                picture.waiting = _scores(value)
            case "slots":
                picture.slots[rest] = _scores(value)
            case "bucket":
                picture.full_at[rest] = int(value[0])
            case "budget":
                tenant, _, start = rest.rpartition(":")
                amounts = {word: int(amount) for word, amount in _pairs(value).items()}
                amounts = {word: amount for word, amount in amounts.items() if amount}
                if amounts:
                    picture.budgets[tenant, int(start)] = amounts
            case "journal":
                picture.journal = [_note(_pairs(words)) for _, words in value]
            case _:
                picture.others.append(name)
    return picture


def _line(text: str) -> Line:
    state, tenant, operation, cost, start, end, due, *_ = text.split(" ")
    return Line(state, tenant, operation, int(cost), Period(int(start), int(end)), int(due))


def _note(words: dict[str, str]) -> Note:
    what = (words["e"], words["id"], words["t"], words["o"])
    return Note(*what, int(words["c"]), int(words["p"]))


def _pairs(flat: Sequence[bytes]) -> dict[str, str]:
    words = [word.decode() for word in flat]
    return dict(zip(words[::2], words[1::2], strict=True))


def _scores(flat: Sequence[bytes]) -> dict[str, int]:
    return {name: int(score) for name, score in _pairs(flat).items()}
