"""A circuit breaker: when Redis is down, a call to it fails at once instead of after a time-out."""

from __future__ import annotations

import enum
from collections.abc import Callable

__all__ = ["Circuit", "CircuitState"]


class CircuitState(enum.StrEnum):
    """Whether calls go through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Circuit:
    """Opens when three calls in a row have failed and none has succeeded for a quarter second.

    A miss costs a purchase. So the circuit does not open while some calls still succeed, as when one
    shard of a cluster is failing over under load; and a server that hangs, whose failures come a
    time-out apart, opens it as surely as one that refuses. Once open, it lets one call a second
    through, the probe; the first success closes it.

    `clock` is in seconds and monotonic. `failures` and `openings` count since the start.
    """

    FAILURES = 3
    QUIET = 0.25
    PAUSE = 1.0

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._in_a_row = 0
        self._last_success = -self.QUIET
        self._probe_at: float | None = None
        self._probing = False
        self._confirmed = False
        self.failures = 0
        self.openings = 0

    @property
    def state(self) -> CircuitState:
        """Whether calls go through now. Half open: the next one is, or one already is, the probe."""
        if self._probe_at is None:
            return CircuitState.CLOSED
        if self._probing or self._clock() >= self._probe_at:
            return CircuitState.HALF_OPEN
        return CircuitState.OPEN

    @property
    def is_confirmed(self) -> bool:
        """Whether it is open and a probe has failed since: it was no single burst of calls that failed.

        Calls that are under way while this process stands still all fail at once, though the server is well.
        """
        return self._confirmed

    def admits(self) -> bool:
        """Whether a call may start; each admitted one ends in succeeded, failed or abandoned."""
        if self._probe_at is None:
            return True
        if self._probing or self._clock() < self._probe_at:
            return False
        self._probing = True
        return True

    def succeeded(self) -> None:
        """The server has answered."""
        self._in_a_row = 0
        self._last_success = self._clock()
        self._probe_at = None
        self._probing = False
        self._confirmed = False

    def failed(self) -> None:
        """The server has not answered, or said that it cannot serve."""
        now = self._clock()
        self.failures += 1
        self._in_a_row += 1
        self._confirmed |= self._probing
        self._probing = False
        if self._probe_at is not None:
            self._probe_at = now + self.PAUSE
        elif self._in_a_row >= self.FAILURES and now - self._last_success >= self.QUIET:
            self._probe_at = now + self.PAUSE
            self.openings += 1

    def abandoned(self) -> None:
        """The caller has left before the server answered: nothing is known, the next call probes."""
        self._probing = False

    def __repr__(self) -> str:
        return f"Circuit({self.state}, failures={self.failures}, openings={self.openings})"
