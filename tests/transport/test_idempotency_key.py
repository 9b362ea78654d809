"""The idempotency key as it is sent."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.errors import InvalidRequest
from gateway.domain.violations import Code
from gateway.transport.idempotency import idempotency_key

VISIBLE = "".join(c for c in string.printable if c.isprintable() and c != " ")
KEYS = st.text(VISIBLE, min_size=1, max_size=255)


@given(KEYS.filter(lambda key: not (len(key) > 1 and key[0] == key[-1] == '"')))
def test_quoted_and_bare_are_one_key(key: str) -> None:
    assert [key] * 2 == [idempotency_key(text, "field") for text in (key, f'"{key}"')]


def test_no_key_is_none() -> None:
    assert idempotency_key(None, "field") is None


BAD = {
    "empty": "",
    "quoted nothing": '""',
    "a space": "two words",
    "a space at its end": "key ",
    "a tab": "a\tb",
    "a line": "a\nb",
    "a line at its end": "key\n",
    "a control character": "a\x7fb",
    "not ASCII": "schlüssel",
    "another script's digit": "\u0661",
    "256 characters": "k" * 256,
    "256 characters, quoted": f'"{"k" * 256}"',
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_any_other_text_is_refused_by_the_name_of_its_field(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        idempotency_key(text, "Idempotency-Key")
    [violation] = caught.value.violations
    assert ("Idempotency-Key", Code.BAD_FORMAT) == (violation.field, violation.code)
    assert not text or text not in violation.description
