"""The circuit: when it opens, when it does not, how it closes."""

from __future__ import annotations

from gateway.store.breaker import Circuit, CircuitState
from tests.store.tiers import ManualClock


def opened() -> tuple[Circuit, ManualClock]:
    clock = ManualClock()
    circuit = Circuit(clock)
    for _ in range(3):
        assert circuit.admits()
        circuit.failed()
    return circuit, clock


def test_three_failures_in_a_row_open_it() -> None:
    circuit, _ = opened()
    assert CircuitState.OPEN == circuit.state
    assert not circuit.admits()
    assert (3, 1) == (circuit.failures, circuit.openings)


def test_failures_a_time_out_apart_open_it_too() -> None:
    """A server that hangs fails one call a second, never three within one."""
    clock = ManualClock()
    circuit = Circuit(clock)
    for _ in range(3):
        circuit.failed()
        clock.now += 1.5
    assert 1 == circuit.openings


def test_a_success_between_failures_keeps_it_closed() -> None:
    clock = ManualClock()
    circuit = Circuit(clock)
    for _ in range(10):
        circuit.failed()
        circuit.failed()
        clock.now += 1.0
        circuit.succeeded()
    assert CircuitState.CLOSED == circuit.state


def test_failures_beside_successes_do_not_open_it() -> None:
    """One shard of a cluster fails over: the others' hits must not become purchases."""
    clock = ManualClock()
    circuit = Circuit(clock)
    for _ in range(100):
        for _ in range(5):
            circuit.failed()
        circuit.succeeded()
        clock.now += 0.2
    assert CircuitState.CLOSED == circuit.state


def test_after_a_second_one_call_probes_and_the_others_still_fail_at_once() -> None:
    circuit, clock = opened()
    clock.now += 0.999
    assert not circuit.admits()
    clock.now += 0.001
    assert circuit.admits()
    assert CircuitState.HALF_OPEN == circuit.state
    assert not circuit.admits()


def test_a_probe_that_succeeds_closes_it() -> None:
    circuit, clock = opened()
    clock.now += 1.0
    assert circuit.admits()
    circuit.succeeded()
    assert CircuitState.CLOSED == circuit.state
    assert circuit.admits()


def test_a_probe_that_fails_opens_it_for_another_second() -> None:
    circuit, clock = opened()
    clock.now += 1.0
    assert circuit.admits()
    circuit.failed()
    assert not circuit.admits()
    clock.now += 1.0
    assert circuit.admits()


def test_a_probe_whose_caller_has_left_is_taken_over_by_the_next_call() -> None:
    circuit, clock = opened()
    clock.now += 1.0
    assert circuit.admits()
    circuit.abandoned()
    assert circuit.admits()


def test_an_outage_is_confirmed_by_a_probe_that_fails_and_not_by_calls_that_failed_together() -> (
    None
):
    circuit, clock = opened()
    told = []
    circuit.failed()  # it was under way when the others failed
    told.append(circuit.is_confirmed)
    clock.now += 1.0
    assert circuit.admits()
    circuit.failed()
    told.append(circuit.is_confirmed)
    clock.now += 1.0
    assert circuit.admits()
    circuit.succeeded()
    told.append(circuit.is_confirmed)

    assert [False, True, False] == told
