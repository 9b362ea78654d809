"""What replicas tell each other of calls under way, and of those that ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from gateway.domain.edit import ImageRef
from gateway.ports.admission import Hold

__all__ = [
    "BoardUnavailable",
    "Ended",
    "FlightBoard",
    "Follow",
    "Joined",
    "Lead",
    "Replay",
    "ReplayBook",
    "ReplayConflict",
]


class BoardUnavailable(Exception):
    """The board of flights cannot be reached, or did not answer in time. Nothing is known to be done."""


@dataclass(frozen=True, slots=True)
class Lead:
    """This replica leads a flight.

    A higher epoch disowns it; `token` makes each step a no-op the second time. `attempts` are the paid
    attempts before this one, all epochs together.
    """

    flight: str
    epoch: int
    token: str
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Follow:
    """Another replica leads: wait for the wake-up, for `wait` seconds at most, and join again."""

    flight: str
    epoch: int
    wait: float


@dataclass(frozen=True, slots=True)
class Ended:
    """The flight has ended lately.

    `outcome` is what its leader said: `stored`, `unshared`, or the reason of an error that is the same
    for everybody, with its public `message`.
    """

    flight: str
    epoch: int
    outcome: str
    message: str = ""


Joined: TypeAlias = Lead | Follow | Ended
"""What becomes of a call that joins a flight."""


class FlightBoard(Protocol):
    """The records of flights that all replicas see.

    Every method raises BoardUnavailable; the same call may then be made again with the same arguments.
    """

    async def join(
        self,
        flight: str,
        *,
        timeout: float,  # noqa: ASYNC109 - the operation's, not this call's
        seen: int,
        token: str,
    ) -> Joined:
        """Lead the flight if nobody does, else follow, else hear how it ended.

        `timeout` is the operation's, in seconds: the flight of a dead leader is taken over after it.
        Endings of epochs up to `seen` are passed over: their result was lost, so the flight is led anew.
        `seen` below zero says that the caller is new: then every ending is passed over, since an outcome
        belongs to those who were there.
        """
        ...

    async def sent(self, lead: Lead, hold: Hold | None = None) -> bool:
        """Mark that the upstream is about to be called. False: a higher epoch leads, do not call.

        The `hold` of the call is marked in the same step, or neither is. Raises HoldLost when it is
        there no more.
        """
        ...

    async def complete(self, lead: Lead, outcome: str, message: str = "") -> None:
        """End the flight, whatever its epoch: the first paid outcome wins. Wakes the followers."""
        ...

    async def release(self, lead: Lead) -> None:
        """Give an unpaid flight back, for another to lead. Wakes the followers."""
        ...

    async def woken(self, flight: str, wait: float) -> None:
        """Return when the flight has changed, or after `wait` seconds."""
        ...


class ReplayConflict(Exception):
    """The slot was opened for another request."""


@dataclass(frozen=True, slots=True)
class Replay:
    """How a call under an idempotency key ended: with a picture, or with an error that may have cost.

    A picture is named by content, its bytes are kept as a blob; an error has a `reason` and a `message`.
    """

    reason: str = ""
    message: str = ""
    body: ImageRef | None = None
    media_type: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    cost_milli: int = 0


class ReplayBook(Protocol):
    """What became of calls under idempotency keys, for a day. Raises BoardUnavailable."""

    async def open(self, slot: str, request: str) -> Replay | None:
        """Open the slot for the request; return how it ended if it has. Raises ReplayConflict."""
        ...

    async def close(self, slot: str, request: str, replay: Replay) -> None:
        """Note how the call in the slot ended; the first word stands."""
        ...
