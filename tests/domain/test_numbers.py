"""Numbers are read as the upstream reads them, and written in one way."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.numbers import LARGEST_SEED, number_text, read_number

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(FINITE)
def test_what_is_written_reads_as_the_same_double(value: float) -> None:
    assert value == read_number(number_text(value))


@given(FINITE)
def test_it_is_written_without_exponent_space_or_needless_digits(value: float) -> None:
    text = number_text(value)
    assert re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?", text)
    assert "-0" != text


@given(FINITE)
def test_one_double_has_one_text(value: float) -> None:
    """Whatever its spelling was: with exponent, with more digits than a double has, with a sign."""
    for spelling in (repr(value), f"{value:.17e}", f"{value:+.30E}"):
        assert number_text(value) == number_text(read_number(spelling))


@given(FINITE, FINITE)
def test_two_doubles_have_two_texts(one: float, other: float) -> None:
    assert (one == other) is (number_text(one) == number_text(other))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("0.30", "0.3"),
        ("3e-1", "0.3"),
        ("+.3", "0.3"),
        ("3.", "3"),
        ("007", "7"),
        ("-0", "0"),
        ("-0.0e5", "0"),
        ("1E2", "100"),
        ("1e22", "1" + "0" * 22),
        ("123456789012345678", "123456789012345680"),
        ("0.1000000000000000055511151231257827", "0.1"),
        ("1e-7", "0.0000001"),
        ("5e-324", "0." + "0" * 323 + "5"),
        ("1e-400", "0"),
    ],
)
def test_spellings_of_a_number(text: str, written: str) -> None:
    assert written == number_text(read_number(text))


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "+",
            "-",
            ".",
            "e5",
            "1e",
            "1e+",
            "1 ",
            " 1",
            "1\n",
            "1,5",
            "1_0",
            "0x10",
            "1.2.3",
        ),
        *("--1", "+-1", "NaN", "nan", "Infinity", "-inf", "1e309", "-1e309", "\u0661", "\uff11"),
        "1" * 513,
        "0." + "1" * 511,
    ],
)
def test_anything_else_is_no_number(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a (finite )?number"):
        read_number(text)


def test_a_number_may_have_512_characters() -> None:
    assert 1.0 == read_number("1." + "0" * 510)


@given(st.text())
def test_any_text_is_a_number_or_a_value_error(text: str) -> None:
    try:
        value = read_number(text)
    except ValueError:
        return
    assert float(text) == value


def test_the_largest_seed_is_the_last_whole_number_that_a_double_tells_from_its_neighbours() -> (
    None
):
    assert float(LARGEST_SEED) != float(LARGEST_SEED + 1)
    assert float(LARGEST_SEED + 1) == float(LARGEST_SEED + 2)
