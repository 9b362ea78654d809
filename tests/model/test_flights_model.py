"""What the board promises, in every state that three callers on three replicas can come to.

The bound: one purchase, and at most one more for each leader that is lost after `sent` (crashed, or cut
off from the board until the operation's time-out has passed), `takeovers` at most; the board's going
back to an earlier moment may cost one more and forgets the attempts that were counted since. So
`(1 + takeovers) * (1 + rollbacks)` at the very most, whoever is lost.
"""

from __future__ import annotations

import pytest

from tests.model.board import Law, Leases
from tests.model.explorer import BrokenPromise, Explored, explore
from tests.model.flight_state import Faults, State, Where
from tests.model.flights_model import Model


def explored(model: Model) -> Explored:
    most = (1 + model.takeovers) * (1 + model.faults.rollbacks)
    lost_results = model.faults.rollbacks if model.one_server else 0

    def bound(state: State) -> int:
        if model.faults.unstored:
            return 1 + state.excused
        return min(1 + state.excused, most + lost_results) + state.fresh

    return explore(model, bound=bound)


@pytest.mark.parametrize(
    ("purchases", "model"),
    [
        pytest.param(1, Model(Faults(losses=1)), id="no fault"),
        pytest.param(1, Model(Faults(give_ups=2, losses=1)), id="leaders that give up"),
        pytest.param(2, Model(Faults(crashes=1, losses=1)), id="a crash"),
        pytest.param(1, Model(Faults(crashes=1, losses=1), takeovers=0), id="a crash, unpaid"),
        pytest.param(2, Model(Faults(crashes=2, losses=1)), id="two crashes"),
        pytest.param(3, Model(Faults(crashes=2), takeovers=2), id="two crashes, both paid"),
        pytest.param(2, Model(Faults(cuts=1, losses=1)), id="a replica cut off"),
        pytest.param(2, Model(Faults(rollbacks=1)), id="a rollback"),
        pytest.param(
            3, Model(Faults(rollbacks=1), one_server=True), id="a rollback of the result too"
        ),
        pytest.param(3, Model(Faults(crashes=1, rollbacks=1)), id="a crash and a rollback"),
        pytest.param(3, Model(Faults(crashes=1, unstored=1)), id="a result that cannot be stored"),
    ],
)
def test_no_more_is_paid_than_promised_and_nobody_waits_for_ever(
    purchases: int, model: Model
) -> None:
    """The explorer checks both in every state, and that the first stored result stays."""
    assert purchases == explored(model).most_paid


def test_a_crash_before_sent_costs_nothing() -> None:
    found = explored(Model(Faults(crashes=1, losses=1)))
    ends = [state for state in found.came if state.over and not state.excused]
    assert any(Where.DEAD in {caller.where for caller in state.callers} for state in ends)
    assert {1} == {state.paid for state in ends}


@pytest.mark.parametrize(
    ("fault", "model"),
    [
        pytest.param(
            "2 purchases",
            Model(Faults(crashes=1), takeovers=0, law=Law(sent=False)),
            id="without the mark of what is sent",
        ),
        pytest.param(
            "2 purchases",
            Model(Faults(cuts=1), law=Law(epochs=False)),
            id="without the check of who leads",
        ),
        pytest.param(
            "2 purchases",
            Model(law=Law(leases=Leases.IGNORED)),
            id="without leases",
        ),
        pytest.param(
            "somebody waits for ever",
            Model(Faults(crashes=1), law=Law(leases=Leases.ENDLESS)),
            id="with leases that never end",
        ),
    ],
)
def test_the_explorer_notices_when_a_rule_is_taken_away(fault: str, model: Model) -> None:
    with pytest.raises(BrokenPromise, match=fault):
        explored(model)
