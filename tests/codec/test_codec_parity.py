"""Every parameter, through both doors: one edit, one digest, the documented text on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pytest
from google.protobuf.descriptor import Descriptor

from gateway.domain.edit import ImageRef, Operation
from gateway.domain.violations import Code
from gateway.emulator.kinds import Choice, File, Flag, Kind, Pattern, Text, Url
from gateway.emulator.measures import ColourText, LengthText, Number, NumberOr, OutputSize
from gateway.emulator.table import MODEL_HEADERS, Leaf
from gateway.transport.codec import proto_path
from gateway.v1.edit_pb2 import Edit
from gateway.v1.segment_pb2 import Segment
from tests.support.doors import Pairs, accepted, digest, found, read_message, read_wire, schema
from tests.support.parameters import FILES, TEXTS, leaves
from tests.support.proto_edits import (
    NotExpressible,
    edit_message_from_wire,
    message_fields,
    segment_message_from_wire,
)

PICTURE = b"the bytes of a picture"

# What is written where it is not what was read: one spelling a colour, no older texts.
COLOURS: Final = {
    "#00FF00": "00FF00",
    "fff": "FFFFFF",
    "abcd": "AABBCCDD",
    "RebeccaPurple": "rebeccapurple",
}

REFUSED_AS: Final[dict[type[Kind], Code]] = {
    Choice: Code.NOT_ALLOWED,
    Flag: Code.NOT_A_BOOLEAN,
    Text: Code.TOO_SHORT,
    Pattern: Code.BAD_UUID,
    Url: Code.BAD_URL,
    ColourText: Code.BAD_COLOR,
    OutputSize: Code.BAD_FORMAT,
    File: Code.FILE_EXPECTED,
    Number: Code.NOT_A_NUMBER,
    NumberOr: Code.NOT_A_NUMBER,
    LengthText: Code.NOT_A_NUMBER,
}


def message_of(
    operation: Operation, pairs: Pairs, files: Mapping[str, bytes]
) -> tuple[Edit | Segment, Descriptor]:
    if operation is Operation.EDIT:
        return edit_message_from_wire(pairs, files), Edit.DESCRIPTOR
    return segment_message_from_wire(pairs, files), Segment.DESCRIPTOR


def case_id(value: object) -> str:
    return value.name if isinstance(value, Leaf) else str(value)


def documented(operation: Operation, leaf: Leaf, text: str) -> tuple[str, str]:
    """Name and text as the specification writes them."""
    if isinstance(leaf.kind, ColourText):
        text = COLOURS.get(text, text)
        digits = text.strip("0123456789ABCDEF") == ""
        return leaf.example_name, f"#{text}" if operation is Operation.SEGMENT and digits else text
    if isinstance(leaf.kind, Choice):
        text = leaf.kind.same.get(text, text)
    return leaf.settles or leaf.example_name, text


def refusal(leaf: Leaf, text: str) -> Code:
    if isinstance(leaf.kind, Choice) and set(leaf.kind.words) == {"true", "false"}:
        return Code.NOT_A_BOOLEAN
    number = text.removesuffix("%").removesuffix("px").removeprefix("-").replace(".", "", 1)
    if isinstance(leaf.kind, Number | LengthText) and number.isdecimal():
        return Code.OUT_OF_RANGE
    return REFUSED_AS[type(leaf.kind)]


@pytest.mark.parametrize(("operation", "leaf", "text"), TEXTS, ids=case_id)
def test_one_value_is_one_edit_through_either_door(
    operation: Operation, leaf: Leaf, text: str
) -> None:
    pairs = [(leaf.example_name, text)]
    wire = read_wire(pairs, operation=operation)
    message = read_message(message_of(operation, pairs, {})[0])
    assert [documented(operation, leaf, text)] == [(p.name, p.wire) for p in wire.edit.parameters]
    assert accepted(wire) == accepted(message)
    assert digest(wire) == digest(message)


@pytest.mark.parametrize(("operation", "leaf"), FILES, ids=case_id)
def test_one_picture_is_one_edit_through_either_door(operation: Operation, leaf: Leaf) -> None:
    files = {leaf.example_name: PICTURE}
    wire = read_wire([], files, operation=operation)
    message = read_message(message_of(operation, [], files)[0])
    slots = [(s.name, s.image) for s in wire.edit.images]
    assert [(leaf.example_name, ImageRef.of(PICTURE))] == slots
    assert accepted(wire) == accepted(message)
    assert {ImageRef.of(PICTURE): PICTURE} == wire.pictures == message.pictures


@pytest.mark.parametrize(
    ("leaf", "text"),
    [(leaf, text) for leaf in MODEL_HEADERS for text in leaf.examples],
    ids=case_id,
)
def test_one_model_version_is_one_edit_through_either_door(leaf: Leaf, text: str) -> None:
    headers = {leaf.name: text}
    wire = read_wire([], headers={leaf.name: f" {text} "})
    message = read_message(edit_message_from_wire([], {}, headers))
    assert [(leaf.name, text)] == [(p.name, p.wire) for p in wire.edit.headers]
    assert digest(wire) == digest(message)


@pytest.mark.parametrize(
    ("operation", "leaf", "text"),
    [
        (o, leaf, text)
        for files in (True, False)
        for o, leaf in leaves(files=files)
        for text in leaf.bad
    ],
    ids=case_id,
)
def test_a_bad_value_is_refused_by_name_at_either_door(
    operation: Operation, leaf: Leaf, text: str
) -> None:
    """In the message, where it can be said there at all; its field's path leads to the field."""
    pairs, code = [(leaf.example_name, text)], refusal(leaf, text)
    wire = read_wire(pairs, operation=operation)
    assert [(leaf.example_name, code)] == found(wire.violations)
    try:
        message, descriptor = message_of(operation, pairs, {})
    except NotExpressible:
        return
    violations = read_message(message).violations
    assert [(leaf.example_name, code)] == found(violations)
    assert message_fields(descriptor, proto_path(schema(operation), violations[0].field))
