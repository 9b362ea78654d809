"""Visits every state of a model, and tells the way to one that breaks a promise."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.model.flight_state import State
from tests.model.flights_model import Model

__all__ = ["BrokenPromise", "Explored", "explore"]

MOST_STATES = 500_000


class BrokenPromise(AssertionError):
    """A state that must not be; the text is the shortest way there."""


@dataclass(slots=True)
class Explored:
    """All states that were reached, each with the step and the state that led there first."""

    came: dict[State, tuple[str, State] | None] = field(default_factory=dict)
    before: dict[State, list[State]] = field(default_factory=dict)

    @property
    def most_paid(self) -> int:
        """Purchases, but those that new callers make for themselves."""
        return max(state.paid - state.fresh for state in self.came)

    def way(self, state: State) -> str:
        steps: list[str] = []
        here: State | None = state
        while here is not None:
            step = self.came[here]
            steps.append(f"{step[0] if step else 'start'}\n    {here.redis.record}")
            here = step[1] if step else None
        return "\n".join(reversed(steps))

    def refuse_dead_ends(self) -> None:
        """Check that from every state some way leads to where nobody waits."""
        alive = deque(state for state in self.came if state.over)
        reached = set(alive)
        while alive:
            for earlier in self.before.get(alive.popleft(), ()):
                if earlier not in reached:
                    reached.add(earlier)
                    alive.append(earlier)
        for state in self.came:
            if state not in reached:
                raise BrokenPromise(f"somebody waits for ever:\n{self.way(state)}")


def explore(model: Model, *, bound: Callable[[State], int]) -> Explored:
    """Visit every state. Raises BrokenPromise where more than `bound` was paid, or a caller waits for ever."""
    found = Explored({model.start: None})
    open_ends = deque(found.came)
    while open_ends:
        state = open_ends.popleft()
        for what, after in model.steps(state):
            if after == state:
                continue
            _refuse_second_result(found, state, after, what)
            found.before.setdefault(after, []).append(state)
            if after in found.came:
                continue
            found.came[after] = (what, state)
            open_ends.append(after)
            if after.paid > bound(after):
                raise BrokenPromise(f"{after.paid} purchases:\n{found.way(after)}")
        if len(found.came) > MOST_STATES:
            raise RuntimeError("the model has more states than can be visited")
    found.refuse_dead_ends()
    return found


def _refuse_second_result(found: Explored, state: State, after: State, what: str) -> None:
    """The first stored result stays until it is passed over, lost or forgotten: none replaces it."""
    old, new = state.redis.record, after.redis.record
    if old is None or new is None or "complete" not in what:
        return
    if old.outcome == "stored" and new.token != old.token and new.epoch == old.epoch:
        raise BrokenPromise(f"a second result: {what}\n{found.way(state)}")
