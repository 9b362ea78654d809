"""Query strings: decoded strictly, so that no text is edited with that the caller did not mean."""

from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.errors import InvalidRequest, Violation
from gateway.transport.form import FormLimits
from gateway.transport.urlencoded import parse_urlencoded

LIMITS = FormLimits(body=1000, file=1000)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=9)


def refusal(raw: str | bytes) -> Violation:
    with pytest.raises(InvalidRequest) as caught:
        parse_urlencoded(raw, LIMITS)
    (violation,) = caught.value.violations
    return violation


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("", []),
        ("a=1&b=2&a=3", [("a", "1"), ("b", "2"), ("a", "3")]),
        ("a=b=c&d", [("a", "b=c"), ("d", "")]),
        ("&&a=&", [("a", "")]),
        ("p=100%25+%2B+caf%c3%A9", [("p", "100% + café")]),
        ("padding=30%25&x%5B0%5D.y=1", [("padding", "30%"), ("x[0].y", "1")]),
        ("p=café", [("p", "café")]),
        (b"p=caf\xc3\xa9", [("p", "café")]),
        ("a;b=1", [("a;b", "1")]),
    ],
)
def test_names_and_texts_come_in_order(raw: str | bytes, expected: list[tuple[str, str]]) -> None:
    assert tuple(expected) == parse_urlencoded(raw, LIMITS)


@given(st.lists(st.tuples(TEXTS.filter(bool), TEXTS)))
@settings(max_examples=50, deadline=None)
def test_what_the_standard_library_writes_is_read(pairs: list[tuple[str, str]]) -> None:
    assert tuple(pairs) == parse_urlencoded(urlencode(pairs), LIMITS)
    assert tuple(pairs) == parse_urlencoded(urlencode(pairs, quote_via=quote), LIMITS)


@pytest.mark.parametrize(
    ("raw", "field", "code"),
    [
        ("p=100%", "p", "BAD_ESCAPE"),
        ("p=%zz", "p", "BAD_ESCAPE"),
        ("p=%4", "p", "BAD_ESCAPE"),
        ("%=1", "query", "BAD_ESCAPE"),
        ("p=%FF", "p", "NOT_UTF8"),
        ("p=%ED%A0%80", "p", "NOT_UTF8"),
        ("p=\udcff", "p", "NOT_UTF8"),
        (b"p=\xff", "p", "NOT_UTF8"),
        ("%FF=1", "query", "NOT_UTF8"),
        ("=1", "query", "UNNAMED_FIELD"),
        ("p=" + "x" * 65_537, "p", "FIELD_TOO_LONG"),
        ("&".join(["a=1"] * 513), "query", "TOO_MANY_FIELDS"),
        ("&" * 10_000, "query", "TOO_MANY_FIELDS"),
    ],
    ids=lambda value: value[:9] if isinstance(value, str) else None,
)
def test_what_cannot_be_decoded_is_refused(raw: str | bytes, field: str, code: str) -> None:
    violation = refusal(raw)
    assert (field, code) == (violation.field, violation.code)


@given(st.binary(max_size=60))
@settings(max_examples=100, deadline=None)
def test_arbitrary_bytes_are_decoded_or_refused(raw: bytes) -> None:
    try:
        names = [name for name, _ in parse_urlencoded(raw, LIMITS)]
    except InvalidRequest as error:
        names = [violation.field for violation in error.violations]
    assert all(names)


def test_the_limits_are_inclusive() -> None:
    assert 512 == len(parse_urlencoded("&".join(["a=1"] * 512), LIMITS))
    assert (("p", "é" * 32_768),) == parse_urlencoded("p=" + "%C3%A9" * 32_768, LIMITS)
