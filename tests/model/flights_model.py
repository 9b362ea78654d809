"""Callers on several replicas around one flight: every state, and every step out of it.

A caller joins, follows or leads, marks the flight as sent, pays, stores the result, completes. At any
step a replica may crash, or be cut off from the board for as long as it likes; the board may go back to
what it was at some earlier moment, the stored result with it; any answer may be lost and asked for
again; a leader may give up unpaid. Time is relative: every state's present is `NOW`, and it passes from
one deadline of the record to the next, once every leader that can renew has renewed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway.store.flight_calls import FlightRules
from tests.model.board import Board, Law, Mine, Phase, Record, Step
from tests.model.flight_state import HOLDS, Caller, Faults, Moment, State, Where

__all__ = ["Model"]

NOW = 1000
TIMEOUT = 2


@dataclass(frozen=True, slots=True)
class Model:
    """The steps that a state allows."""

    faults: Faults = field(default_factory=Faults)
    takeovers: int = 1
    law: Law = field(default_factory=Law)
    one_server: bool = False
    size: int = 3

    @property
    def start(self) -> State:
        return State((Caller(),) * self.size, faults=self.faults)

    @property
    def board(self) -> Board:
        return Board(
            FlightRules(lease=1, longest_wait=1, keep=1, takeovers=self.takeovers), self.law
        )

    def steps(self, state: State) -> Iterator[tuple[str, State]]:
        """Every state that may come next, and what leads there."""
        board = self.board
        for i, caller in enumerate(state.callers):
            if caller.where is Where.NEW and caller.life == 0 and _comes_later(state, i):
                continue  # callers that have done nothing are alike: they come in order
            if caller.where in (Where.DONE, Where.DEAD):
                continue
            for what, after in self._caller_steps(board, state, i, caller):
                yield f"{i} {what}", after
        yield from _rollback(state, one_server=self.one_server)
        yield from _time_passes(board, state)

    def _caller_steps(
        self, board: Board, state: State, i: int, caller: Caller
    ) -> Iterator[tuple[str, State]]:
        if caller.where is Where.MAY_PAY:
            paid = _with(state, i, caller._replace(where=Where.HAS_PAID))
            yield "pays", paid._replace(paid=state.paid + 1)
        if caller.where is Where.HAS_PAID:
            kept = _with(state, i, caller._replace(where=Where.HAS_STORED))
            yield "stores", kept._replace(redis=state.redis._replace(stored=True))
            if state.faults.unstored:
                left = state.faults._replace(unstored=state.faults.unstored - 1)
                kept = _with(state, i, caller._replace(where=Where.CANNOT_STORE))
                others = len(state.callers) - 1
                yield "cannot store", kept._replace(faults=left, excused=state.excused + others)
        if not caller.cut_off:
            for what, step, after in _calls(board, state, i, caller):
                heard = state._replace(
                    redis=state.redis._replace(record=_clip(step.record)),
                    fresh=state.fresh + _begins_anew(state.redis.record, caller, step),
                )
                if state.faults.losses:
                    left = state.faults._replace(losses=state.faults.losses - 1)
                    yield f"{what}, answer lost", heard._replace(faults=left)
                yield f"{what}: {step.answer}", _with(heard, i, after)
        if state.faults.give_ups and caller.where in (Where.LEADS, Where.MAY_PAY):
            fewer = state.faults._replace(give_ups=state.faults.give_ups - 1)
            yield (
                "gives up",
                _with(state._replace(faults=fewer), i, caller._replace(where=Where.GIVES_UP)),
            )
        yield from _loss(state, i, caller)


def _calls(
    board: Board, state: State, i: int, caller: Caller
) -> Iterator[tuple[str, Step, Caller]]:
    """The calls that a caller may make on the board, and where each takes it."""
    record, mine = state.redis.record, _mine(i, caller)
    done = caller._replace(where=Where.DONE, sent_at=0)
    if caller.where in (Where.NEW, Where.FOLLOWS):
        step = board.join(
            record,
            NOW,
            replica=mine.replica,
            token=mine.token,
            seen=caller.seen,
            timeout=TIMEOUT,
        )
        yield "joins", step, _joined(caller, step)
    elif caller.where is Where.LEADS and state.redis.stored:
        yield "has found the result", board.fail(record, NOW, mine), done
    elif caller.where is Where.LEADS:
        step = board.sent(record, NOW, mine)
        [sent_at] = step.answer
        passed = caller._replace(where=Where.MAY_PAY, sent_at=int(sent_at))
        yield "marks as sent", step, passed if sent_at else _anew(caller)
    elif caller.where is Where.HAS_STORED:
        yield "completes", board.complete(record, NOW, mine, "stored", mine.token), done
    elif caller.where is Where.CANNOT_STORE:
        yield "completes", board.complete(record, NOW, mine, "unshared", ""), done
    elif caller.where is Where.GIVES_UP:
        yield "gives back", board.fail(record, NOW, mine), done
    if caller.where in HOLDS:
        step = board.renew(record, NOW, mine)
        let_go = not step.answer[0] and caller.where is Where.LEADS
        yield "renews", step, _anew(caller) if let_go else caller


def _joined(caller: Caller, step: Step) -> Caller:
    kind, epoch, *rest = step.answer
    if kind in ("lead", "alone"):
        return caller._replace(where=Where.LEADS, epoch=int(epoch), attempts=int(rest[0]))
    if kind == "follow":
        return caller._replace(where=Where.FOLLOWS, seen=int(epoch) - 1)
    return caller._replace(where=Where.DONE)


def _begins_anew(record: Record | None, caller: Caller, step: Step) -> bool:
    is_over = record is not None and record.phase is Phase.SENT
    return caller.where is Where.NEW and is_over and step.answer[::2] == ("lead", 0)


def _anew(caller: Caller) -> Caller:
    """Disowned: it joins again with another token."""
    return Caller(Where.FOLLOWS, caller.seen, caller.life + 1)


def _loss(state: State, i: int, caller: Caller) -> Iterator[tuple[str, State]]:
    """A crash, or being cut off for a time. It may cost a purchase once the flight is sent."""
    faults = state.faults
    record = state.redis.record
    marked = record is not None and record.phase is Phase.SENT
    is_sent = caller.where not in (Where.NEW, Where.FOLLOWS, Where.LEADS) or (
        record is not None and marked and record.token == _mine(i, caller).token
    )
    excused = state.excused + is_sent
    if faults.crashes:
        left = faults._replace(crashes=faults.crashes - 1)
        after = state._replace(faults=left, excused=excused)
        yield "crashes", _with(after, i, Caller(Where.DEAD))
    if faults.cuts and not caller.cut_off and caller.where in HOLDS:
        left = faults._replace(cuts=faults.cuts - 1)
        after = state._replace(faults=left, excused=excused)
        yield "is cut off", _with(after, i, caller._replace(cut_off=True))
    if caller.cut_off:
        yield "is back", _with(state, i, caller._replace(cut_off=False))


def _rollback(state: State, *, one_server: bool) -> Iterator[tuple[str, State]]:
    """From some moment on nothing is replicated, and at another the replica takes over.

    The stored result goes back too where `one_server` holds both.
    """
    if state.earlier is not None and not one_server:
        state = state._replace(earlier=state.earlier._replace(stored=state.redis.stored))
    if state.earlier is not None:
        forgotten = 1 + (state.redis.stored and not state.earlier.stored)
        after = state._replace(redis=state.earlier, earlier=None, excused=state.excused + forgotten)
        yield "Redis goes back", after
    elif state.faults.rollbacks:
        left = state.faults._replace(rollbacks=state.faults.rollbacks - 1)
        yield "replication stops", state._replace(earlier=state.redis, faults=left)


def _time_passes(board: Board, state: State) -> Iterator[tuple[str, State]]:
    """One moment: a lease. A leader that is there and not cut off has renewed before, and does after."""
    record = state.redis.record
    if record is None or not record.flying or record.open_at <= NOW:
        return
    renewing = [
        _mine(i, caller)
        for i, caller in enumerate(state.callers)
        if caller.where in HOLDS and not caller.cut_off
    ]
    for mine in renewing:
        if _clip(board.renew(record, NOW, mine).record) != record:
            return  # it would have renewed before
    redis = _aged(state.redis)
    for mine in renewing:
        redis = redis._replace(record=_clip(board.renew(redis.record, NOW, mine).record))
    callers = tuple(
        caller._replace(sent_at=_earlier(caller.sent_at)) if caller.sent_at else caller
        for caller in state.callers
    )
    earlier = state.earlier and _aged(state.earlier)
    yield "time passes", state._replace(callers=callers, redis=redis, earlier=earlier)


def _earlier(sent_at: int) -> int:
    return max(sent_at - 1, NOW - TIMEOUT)


def _aged(moment: Moment) -> Moment:
    record = moment.record
    if record is None or not record.flying:
        return moment
    sent_at = _earlier(record.sent_at) if record.sent_at else 0
    aged = record._replace(lease=record.lease - 1, sent_at=sent_at)
    return moment._replace(record=_clip(aged))


def _clip(record: Record | None) -> Record | None:
    """What is past is past, however long. Who is woken does not matter, since anybody may join anew at
    any time; and that old records are forgotten is left to a rollback.
    """
    if record is None:
        return None
    lease = max(record.lease, NOW) if record.flying else 0
    return record._replace(lease=lease, until=0, followers=frozenset())


def _mine(i: int, caller: Caller) -> Mine:
    token = f"{i}.{caller.life}"
    return Mine(str(i), token, caller.epoch, caller.attempts, TIMEOUT, caller.sent_at)


def _comes_later(state: State, i: int) -> bool:
    return any(c.where is Where.NEW and c.life == 0 for c in state.callers[:i])


def _with(state: State, i: int, caller: Caller) -> State:
    return state._replace(callers=(*state.callers[:i], caller, *state.callers[i + 1 :]))
