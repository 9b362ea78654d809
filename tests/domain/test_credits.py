"""What a call costs, and how amounts are written."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.credits import BASIC, CREDITS, PLUS, Price, milli_text
from gateway.domain.edit import Operation


@pytest.mark.parametrize(
    ("price", "edit", "segment"),
    [(CREDITS, "1", "0.2"), (BASIC, "5", "1"), (PLUS, "1", "0.2")],
    ids=["credits", "basic", "plus"],
)
def test_a_call_costs_what_the_price_list_says(price: Price, edit: str, segment: str) -> None:
    assert edit == milli_text(price.of(Operation.EDIT))
    assert segment == milli_text(price.of(Operation.SEGMENT))


@pytest.mark.parametrize("operation", Operation)
def test_a_sandbox_call_is_free(operation: Operation) -> None:
    assert 0 == BASIC.of(operation, sandbox=True)


@pytest.mark.parametrize(("edit", "segment"), [(-1, 0), (0, -1)])
def test_a_price_is_not_negative(edit: int, segment: int) -> None:
    with pytest.raises(ValueError, match="not negative"):
        Price(edit, segment)


@given(st.integers(-(10**12), 10**12))
def test_an_amount_is_written_exactly_and_without_trailing_zeros(milli: int) -> None:
    text = milli_text(milli)
    assert Decimal(milli) / 1000 == Decimal(text)
    assert "." not in text or text[-1] not in "0."


@pytest.mark.parametrize(
    ("milli", "text"),
    [
        (0, "0"),
        (1, "0.001"),
        (200, "0.2"),
        (1000, "1"),
        (10_000, "10"),
        (1010, "1.01"),
        (-1, "-0.001"),
    ],
)
def test_amounts(milli: int, text: str) -> None:
    assert text == milli_text(milli)
