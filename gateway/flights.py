"""Equal calls in flight become one, in a task that no caller can cancel.

In a process, the calls of one flight wait for one task, each shielded from the others and each with an
error of its own. Over replicas, the board says who leads: the task of a follower waits for the leader's
word and then looks for the stored result.

Before the upstream is called, the leader marks the flight *sent*. Until then, work that nobody waits for
any more is stopped; from then on it is paid for, and goes on whoever leaves. How a flight ends:

- stored: everybody takes the stored result;
- unshared: the result could not be stored; the leader's own callers have it, other replicas lead anew;
- an outcome of the request (`error.shared`): everybody gets the same error;
- released: not sent, or trouble that is the leader's own; somebody else leads.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from gateway.domain.errors import GatewayError, OutcomeUnknown, ShuttingDown, shared_error
from gateway.ports import BoardUnavailable, Ended, FlightBoard, Follow, Hold, Joined, Lead

__all__ = ["STORED", "UNSHARED", "Boarding", "Flights", "Landed", "Trip"]

STORED = "stored"
UNSHARED = "unshared"

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
R = TypeVar("R")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Landed(Generic[T_co]):
    """What a leader brought home, and whether it was stored where every replica finds it."""

    value: T_co
    stored: bool


class Trip(Protocol[T_co]):
    """What a flight does. `timeout` is the upstream call's, in seconds."""

    @property
    def timeout(self) -> float: ...

    async def look(self, *, landed: bool) -> T_co | None:
        """Look for a stored result; `landed` says that this very flight has just stored one. Free."""
        ...

    async def lead(self, boarding: Boarding) -> Landed[T_co]:
        """Buy the result and store it; `boarding.sent` comes before the first upstream byte."""
        ...

    def meets(self, error: GatewayError) -> bool:
        """Whether an error that the leader met, and that is not everybody's, is this trip's too."""
        ...


class _Lost(Exception):
    """A higher epoch leads; this flight has not been sent."""


@dataclass(slots=True)
class _Flight:
    """A flight of this process. `paid`: it has been sent, so it is not stopped any more."""

    task: asyncio.Task[object] | None = None
    waiters: int = 0
    paid: bool = False


class Boarding:
    """The leader's way to the point of no return."""

    def __init__(self, pass_gate: Callable[[Hold], Awaitable[None]]) -> None:
        self._pass_gate = pass_gate

    async def sent(self, hold: Hold) -> None:
        """Mark flight and hold as sent, on the board too. After it, an upstream call may cost money.

        Raises HoldLost: ask for another hold, and come again.
        """
        await self._pass_gate(hold)


