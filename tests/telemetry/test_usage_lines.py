"""The usage line: what the house's formatter wrote is read, and nothing else is."""

from __future__ import annotations

import io
import itertools
import json
import logging
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.edit import Operation
from gateway.domain.periods import Period
from gateway.ports import Hold, Settlement
from gateway.telemetry.logs import JsonFormatter
from gateway.telemetry.usage_lines import USAGE_LOGGER, UsageLine, read_usage_line, usage_fields

MONTH = Period(1_782_856_800_000, 1_785_535_200_000)
HOLD = Hold("ab12", "catalog", Operation.SEGMENT, 200, 60.0, MONTH)


def written(
    hold: Hold = HOLD, outcome: Settlement = Settlement.POSTED, /, **changes: object
) -> bytes:
    """A line as a process writes it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    record = logging.makeLogRecord(
        {"msg": "usage", "name": USAGE_LOGGER, "created": 1_783_000_000.5, "msecs": 500.0}
        | usage_fields(hold, outcome)
        | changes
    )
    handler.emit(record)
    return stream.getvalue().encode()


holds = st.builds(
    Hold,
    id=st.uuids().map(lambda name: name.hex),
    tenant=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True),
    operation=st.sampled_from(Operation),
    cost_milli=st.integers(0, 10**9),
    seconds=st.just(60.0),
    period=st.integers(0, 10**13).map(lambda start: Period(start, start + 31 * 86_400_000)),
)


@given(holds, st.sampled_from(Settlement))
def test_a_line_reads_as_it_was_written(hold: Hold, outcome: Settlement) -> None:
    expected = UsageLine(
        "gateway.usage",
        datetime(2026, 7, 2, 13, 46, 40, 500_000, UTC),
        hold.id,
        hold.tenant,
        hold.operation,
        outcome,
        hold.cost_milli,
        hold.period.start,
        hold.period.end,
    )
    line = read_usage_line(written(hold, outcome))

    assert expected == line
    assert hold.period == line.period
    assert (0 if outcome is Settlement.VOIDED else hold.cost_milli) == line.spent_milli


@given(st.integers(0, len(written()) - 3))
def test_a_line_that_was_cut_off_is_none(length: int) -> None:
    assert read_usage_line(written()[:length]) is None


@given(st.binary(max_size=200) | st.text().map(lambda text: f"gateway.usage {{{text}".encode()))
def test_garbage_is_no_usage_line(raw: bytes) -> None:
    assert read_usage_line(raw) is None


def test_what_a_collector_puts_before_a_line_is_passed_over() -> None:
    raw = b"2026-07-02T13:46:41.1Z stderr F " + written()
    assert read_usage_line(raw) == read_usage_line(written())


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "gateway.requests"},
        {"outcome": "lapsed"},
        {"operation": "v3/edit"},
        {"tenant": "a tenant"},
        {"tenant": ""},
        {"hold": "}"},
        {"cost_milli": -1},
        {"cost_milli": 1.5},
        {"cost_milli": "200"},
        {"period_start_ms": None},
        {"period_end_ms": MONTH.start},
        {"period_end_ms": MONTH.end + 10**10},
    ],
    ids=str,
)
def test_a_line_that_no_gateway_writes_is_none(changes: dict[str, object]) -> None:
    assert read_usage_line(written(HOLD, Settlement.POSTED, **changes)) is None


def test_a_line_of_another_logger_that_speaks_of_usage_is_none() -> None:
    said = {"logger": "gateway.requests", "message": "gateway.usage"}
    assert read_usage_line(json.dumps(said).encode()) is None


@pytest.mark.parametrize(
    ("counts", "other"),
    [
        (Settlement.POSTED, Settlement.PRESUMED),
        (Settlement.VOIDED, Settlement.PRESUMED),
        (Settlement.POSTED, Settlement.VOIDED),
    ],
)
def test_a_known_outcome_counts_and_not_a_presumed_one(
    counts: Settlement, other: Settlement
) -> None:
    strong, weak = (read_usage_line(written(HOLD, outcome)) for outcome in (counts, other))
    assert strong is not None
    assert weak is not None
    assert strong.outweighs(weak)
    assert not weak.outweighs(strong)


@given(st.lists(st.tuples(st.sampled_from(Settlement), st.integers(0, 2)), min_size=2, max_size=4))
def test_which_line_counts_does_not_depend_on_their_order(
    said: list[tuple[Settlement, int]],
) -> None:
    lines = [
        read_usage_line(written(HOLD, outcome, created=1_783_000_000.0 + second))
        for outcome, second in said
    ]
    winners = set()
    for order in itertools.permutations(lines):
        winner = order[0]
        for line in order[1:]:
            assert line is not None
            assert winner is not None
            winner = line if line.outweighs(winner) else winner
        winners.add(winner)
    assert 1 == len(winners)
