"""Nothing that arrives makes the codec raise, and nothing that it says repeats a value."""

from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.digest import edit_digest
from gateway.domain.edit import Operation
from gateway.domain.facts import Facts
from gateway.domain.rules import check_rules
from gateway.domain.tenant import Tenant
from gateway.emulator.table import EDIT_PARAMETERS, MODEL_HEADERS, Leaf
from gateway.ports import Draft
from gateway.transport.codec import proto_path, wire_names
from gateway.v1.edit_pb2 import Edit
from gateway.v1.segment_pb2 import Segment
from tests.support.doors import (
    EXTRAS_ALLOWED,
    IGNORES_UNKNOWN,
    PLAIN,
    read_message,
    read_wire,
    schema,
)
from tests.support.proto_edits import NotExpressible, edit_message_from_wire
from tests.support.protobuf_bytes import delimited, varint_field

CANARY = "cAnArY-7f3a"
TENANTS = st.sampled_from([PLAIN, EXTRAS_ALLOWED, IGNORES_UNKNOWN])

# Names made of the pieces of real ones, so that many lead somewhere.
PIECES = sorted(
    {piece for name in wire_names(schema()) for piece in name.replace("[i]", "").split(".")}
)
SEGMENTS = st.builds(
    lambda piece, index: piece + index,
    st.sampled_from([*PIECES, "k", "", "#7"]),
    st.sampled_from(["", "", "", "[0]", "[1]", "[99]", "[", "]"]),
)
NAMES = st.one_of(
    st.text(),
    st.lists(SEGMENTS, min_size=1, max_size=6).map(".".join),
    st.sampled_from([leaf.example_name for leaf in EDIT_PARAMETERS]),
)
TEXTS = st.one_of(
    st.text(), st.sampled_from([t for leaf in EDIT_PARAMETERS for t in leaf.examples])
)
HEADERS = st.dictionaries(
    st.one_of(st.text().map("pr-".__add__), st.sampled_from([leaf.name for leaf in MODEL_HEADERS])),
    st.text(st.characters(codec=None)),
    max_size=3,
)
FIELDS = st.recursive(
    st.builds(varint_field, st.integers(1, 60), st.integers(0, 2**64 - 1))
    | st.builds(delimited, st.integers(1, 60), st.binary(max_size=8)),
    lambda fields: st.builds(
        delimited, st.integers(1, 60), st.lists(fields, max_size=4).map(b"".join)
    ),
    max_leaves=12,
)


def use(draft: Draft, operation: Operation) -> None:
    """Do with a draft what a call does, violations or not."""
    edit_digest(draft.edit, sandbox=False)
    refused, warned = check_rules(Facts(draft.edit))
    for violation in (*draft.violations, *refused, *warned):
        assert proto_path(schema(operation), violation.field)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(NAMES, TEXTS), max_size=6),
    st.dictionaries(NAMES, st.binary(max_size=4), max_size=3),
    HEADERS,
    st.sampled_from(Operation),
    TENANTS,
)
def test_no_wire_parameter_makes_it_raise(
    pairs: list[tuple[str, str]],
    files: dict[str, bytes],
    headers: dict[str, str],
    operation: Operation,
    tenant: Tenant,
) -> None:
    draft = read_wire(pairs, files, headers, operation=operation, tenant=tenant)
    use(draft, operation)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.binary(), st.lists(FIELDS, max_size=6).map(b"".join)), TENANTS)
def test_no_bytes_that_are_a_message_make_it_raise(data: bytes, tenant: Tenant) -> None:
    for kind, operation in ((Edit, Operation.EDIT), (Segment, Operation.SEGMENT)):
        try:
            message = kind.FromString(data)
        except DecodeError:
            continue
        use(read_message(message, tenant), operation)


@pytest.mark.parametrize(
    "leaf", [leaf for leaf in EDIT_PARAMETERS if leaf.examples], ids=lambda leaf: leaf.name
)
def test_no_description_repeats_a_value(leaf: Leaf) -> None:
    """It may be a prompt, or a secret in the wrong field."""
    name = leaf.example_name
    for text in (CANARY, f"http://{CANARY}\n", f"{CANARY}px", f"{CANARY}%", f"{CANARY * 1000}"):
        pairs = [(name, text), (name, text), ("nope", text)]
        said = str(read_wire(pairs, {"shadow.mode": text.encode()}, {"pr-new": text}).violations)
        try:
            message = edit_message_from_wire(pairs[:1], {})
        except NotExpressible:
            message = Edit()
        message.extra_parameters["new"] = text
        said += str(read_message(message).violations)
        assert "nope" in said
        assert CANARY not in said
