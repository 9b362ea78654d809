"""Equal digest means equal effective settings, by the emulator's own reading; and the design's
list of equal spellings is kept, through either door."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, assume, given, reject, settings
from hypothesis import strategies as st

from gateway.emulator.table import EDIT_PARAMETERS
from tests.support.doors import digest, read_message, read_wire, sent_upstream
from tests.support.proto_edits import NotExpressible, edit_message_from_wire
from tests.support.spellings import ABSENT, Request, altered, edits, respelled

FILTERS = [HealthCheck.filter_too_much, HealthCheck.too_slow]  # the emulator's rules refuse many


def wire_digest(request: Request) -> str:
    return digest(read_wire(request.pairs, request.files, request.headers))


def message_digest(request: Request) -> str:
    """Of what the message can say; two members of a oneof it cannot."""
    try:
        message = edit_message_from_wire(request.pairs, request.files, request.headers)
    except NotExpressible:
        reject()
    return digest(read_message(message))


@settings(max_examples=200, deadline=None, suppress_health_check=FILTERS)
@given(st.data())
def test_spellings_that_the_design_calls_equal_have_one_digest(data: st.DataObject) -> None:
    request = data.draw(edits())
    other = data.draw(respelled(request))
    assert wire_digest(request) == wire_digest(other)
    assert wire_digest(request) == message_digest(other)


@settings(max_examples=200, deadline=None, suppress_health_check=FILTERS)
@given(st.data())
def test_what_goes_upstream_means_what_was_said(data: st.DataObject) -> None:
    """The normalised spelling, of whatever spelling, is read as the plain one is."""
    request = data.draw(edits())
    meaning = request.settings()
    assume(meaning is not None)
    other = data.draw(respelled(request))
    draft = read_wire(other.pairs, other.files, other.headers)
    pairs, headers = sent_upstream(draft.edit)
    assert meaning == Request(tuple(pairs), other.files, headers).settings()


@settings(max_examples=300, deadline=None, suppress_health_check=FILTERS)
@given(st.data())
def test_edits_of_different_meaning_have_different_digests(data: st.DataObject) -> None:
    first = data.draw(edits())
    second = data.draw(altered(first))
    meanings = first.settings(), second.settings()
    assume(None not in meanings)
    assume(meanings[0] != meanings[1])
    assert wire_digest(first) != wire_digest(second)


@pytest.mark.parametrize("absent", ABSENT, ids=str)
def test_a_documented_default_is_the_same_as_absence(absent: tuple[str, str]) -> None:
    pairs, files = [("background.color", "red")], {"imageFile": b"a picture"}
    assert digest(read_wire(pairs, files)) == digest(read_wire([*pairs, absent], files))
    (said,) = [p for p in read_wire([absent]).edit.parameters if p.name == absent[0]]
    assert absent[1] == said.wire


def test_no_other_parameter_is_the_same_as_absence() -> None:
    silent = {
        leaf.name
        for leaf in EDIT_PARAMETERS
        for text in leaf.examples
        for p in read_wire([(leaf.example_name, text)]).edit.parameters
        if p.same_as_absent
    }
    assert {name for name, _ in ABSENT} == silent


@pytest.mark.parametrize("absent", ABSENT, ids=str)
@pytest.mark.parametrize(
    ("pairs", "headers"),
    [
        ([("templateId", "0189aa4a-5f0c-4c5c-8b0e-2f6f5f0d7a11")], {}),
        ([("layers.a.text.content", "Hello")], {}),
    ],
    ids=["template", "layers"],
)
def test_a_default_is_said_where_a_template_may_say_otherwise(
    absent: tuple[str, str], pairs: list[tuple[str, str]], headers: dict[str, str]
) -> None:
    files = {"imageFile": b"a picture"}
    silent, said = Request(tuple(pairs), files, headers), Request((*pairs, absent), files, headers)
    assert silent.settings() != said.settings()
    assert wire_digest(silent) != wire_digest(said)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("padding", "0"), ("padding", "0px")),
        (("padding", "0.1"), ("paddingTop", "0.1")),
        (("padding", "10%"), ("margin", "10%")),
        (("background.color", "FF000080"), ("background.color", "FF0000")),
        (("background.color", "transparent"), ("background.color", "white")),
        (("shadow.directionOverride", "90"), ("shadow.directionOverride", "left")),
        (("background.prompt", "a b"), ("background.prompt", "a  b")),
        (("background.prompt", "A"), ("background.prompt", "a")),
        (("background.prompt", "\uff21"), ("background.prompt", "A")),
        (("export.dpi", "72"), ("export.dpi", "72.00000000000001")),
        (("outputSize", "300x200"), ("outputSize", "200x300")),
        (("imageUrl", "https://a.invalid/x"), ("imageUrl", "https://a.invalid/x?")),
    ],
    ids=str,
)
def test_what_the_design_does_not_call_equal_differs(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    """A second purchase at worst, never a wrong picture."""
    assert digest(read_wire([one])) != digest(read_wire([other]))
