"""What a state of the model is made of: callers on their replicas, Redis, and the faults to come."""

from __future__ import annotations

import enum
from typing import NamedTuple

from tests.model.board import Record

__all__ = ["HOLDS", "Caller", "Faults", "Moment", "State", "Where"]


class Where(enum.IntEnum):
    """How far a caller is."""

    NEW = enum.auto()
    FOLLOWS = enum.auto()
    LEADS = enum.auto()
    MAY_PAY = enum.auto()
    HAS_PAID = enum.auto()
    HAS_STORED = enum.auto()
    CANNOT_STORE = enum.auto()
    GIVES_UP = enum.auto()
    DONE = enum.auto()
    """With the result, with an outcome, or having given up."""
    DEAD = enum.auto()


HOLDS = (
    Where.LEADS,
    Where.MAY_PAY,
    Where.HAS_PAID,
    Where.HAS_STORED,
    Where.CANNOT_STORE,
)


class Caller(NamedTuple):
    """One caller, the only one on its replica. `lives` counts the tokens that it has used."""

    where: Where = Where.NEW
    seen: int = -1
    life: int = 0
    epoch: int = 0
    attempts: int = 0
    sent_at: int = 0
    cut_off: bool = False


class Moment(NamedTuple):
    """What Redis holds."""

    record: Record | None = None
    stored: bool = False


class Faults(NamedTuple):
    """What may still go wrong."""

    crashes: int = 0
    cuts: int = 0
    rollbacks: int = 0
    give_ups: int = 0
    unstored: int = 0
    losses: int = 0
    """Of answers, to calls that were carried out."""


class State(NamedTuple):
    """`excused` counts what may cost a purchase: a leader lost after `sent`, a rollback, a result that is
    lost in it, and each other replica where a result could not be stored. `fresh` counts the new callers who lead where every
    attempt's end is unknown: theirs is another purchase.
    """

    callers: tuple[Caller, ...]
    redis: Moment = Moment()
    earlier: Moment | None = None
    faults: Faults = Faults()
    paid: int = 0
    excused: int = 0
    fresh: int = 0

    @property
    def over(self) -> bool:
        return all(caller.where in (Where.DONE, Where.DEAD) for caller in self.callers)