class Flights:
    """The flights of this process, and their places on the board.

    A board that does not answer is asked again for `patience` seconds, every `pause` seconds; then the
    flight goes on without it. `alone` counts the questions that were given up.
    """

    def __init__(self, board: FlightBoard, *, patience: float = 2.0, pause: float = 0.1) -> None:
        self._board = board
        self._patience = patience
        self._pause_seconds = pause
        self._flights: dict[str, _Flight] = {}
        self._tasks: set[asyncio.Task[object]] = set()
        self._closed = False
        self.alone = 0

    def __len__(self) -> int:
        """The number of flights in the air."""
        return len(self._tasks)

    async def fly(self, flight_id: str, trip: Trip[T]) -> tuple[T, bool]:
        """Join the flight or take off; return its result, and whether this call took off.

        Raises what the trip raises, as an error of the caller's own, and ShuttingDown.
        """
        while True:
            flight = self._flights.get(flight_id)
            took_off = flight is None
            if flight is None:
                flight = self._take_off(flight_id, trip)
            try:
                return await self._wait(flight_id, flight), took_off  # type: ignore[return-value] # one id, one type
            except GatewayError as error:
                if took_off or error.shared or trip.meets(error):
                    raise error.fresh() from None
            # The leader's own trouble is not ours: try ourselves.

    def close(self) -> None:
        """Let nothing take off any more."""
        self._closed = True

    async def drain(self, grace: float) -> int:
        """Wait at most `grace` seconds for the flights in the air; return how many are still there."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=grace)
        return len(self._tasks)

    def _take_off(self, flight_id: str, trip: Trip[T]) -> _Flight:
        if self._closed:
            raise ShuttingDown("This replica is shutting down.")
        flight: _Flight = _Flight()
        task: asyncio.Task[object] = asyncio.get_running_loop().create_task(
            self._run(flight_id, flight, trip), name=f"flight {flight_id[:12]}"
        )
        flight.task = task
        self._flights[flight_id] = flight
        self._tasks.add(task)
        task.add_done_callback(lambda _: self._landed(flight_id, flight))
        return flight

    async def _wait(self, flight_id: str, flight: _Flight) -> object:
        if flight.task is None:
            raise RuntimeError("a flight that has not taken off")
        flight.waiters += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiters -= 1
            if not flight.waiters and not flight.paid and not flight.task.done():
                # Nobody may join what is being stopped.
                self._forget(flight_id, flight)
                flight.task.cancel()

    def _landed(self, flight_id: str, flight: _Flight) -> None:
        self._forget(flight_id, flight)
        if flight.task is None:
            return
        self._tasks.discard(flight.task)
        # Taking the exception keeps asyncio from reporting it a second time when the callers have left.
        error = None if flight.task.cancelled() else flight.task.exception()
        if error is not None and not isinstance(error, GatewayError):
            _log.error("a flight failed by a mistake of ours", exc_info=error)

    def _forget(self, flight_id: str, flight: _Flight) -> None:
        if self._flights.get(flight_id) is flight:
            del self._flights[flight_id]

    async def _run(self, flight_id: str, flight: _Flight, trip: Trip[T]) -> T:
        """Lead the flight or follow it, until there is a result or an outcome."""
        seen = -1
        token = uuid.uuid4().hex
        while flight.waiters:
            joined = await self._join(flight_id, trip.timeout, seen, token)
            if isinstance(joined, Follow):
                # From now on this flight's ending is ours too.
                seen = joined.epoch - 1
                await self._pause(flight_id, joined.wait)
            elif isinstance(joined, Ended):
                if joined.outcome not in {STORED, UNSHARED}:
                    raise shared_error(joined.outcome, joined.message)
                value = await trip.look(landed=True)
                if value is not None:
                    return value
                seen = joined.epoch
            else:
                try:
                    return await self._lead(joined, flight, trip)
                except _Lost:
                    token = uuid.uuid4().hex
        raise asyncio.CancelledError

    async def _lead(self, lead: Lead, flight: _Flight, trip: Trip[T]) -> T:
        async def pass_gate(hold: Hold) -> None:
            # From here on no caller's leaving stops it, not even while the board is asked.
            flight.paid = passed = True
            try:
                if lead.token:
                    passed = await self._ask(lambda: self._board.sent(lead, hold), otherwise=True)
            except BaseException:
                passed = False  # nothing has been called yet: it can still be given back
                raise
            finally:
                flight.paid = passed
            if not passed:
                raise _Lost

        try:
            value = await trip.look(landed=False)
            if value is not None:
                # Somebody stored it meanwhile: said so, all followers look at once.
                await self._end(lead, STORED)
                return value
            landed = await trip.lead(Boarding(pass_gate))
        except GatewayError as error:
            await self._end(lead, error.reason if error.shared else None, error.message)
            raise
        except _Lost:
            raise
        except BaseException:
            # A lead that the board hears no ending of is renewed, and followed, for ever.
            outcome = OutcomeUnknown.reason if flight.paid else None
            await asyncio.shield(self._end(lead, outcome, "The leader broke off."))
            raise
        await self._end(lead, STORED if landed.stored else UNSHARED)
        return landed.value

    async def _join(self, flight_id: str, seconds: float, seen: int, token: str) -> Joined:
        """Join on the board; where it cannot be reached, lead alone: a Lead without a token."""
        return await self._ask(
            lambda: self._board.join(flight_id, timeout=seconds, seen=seen, token=token),
            otherwise=Lead(flight_id, epoch=0, token=""),
        )

    async def _pause(self, flight_id: str, wait: float) -> None:
        try:
            await self._board.woken(flight_id, wait)
        except BoardUnavailable:
            await asyncio.sleep(min(wait, self._pause_seconds))

    async def _end(self, lead: Lead, outcome: str | None, message: str = "") -> None:
        """Tell the board how it ended; without an outcome, give the flight back."""
        if not lead.token:
            return
        if outcome is None:
            await self._ask(lambda: self._board.release(lead), otherwise=None)
        else:
            await self._ask(lambda: self._board.complete(lead, outcome, message), otherwise=None)

    async def _ask(self, question: Callable[[], Awaitable[R]], *, otherwise: R) -> R:
        """Ask the board, and again with the same words while it does not answer, then go on alone."""
        loop = asyncio.get_running_loop()
        patience = loop.time() + self._patience
        while True:
            try:
                return await question()
            except BoardUnavailable:
                if loop.time() + self._pause_seconds > patience:
                    self.alone += 1
                    return otherwise
            await asyncio.sleep(self._pause_seconds)
