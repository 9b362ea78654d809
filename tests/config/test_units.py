"""Durations, bytes and addresses."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.units import Address, parse_address, parse_bytes, parse_duration

NOT_A_VALUE = [
    "",
    " ",
    "-1s",
    "1",
    "s",
    "1 s",
    " 1s",
    "1s\n",
    "1S",
    "1e3s",
    ".5s",
    "1.s",
    "٣s",
    "1y",
]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.01, "10ms"),
        (60.0, "60s"),
        (90.0, "1.5m"),
        (300.0, "5m"),
        (3600.0, "1h"),
        (2_592_000.0, "30d"),
    ],
)
def test_a_duration_is_read_into_seconds(seconds: float, text: str) -> None:
    assert seconds == parse_duration(text)


@given(st.integers(0, 999_999_999))
def test_milliseconds_are_the_nearest_double(count: int) -> None:
    assert count / 1000 == parse_duration(f"{count}ms")


@pytest.mark.parametrize("text", NOT_A_VALUE)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="has to be a duration"):
        parse_duration(text)


@given(st.integers(0, 999_999), st.sampled_from(["B", "KiB", "MiB", "GiB", "TiB"]))
def test_an_amount_of_bytes_is_its_number_times_a_power_of_1024(count: int, unit: str) -> None:
    powers = {"B": 0, "KiB": 1, "MiB": 2, "GiB": 3, "TiB": 4}
    assert count * 1024 ** powers[unit] == parse_bytes(f"{count}{unit}")


@pytest.mark.parametrize("text", [*NOT_A_VALUE, "1MB", "1.5GiB", "256Mi", "1kib"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="has to be a whole amount"):
        parse_bytes(text)


@given(
    st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6), st.just("gateway-0.internal")),
    st.integers(0, 65535),
)
def test_an_address_is_written_as_it_is_read(host: object, port: int) -> None:
    address = Address(str(host), port)
    assert address == parse_address(str(address))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8080",
        ":8080",
        "localhost",
        "localhost:",
        "localhost:65536",
        "::1:8080",
        "[::1]",
        "[localhost]:80",
        "a b:80",
        "-a:80",
        "host:80:81",
        "host:8O",
        "http://host:80",
        "h:80\n",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="has to be host:port"):
        parse_address(text)


@given(st.text(alphabet="0123456789.:[]msKiBh", max_size=12))
def test_only_a_sentence_is_raised(text: str) -> None:
    for parse in (parse_duration, parse_bytes, parse_address):
        assert sentence_or_value(parse, text)


def sentence_or_value(parse: Callable[[str], object], text: str) -> bool:
    try:
        return parse(text) is not None
    except ValueError as error:
        return str(error).startswith("has to be")
