"""Colours: names, digits, and what of them is one colour."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageColor

from gateway.domain.colors import CSS_COLORS, read_color

DIGITS = "0123456789abcdefABCDEF"


def digits(*lengths: int) -> st.SearchStrategy[str]:
    return st.one_of(*(st.text(DIGITS, min_size=n, max_size=n) for n in lengths))


def test_the_148_names_of_css_are_known() -> None:
    """Against Pillow's table, which was not made from ours."""
    assert 148 == len(CSS_COLORS)
    assert {name: ImageColor.getrgb(name) for name in ImageColor.colormap} == {
        name: tuple(bytes.fromhex(digits)) for name, digits in CSS_COLORS.items()
    }


@pytest.mark.parametrize("name", CSS_COLORS)
def test_a_name_is_its_digits_whatever_its_case(name: str) -> None:
    for spelling in (name, name.upper(), name.title()):
        assert (name, CSS_COLORS[name]) == read_color(spelling)
    assert CSS_COLORS[name] == read_color(f"#{CSS_COLORS[name].lower()}ff")[1]


@given(digits(6, 8))
def test_case_and_hash_mean_nothing(text: str) -> None:
    spellings = {read_color(s) for s in (text, text.lower(), text.upper(), f"#{text}")}
    assert 1 == len(spellings)
    wire, canonical = spellings.pop()
    assert wire == canonical


@given(digits(3, 4))
def test_three_and_four_digits_are_doubled(text: str) -> None:
    assert read_color("".join(digit * 2 for digit in text)) == read_color(text)


@given(digits(6))
def test_an_alpha_of_ff_is_none(text: str) -> None:
    assert read_color(text) == read_color(f"{text}FF") == read_color(f"#{text}ff")
    assert (f"{text.upper()}FE",) * 2 == read_color(f"{text}fe")


def test_transparent_is_a_word_of_its_own() -> None:
    assert ("transparent", "transparent") == read_color("Transparent")
    assert ("00000000", "00000000") == read_color("0000")


@given(digits(3, 4, 6, 8), digits(3, 4, 6, 8))
def test_one_canonical_spelling_is_one_colour(one: str, other: str) -> None:
    same = ImageColor.getcolor(f"#{one}", "RGBA") == ImageColor.getcolor(f"#{other}", "RGBA")
    assert same is (read_color(one)[1] == read_color(other)[1])


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "#",
            "f",
            "ff",
            "fffff",
            "fffffff",
            "fffffffff",
            "##fff",
            "fff#",
            "ggg",
            " fff",
            "fff\n",
        ),
        *("reddish", "rgb(0,0,0)", "\uff11\uff12\uff13", "#transparent", "#red", "none"),
    ],
)
def test_anything_else_is_no_colour(text: str) -> None:
    with pytest.raises(ValueError, match="is not a colour"):
        read_color(text)
